// Kernels of one instruction set, by op name.
#pragma once
#include <string_view>
#include <vector>

#include "core/device.h"

namespace callgrad::cpu {

class KernelTable {
 public:
  KernelTable() : kernels_(opTable().size(), nullptr) {}
  void set(std::string_view op, Kernel kernel) {
    const int i = findOp(op);
    if (i >= 0) kernels_[size_t(i)] = kernel;
  }
  Kernel get(int op) const { return kernels_[size_t(op)]; }

 private:
  std::vector<Kernel> kernels_;
};

// Defined once per instruction set by cpu/kernels/register.cpp.
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
