// Barriers and warp functions that not all come to.
#include "simt/selftest/cases.h"

namespace callgrad::gpu {
namespace {

__global__ void halfComes() {
  if (threadIdx.x < 16) __syncthreads();
}
__global__ void differentOnes(float* y) {
  if (threadIdx.x < 32)
    __syncthreads();
  else
    __syncthreads();
  y[threadIdx.x] = 1.0f;
}
__global__ void barrierAndShuffle(float* y) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
}
__global__ void differentShuffles(float* y) {
  if (threadIdx.x < 16)
    y[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  else
    y[threadIdx.x] = float(__ballot_sync(0xffffffffu, 1));
}
__global__ void outsideMask(float* y) { y[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 0); }
__global__ void absentLane(float* y) {
  if (threadIdx.x < 16) y[threadIdx.x] = __shfl_sync(0x0000ffffu, 1.0f, 20);
}
// Lanes that have ended are not waited for.
__global__ void endedLanes(float* y) {
  if (threadIdx.x >= 20) return;
  y[threadIdx.x] = float(__popc(__ballot_sync(0xffffffffu, 1)));
}
__global__ void votes(int* y) {
  const int t = int(threadIdx.x);
  y[t] = __syncthreads_count(t < 10) + 100 * __syncthreads_or(t == 63) +
         1000 * __syncthreads_and(t >= 0) + 10000 * __syncthreads_and(t > 0);
}
__global__ void shuffles(int* y) {
  const int t = int(threadIdx.x);
  y[t] = __shfl_sync(0xffffffffu, t, 3);
  y[32 + t] = __shfl_up_sync(0xffffffffu, t, 2);
  y[64 + t] = __shfl_down_sync(0xffffffffu, t, 2);
  y[96 + t] = __shfl_xor_sync(0xffffffffu, t, 5);
  y[128 + t] = __shfl_down_sync(0xffffffffu, t, 3, 8);
  y[160 + t] = __shfl_sync(0xffffffffu, t, 9, 8);
}
template <int kThreads>
__global__ void sums(float* y) {
  const float once = blockSum<kThreads>(float(threadIdx.x));  // its shared memory serves twice
  y[threadIdx.x] = once + blockSum<kThreads>(1.0f);
}

template <typename Kernel>
Case wrong(const char* name, const char* expected, Kernel kernel, unsigned threads) {
  return {name, expected, [kernel, threads](Bench& b) {
            return b.run(kernel, dim3(1), dim3(threads), 0, b.output<float>(64));
          }};
}

}  // namespace

void addBarriers(std::vector<Case>& cases) {
  cases.push_back({"half a warp comes to the barrier", "divergent barrier",
                   [](Bench& b) { return b.run(halfComes, dim3(1), dim3(32), 0); }});
  cases.push_back(wrong("two barriers", "divergent barrier", differentOnes, 64));
  cases.push_back(wrong("a barrier and a shuffle", "divergent barrier", barrierAndShuffle, 32));
  cases.push_back(wrong("two warp functions", "divergent warp function", differentShuffles, 32));
  cases.push_back(wrong("lane outside its mask", "leaves out the calling lane", outsideMask, 32));
  cases.push_back(wrong("shuffle from an absent lane", "does not take part", absentLane, 32));
  cases.push_back({"lanes that have ended", nullptr, [](Bench& b) {
                     float* y = b.output<float>(32);
                     CG_RETURN_IF_ERROR(b.run(endedLanes, dim3(1), dim3(32), 0, y));
                     return expectEqual(y[19], 20, "lanes");
                   }});
  cases.push_back({"votes of a block", nullptr, [](Bench& b) {
                     int* y = b.output<int>(64);
                     CG_RETURN_IF_ERROR(b.run(votes, dim3(1), dim3(64), 0, y));
                     for (int t = 0; t < 64; t++)
                       CG_RETURN_IF_ERROR(expectEqual(y[t], 1110, "vote"));
                     return Status();
                   }});
  cases.push_back({"shuffles", nullptr, [](Bench& b) {
                     int* y = b.output<int>(192);
                     CG_RETURN_IF_ERROR(b.run(shuffles, dim3(1), dim3(32), 0, y));
                     for (int t = 0; t < 32; t++) {
                       const int want[6] = {
                           3,     t < 2 ? t : t - 2,         t + 2 > 31 ? t : t + 2,
                           t ^ 5, t % 8 + 3 > 7 ? t : t + 3, t / 8 * 8 + 1};
                       for (int k = 0; k < 6; k++)
                         CG_RETURN_IF_ERROR(expectEqual(y[k * 32 + t], want[k], "shuffle"));
                     }
                     return Status();
                   }});
  cases.push_back({"reductions of a block", nullptr, [](Bench& b) {
                     float* y = b.output<float>(256);
                     CG_RETURN_IF_ERROR(b.run(sums<256>, dim3(1), dim3(256), 0, y));
                     for (int t = 0; t < 256; t++)
                       CG_RETURN_IF_ERROR(expectEqual(y[t], 255 * 128 + 256, "sum"));
                     return Status();
                   }});
}

}  // namespace callgrad::gpu
