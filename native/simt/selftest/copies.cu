// cp.async: what may be read when, and what arrives.
#include "simt/selftest/cases.h"

namespace callgrad::gpu {
namespace {

template <bool kWait, bool kBarrier>
__global__ void stage(const float* x, float* y) {
  CG_SHARED(float, tile, [128]);
  cp_async_16(sharedAddress(tile + 4 * threadIdx.x), x + 4 * threadIdx.x);
  cp_async_commit();
  if (kWait) cp_async_wait<0>();
  if (kBarrier) __syncthreads();
  y[threadIdx.x] = tile[(4 * threadIdx.x + 4) % 128];
}
// Two stages; the wait must leave one group under way, not two.
template <int kPending, bool kSecondBarrier>
__global__ void pipeline(const float* x, float* y, int steps) {
  CG_SHARED(float, tile, [2][32]);
  float sum = 0;
  const auto start = [&](int step) {
    if (step < steps)
      cp_async_4(sharedAddress(&tile[step % 2][threadIdx.x]), x + 32 * step + threadIdx.x);
    cp_async_commit();
  };
  start(0);
  for (int i = 0; i < steps; i++) {
    start(i + 1);
    cp_async_wait<kPending>();
    __syncthreads();
    sum += tile[i % 2][31 - threadIdx.x];
    if (kSecondBarrier) __syncthreads();
  }
  y[threadIdx.x] = sum;
}
__global__ void zeroFill(const float* x, float* y) {
  CG_SHARED(float, tile, [128]);
  cp_async_16(sharedAddress(tile + 4 * threadIdx.x), x, threadIdx.x % 2 ? 8 : 0);
  cp_async_wait_all();
  __syncthreads();
  for (int i = 0; i < 4; i++) y[4 * threadIdx.x + i] = tile[4 * threadIdx.x + i];
}
template <bool kWait>
__global__ void overwrite(const float* x, float* y) {
  CG_SHARED(float, tile, [128]);
  cp_async_16(sharedAddress(tile + 4 * threadIdx.x), x + 4 * threadIdx.x);
  if (kWait) cp_async_wait_all();
  tile[4 * threadIdx.x] = 1.0f;
  y[threadIdx.x] = tile[4 * threadIdx.x];
}
__global__ void misaligned(const float* x) {
  CG_SHARED(float, tile, [128]);
  cp_async_16(sharedAddress(tile + 1), x);
  cp_async_wait_all();
}
__global__ void fromBeyond(const float* x) {
  CG_SHARED(float, tile, [128]);
  cp_async_16(sharedAddress(tile + 4 * threadIdx.x), x + 4 * threadIdx.x);
  cp_async_wait_all();
}

std::vector<float> counted(int n) {
  std::vector<float> v(static_cast<size_t>(n));
  for (int i = 0; i < n; i++) v[size_t(i)] = float(i);
  return v;
}

// A kernel that copies 128 numbers to shared memory and gives 32 back, of which element 3 is known.
template <typename Kernel>
Case stageCase(const char* name, const char* expected, double element, Kernel kernel) {
  return {name, expected, [element, kernel](Bench& b) {
            float* y = b.output<float>(32);
            CG_RETURN_IF_ERROR(b.run(kernel, dim3(1), dim3(32), 0, b.input(counted(128)), y));
            return expectEqual(y[3], element, "element");
          }};
}
template <typename Kernel>
Case pipelineCase(const char* name, const char* expected, Kernel kernel) {
  return {name, expected, [kernel](Bench& b) {
            float* y = b.output<float>(32);
            CG_RETURN_IF_ERROR(b.run(kernel, dim3(1), dim3(32), 0, b.input(counted(160)), y, 5));
            return expectEqual(y[0], 31 * 5 + 320, "sum");
          }};
}

}  // namespace

void addCopies(std::vector<Case>& cases) {
  cases.push_back(stageCase("cp.async, wait, barrier", nullptr, 16, stage<true, true>));
  cases.push_back(
      stageCase("cp.async without wait", "cp.async data before its wait", 16, stage<false, true>));
  // The wait is the thread's own: others need the barrier, whether the data has landed or not.
  cases.push_back(stageCase("cp.async without barrier", "shared tile", 16, stage<true, false>));
  cases.push_back(pipelineCase("pipeline", nullptr, pipeline<1, true>));
  cases.push_back(pipelineCase("pipeline that waits for too little",
                               "cp.async data before its wait", pipeline<2, true>));
  cases.push_back(
      pipelineCase("pipeline that overwrites what others read", "shared tile", pipeline<1, false>));
  cases.push_back(stageCase("cp.async, wait, store", nullptr, 1, overwrite<true>));
  cases.push_back(stageCase("store to where a cp.async is not waited for",
                            "cp.async may still land", 1, overwrite<false>));
  cases.push_back(
      {"zero fill", nullptr, [](Bench& b) {
         float* y = b.output<float>(128);
         CG_RETURN_IF_ERROR(b.run(zeroFill, dim3(1), dim3(32), 0, b.input(counted(4)), y));
         for (int i = 0; i < 128; i++)
           CG_RETURN_IF_ERROR(expectEqual(y[i], i / 4 % 2 && i % 4 < 2 ? i % 4 : 0, "element"));
         return Status();
       }});
  cases.push_back({"misaligned cp.async", "misaligned access of 16 bytes", [](Bench& b) {
                     return b.run(misaligned, dim3(1), dim3(1), 0, b.input(counted(8)));
                   }});
  cases.push_back({"cp.async from beyond", "out of bounds: read of 16 bytes", [](Bench& b) {
                     return b.run(fromBeyond, dim3(1), dim3(32), 0, b.input(counted(127)));
                   }});
}

}  // namespace callgrad::gpu
