#include "core/kernel.h"

namespace callgrad {

std::vector<Kernel> KernelTable::resolve() const {
  std::vector<Kernel> byOp(opTable().size(), nullptr);
  for (const auto& [name, kernel] : kernels_)
    if (const int op = findOp(name); op >= 0) byOp[size_t(op)] = kernel;
  return byOp;
}

}  // namespace callgrad
