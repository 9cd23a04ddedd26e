#include "cuda/families.h"

namespace callgrad::gpu {

// Weak: a build may hold some of the families, and an op of another one then says that the device
// has no kernel for it. Own is one of somebody's own (own_kernel.h): the last to be registered
// wins.
#define CG_FAMILIES(X) \
  X(Elementwise)       \
  X(Norm)              \
  X(Activation)        \
  X(Rope)              \
  X(Embedding)         \
  X(Optimizer)         \
  X(Matmul)            \
  X(LinearLogprob)     \
  X(GrpoLoss) X(Sample) X(Attention) X(AttentionBackward) X(DecodeAttention) X(KvCache) X(Own)

#define CG_WEAK(family) void register##family(KernelTable& table) __attribute__((weak));
CG_FAMILIES(CG_WEAK)

void registerKernels(KernelTable& table) {
#define CG_REGISTER(family) \
  if (register##family) register##family(table);
  CG_FAMILIES(CG_REGISTER)
}

}  // namespace callgrad::gpu
