// Partial sums that teams of threads left in scratch memory, added up.
#pragma once
#include <cstdint>

#include "core/kernel.h"
#include "core/status.h"

namespace callgrad::gpu {

// Queues into[c] += the sum over p of partial[p][c], in an order that `parts` alone decides;
// partial f32 [parts, width], dense, in device memory.
Status addParts(KernelContext& context, const float* partial, int64_t parts, int64_t width,
                float* into);

}  // namespace callgrad::gpu
