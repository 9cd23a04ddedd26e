// Accesses outside of what a kernel was given, of memory that nobody wrote, and misaligned ones.
#include "simt/selftest/cases.h"

namespace callgrad::gpu {
namespace {

__global__ void copyKernel(const float* x, float* y, int n) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) y[i] = x[i];
}
__global__ void copyWithoutCheck(const float* x, float* y) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  y[i] = x[i];
}
__global__ void before(const float* x, float* y) { y[threadIdx.x] = x[int(threadIdx.x) - 1]; }
__global__ void intoInput(float* x) { x[threadIdx.x] = 1.0f; }
__global__ void readOutput(float* y, float* z) { z[threadIdx.x] = y[threadIdx.x] + 1.0f; }
__global__ void pastStatic(float* y) {
  CG_SHARED(float, first, [8]);
  CG_SHARED(float, second, [8]);
  first[threadIdx.x] = 1.0f;
  if (threadIdx.x < 8) second[threadIdx.x] = 2.0f;
  y[threadIdx.x] = first[threadIdx.x];
}
__global__ void dynamic(float* y, int past) {
  CG_DYNAMIC_SHARED(float, tile);
  tile[int(threadIdx.x) + past] = 1.0f;
  y[threadIdx.x] = tile[int(threadIdx.x) + past];
}
__global__ void sharedUnwritten(float* y) {
  CG_SHARED(float, part, [32]);
  if (threadIdx.x < 16) part[threadIdx.x] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = part[threadIdx.x];
}
// Statics of the block before are not those of this one.
__global__ void sharedOfOtherBlock(float* y) {
  CG_SHARED(float, part, [32]);
  if (y[0] != 0.0f) part[threadIdx.x] = 1.0f;
  y[blockIdx.x * 32 + threadIdx.x] = part[threadIdx.x];
}
__global__ void vectors(const float* x, float* y, int offset) {
  const uint4 v = ld16(x + offset + 4 * threadIdx.x);
  st16(y + 4 * threadIdx.x, v);
}
__global__ void castVectors(const float* x, float* y, int offset) {
  const float4 v = *reinterpret_cast<const float4*>(x + offset + 4 * threadIdx.x);
  *reinterpret_cast<float4*>(y + 4 * threadIdx.x) = v;
}
constexpr float table[4] = {1, 2, 3, 4};
__global__ void constants(float* y, int i) { y[threadIdx.x] = table[(int(threadIdx.x) + i) % 4]; }

std::vector<float> ones(size_t n) { return std::vector<float>(n, 1.0f); }

}  // namespace

void addBounds(std::vector<Case>& cases) {
  cases.push_back({"copy", nullptr, [](Bench& b) {
                     return b.run(copyKernel, dim3(4), dim3(32), 0, b.input(ones(100)),
                                  b.output<float>(100), 100);
                   }});
  cases.push_back({"read past the end", "4 bytes 0 bytes past the end of x", [](Bench& b) {
                     return b.run(copyWithoutCheck, dim3(4), dim3(32), 0, b.input(ones(127)),
                                  b.output<float>(128));
                   }});
  cases.push_back({"write past the end", "4 bytes 0 bytes past the end of y", [](Bench& b) {
                     return b.run(copyWithoutCheck, dim3(4), dim3(32), 0, b.input(ones(128)),
                                  b.output<float>(127));
                   }});
  cases.push_back({"read before the start", "4 bytes before x", [](Bench& b) {
                     return b.run(before, dim3(1), dim3(32), 0, b.input(ones(32)),
                                  b.output<float>(32));
                   }});
  cases.push_back({"null", "out of bounds", [](Bench& b) {
                     return b.run(copyKernel, dim3(1), dim3(32), 0, nullptr, b.output<float>(32),
                                  32);
                   }});
  cases.push_back({"write to an input", "write to the input x", [](Bench& b) {
                     return b.run(intoInput, dim3(1), dim3(32), 0,
                                  const_cast<float*>(b.input(ones(32))));
                   }});
  cases.push_back({"unwritten output", "memory that nobody wrote: y", [](Bench& b) {
                     return b.run(readOutput, dim3(1), dim3(32), 0, b.output<float>(32),
                                  b.output<float>(32, "z"));
                   }});
  cases.push_back({"past a static array", "past the end of shared first", [](Bench& b) {
                     return b.run(pastStatic, dim3(1), dim3(9), 0, b.output<float>(32));
                   }});
  cases.push_back({"static arrays", nullptr, [](Bench& b) {
                     return b.run(pastStatic, dim3(1), dim3(8), 0, b.output<float>(32));
                   }});
  cases.push_back({"dynamic shared memory", nullptr, [](Bench& b) {
                     return b.run(dynamic, dim3(1), dim3(32), 128, b.output<float>(32), 0);
                   }});
  cases.push_back(
      {"past dynamic shared memory", "past the end of dynamic shared memory",
       [](Bench& b) { return b.run(dynamic, dim3(1), dim3(32), 128, b.output<float>(32), 1); }});
  cases.push_back(
      {"unwritten shared memory", "memory that nobody wrote: shared part",
       [](Bench& b) { return b.run(sharedUnwritten, dim3(1), dim3(32), 0, b.output<float>(32)); }});
  cases.push_back(
      {"shared memory of another block", "memory that nobody wrote: shared part", [](Bench& b) {
         return b.run(sharedOfOtherBlock, dim3(2), dim3(32), 0, b.inout(std::vector<float>(64)));
       }});
  cases.push_back({"aligned vectors", nullptr, [](Bench& b) {
                     return b.run(vectors, dim3(1), dim3(8), 0, b.input(ones(64)),
                                  b.output<float>(32), 4);
                   }});
  cases.push_back({"misaligned vectors", "misaligned access of 16 bytes", [](Bench& b) {
                     return b.run(vectors, dim3(1), dim3(8), 0, b.input(ones(64)),
                                  b.output<float>(32), 3);
                   }});
  cases.push_back({"misaligned cast", "misaligned access", [](Bench& b) {
                     return b.run(castVectors, dim3(1), dim3(8), 0, b.input(ones(64)),
                                  b.output<float>(32), 2);
                   }});
  cases.push_back({"constant tables", nullptr, [](Bench& b) {
                     return b.run(constants, dim3(1), dim3(8), 0, b.output<float>(8), 1);
                   }});
}

}  // namespace callgrad::gpu
