// The kernel families of the GPU, each defined by native/cuda/<family>.cu.
#pragma once
#include "core/kernel.h"

namespace callgrad::gpu {

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

void registerKernels(KernelTable& table);  // all of them

}  // namespace callgrad::gpu
