// Accesses that nothing orders, and what does order them.
#include "simt/selftest/cases.h"

namespace callgrad::gpu {
namespace {

template <bool kBarrier>
__global__ void neighbour(float* y) {
  CG_SHARED(float, part, [64]);
  part[threadIdx.x] = 0.0f;  // so that every order of the threads finds it written
  __syncthreads();
  part[threadIdx.x] = float(threadIdx.x);
  if (kBarrier) __syncthreads();
  y[threadIdx.x] = part[(threadIdx.x + 1) % 64];
}
// Read by all, then written again by one: the second barrier is the one that counts.
template <bool kBarrier>
__global__ void reuse(float* y) {
  CG_SHARED(float, part, [1]);
  float sum = 0;
  for (int i = 0; i < 4; i++) {
    if (threadIdx.x == 0) part[0] = float(i);
    __syncthreads();
    sum += part[0];
    if (kBarrier) __syncthreads();
  }
  y[threadIdx.x] = sum;
}
template <bool kBarrier>
__global__ void warpNeighbour(float* y) {
  CG_SHARED(float, part, [64]);
  part[threadIdx.x] = 0.0f;  // so that every order of the threads finds it written
  __syncthreads();
  part[threadIdx.x] = float(threadIdx.x);
  if (kBarrier) __syncwarp();
  y[threadIdx.x] = part[threadIdx.x ^ 1];
}
// A warp barrier orders a warp only.
__global__ void otherWarp(float* y) {
  CG_SHARED(float, part, [64]);
  part[threadIdx.x] = 0.0f;
  __syncthreads();
  part[threadIdx.x] = 1.0f;
  __syncwarp();
  y[threadIdx.x] = part[threadIdx.x ^ 32];
}
// Halves of a warp that meet apart.
template <bool kAcross>
__global__ void halves(float* y) {
  CG_SHARED(float, part, [32]);
  part[threadIdx.x] = 0.0f;
  __syncthreads();
  part[threadIdx.x] = 1.0f;
  __syncwarp(threadIdx.x < 16 ? 0x0000ffffu : 0xffff0000u);
  y[threadIdx.x] = part[threadIdx.x ^ (kAcross ? 16 : 1)];
}
// Shuffles and votes are no memory barriers.
__global__ void shuffleIsNoBarrier(float* y) {
  CG_SHARED(float, part, [32]);
  part[threadIdx.x] = 0.0f;
  __syncthreads();
  part[threadIdx.x] = 1.0f;
  const float v = __shfl_xor_sync(0xffffffffu, 1.0f, 1);
  y[threadIdx.x] = part[threadIdx.x ^ 1] + v;
}
__global__ void sameValue(int* y) { *y = 1; }
__global__ void blocks(float* y) { y[threadIdx.x] = 1.0f; }
__global__ void otherBlock(float* y) {
  y[blockIdx.x] = 1.0f;
  if (y[(blockIdx.x + 1) % gridDim.x] > 0.0f) y[gridDim.x + blockIdx.x] = 1.0f;
}
// Neighbouring 16-bit elements of different threads are different memory.
__global__ void halfWords(BFloat16* y) { y[threadIdx.x] = toBFloat16(float(threadIdx.x)); }

// The last block adds what all have left behind (threadFenceReduction of NVIDIA's samples).
template <bool kRelease, bool kAcquire, bool kBarrier>
__global__ void lastBlock(float* partial, int* counter, float* sum) {
  CG_SHARED(int, last);
  partial[blockIdx.x * blockDim.x + threadIdx.x] = 1.0f;
  if (kBarrier) __syncthreads();
  if (threadIdx.x == 0) {
    if (kRelease) __threadfence();
    last = atomicAdd(counter, 1) == int(gridDim.x) - 1;
    if (kAcquire) __threadfence();
  }
  __syncthreads();
  if (!last) return;
  if (threadIdx.x == 0) {
    float total = 0;
    for (unsigned i = 0; i < gridDim.x * blockDim.x; i++) total += partial[i];
    *sum = total;
  }
}
__global__ void atomicSum(int* sum) { atomicAdd(sum, 1); }
__global__ void atomicAndPlain(int* sum) {
  atomicAdd(sum, 1);
  if (threadIdx.x == 0) *sum = 0;
}
__global__ void mixedFlag(int* flag, int* y) {
  if (threadIdx.x == 0) st_relaxed(flag, 1);
  y[threadIdx.x] = ld_relaxed(flag) >= 0;
}

template <typename Kernel>
Case blockCase(const char* name, const char* expected, Kernel kernel, unsigned threads) {
  return {name, expected, [kernel, threads](Bench& b) {
            return b.run(kernel, dim3(1), dim3(threads), 0, b.output<float>(64));
          }};
}

template <typename Kernel>
Case lastBlockCase(const char* name, const char* expected, Kernel kernel) {
  return {name, expected, [kernel](Bench& b) {
            float* sum = b.output<float>(1, "sum");
            CG_RETURN_IF_ERROR(b.run(kernel, dim3(8), dim3(64), 0, b.output<float>(512, "partial"),
                                     b.inout(std::vector<int>(1), "counter"), sum));
            return expectEqual(*sum, 512, "sum");
          }};
}

}  // namespace

void addRaces(std::vector<Case>& cases) {
  cases.push_back(blockCase("neighbour behind a barrier", nullptr, neighbour<true>, 64));
  cases.push_back(
      blockCase("neighbour without a barrier", "race on shared part", neighbour<false>, 64));
  cases.push_back(blockCase("reuse behind a barrier", nullptr, reuse<true>, 64));
  cases.push_back(blockCase("reuse without a barrier", "race on shared part", reuse<false>, 64));
  cases.push_back(blockCase("warp barrier", nullptr, warpNeighbour<true>, 64));
  cases.push_back(blockCase("no warp barrier", "race on shared part", warpNeighbour<false>, 64));
  cases.push_back(blockCase("warp barrier across warps", "race on shared part", otherWarp, 64));
  cases.push_back(blockCase("barriers of half warps", nullptr, halves<false>, 32));
  cases.push_back(blockCase("half warps across", "race on shared part", halves<true>, 32));
  cases.push_back(
      blockCase("a shuffle is no barrier", "race on shared part", shuffleIsNoBarrier, 32));
  cases.push_back({"the same value by all", "race on y", [](Bench& b) {
                     return b.run(sameValue, dim3(1), dim3(32), 0, b.output<int>(1));
                   }});
  cases.push_back({"blocks on one place", "race on y", [](Bench& b) {
                     return b.run(blocks, dim3(2), dim3(32), 0, b.output<float>(32));
                   }});
  cases.push_back({"a block reads another's", "race on y", [](Bench& b) {
                     return b.run(otherBlock, dim3(4), dim3(1), 0,
                                  b.inout(std::vector<float>(8), "y"));
                   }});
  cases.push_back({"neighbouring halves of a word", nullptr, [](Bench& b) {
                     return b.run(halfWords, dim3(1), dim3(64), 0, b.output<BFloat16>(64));
                   }});
  cases.push_back(lastBlockCase("last block", nullptr, lastBlock<true, true, true>));
  cases.push_back(
      lastBlockCase("last block, no release", "race on partial", lastBlock<false, true, true>));
  cases.push_back(
      lastBlockCase("last block, no acquire", "race on partial", lastBlock<true, false, true>));
  cases.push_back(
      lastBlockCase("last block, no barrier", "race on partial", lastBlock<true, true, false>));
  cases.push_back({"atomics", nullptr, [](Bench& b) {
                     int* sum = b.inout(std::vector<int>(1), "sum");
                     CG_RETURN_IF_ERROR(b.run(atomicSum, dim3(8), dim3(64), 0, sum));
                     return expectEqual(*sum, 512, "sum");
                   }});
  cases.push_back({"atomic and plain", "race on sum", [](Bench& b) {
                     return b.run(atomicAndPlain, dim3(1), dim3(64), 0,
                                  b.inout(std::vector<int>(1), "sum"));
                   }});
  cases.push_back({"relaxed flag", nullptr, [](Bench& b) {
                     return b.run(mixedFlag, dim3(1), dim3(64), 0,
                                  b.inout(std::vector<int>(1), "flag"), b.output<int>(64));
                   }});
  // A launch is behind the one before it.
  cases.push_back({"launches are in order", nullptr, [](Bench& b) {
                     float* y = b.inout(std::vector<float>(32), "y");
                     CG_RETURN_IF_ERROR(b.run(blocks, dim3(1), dim3(32), 0, y));
                     return b.run(blocks, dim3(1), dim3(32), 0, y);
                   }});
}

}  // namespace callgrad::gpu
