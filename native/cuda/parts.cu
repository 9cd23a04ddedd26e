// Partial sums that teams of threads left in scratch memory, added up.
//
// A block takes a warp's width of columns and cuts the parts into kSlices runs, one for each warp:
// a warp adds its run row by row, the first warp then adds the runs in order. So reads are whole
// lines, as many at a time as a block has warps, and the order of the additions is that of the
// shape alone: results repeat bitwise. Traffic: each partial sum once. Limited by latency where
// columns are few: a run is at most 128 rows of the 4,096 that RMSNorm's backward leaves.
//
// Tried: a thread for each column that walks all parts. It moves the same bytes, but the 4,096
// parts of 128 columns are one block's 4,096 reads in a row, which takes longer than the kernel
// that wrote them (by counting reads; no GPU was at hand).
#include "cuda/launch.h"
#include "cuda/parts.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr int kSlices = 32;

__global__ void CG_LAUNCH_BOUNDS(kWarp* kSlices, 1)
    addPartsKernel(const float* partial, int64_t parts, int64_t width, float* into) {
  CG_SHARED(float, sums, [kSlices][kWarp]);
  const int lane = int(threadIdx.x) % kWarp, slice = int(threadIdx.x) / kWarp;
  const int64_t c = int64_t(blockIdx.x) * kWarp + lane;
  const int64_t run = (parts + kSlices - 1) / kSlices, first = slice * run;
  const int64_t last = first + run < parts ? first + run : parts;
  float sum = 0;
  if (c < width) {
    for (int64_t p = first; p < last; p++) sum += partial[p * width + c];
  }
  sums[slice][lane] = sum;
  __syncthreads();
  if (slice > 0 || c >= width) return;
  for (int s = 1; s < kSlices; s++) sum += sums[s][lane];
  into[c] += sum;
}

}  // namespace

Status addParts(KernelContext& context, const float* partial, int64_t parts, int64_t width,
                float* into) {
  return launch(*context.gpu, "addParts", addPartsKernel, dim3(unsigned(ceilDiv(width, kWarp))),
                dim3(kWarp * kSlices), 0, partial, parts, width, into);
}

}  // namespace callgrad::gpu
