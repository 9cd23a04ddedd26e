// The kernel families of one instruction set; each is defined by the file of its name.
#pragma once
#include "core/kernel.h"

namespace callgrad::cpu::CG_ISA {

void registerElementwise(KernelTable& table);
void registerNorm(KernelTable& table);
void registerActivation(KernelTable& table);
void registerRope(KernelTable& table);
void registerEmbedding(KernelTable& table);
void registerOptimizer(KernelTable& table);
void registerMatmul(KernelTable& table);
void registerLinearLogprob(KernelTable& table);
void registerGrpoLoss(KernelTable& table);
void registerSample(KernelTable& table);
void registerAttention(KernelTable& table);
void registerAttentionBackward(KernelTable& table);
void registerDecodeAttention(KernelTable& table);
void registerKvCache(KernelTable& table);

}  // namespace callgrad::cpu::CG_ISA
