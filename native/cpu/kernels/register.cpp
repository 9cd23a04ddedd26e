#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {

void registerKernels(KernelTable& table) {
  registerElementwise(table);
  registerNorm(table);
  registerActivation(table);
  registerRope(table);
  registerEmbedding(table);
  registerOptimizer(table);
  registerMatmul(table);
  registerLinearLogprob(table);
  registerGrpoLoss(table);
  registerSample(table);
  registerAttention(table);
  registerAttentionBackward(table);
  registerDecodeAttention(table);
  registerKvCache(table);
}

}  // namespace callgrad::cpu::CG_ISA
