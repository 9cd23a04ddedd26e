#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {

void registerKernels(KernelTable& table) { registerElementwise(table); }

}  // namespace callgrad::cpu::CG_ISA
