// The kernels of each instruction set; defined once per set by cpu/kernels/register.cpp.
#pragma once
#include "core/kernel.h"

namespace callgrad::cpu {

namespace baseline {
void registerKernels(KernelTable& table);
}
namespace avx2 {
void registerKernels(KernelTable& table);
}
namespace avx512 {
void registerKernels(KernelTable& table);
}
namespace avx512bf16 {
void registerKernels(KernelTable& table);
}

}  // namespace callgrad::cpu
