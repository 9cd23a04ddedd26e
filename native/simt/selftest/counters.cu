// Counters against what can be worked out by hand. The fast build counts no memory.
#include "simt/selftest/cases.h"

namespace callgrad::gpu {
namespace {

__global__ void strided(const float* x, float* y, int stride) {
  const int i = int(blockIdx.x * blockDim.x + threadIdx.x);
  y[i] = x[i * stride];
}
__global__ void banks(float* y, int stride) {
  CG_DYNAMIC_SHARED(float, tile);
  tile[int(threadIdx.x) * stride] = 1.0f;
  __syncthreads();
  y[threadIdx.x] = tile[int(threadIdx.x) * stride];
}
__global__ void wide(const float* x, float* y) {
  st16(y + 4 * threadIdx.x, ld16(x + 4 * threadIdx.x));
}

// A vector whose elements are used apart is one access all the same.
__global__ void apart(const float* x, float* y) {
  float v[4];
  loadStream(v, x + 4 * threadIdx.x);
  y[threadIdx.x] = v[0] + v[1] * v[2] - v[3];
}

template <typename Run>
Status counted(Bench& b, KernelCounts* counts, Run run) {
  Runtime& runtime = *b.gpu.runtime;
  runtime.count(true);
  const Status status = run();
  const std::vector<KernelCounts> list = runtime.count(false);
  CG_RETURN_IF_ERROR(status);
  if (list.size() != 1) return error(Code::kInternal, "expected the counts of one kernel");
  *counts = list[0];
  return {};
}

Case stridedCase(const char* name, int stride, double sectors, double unique) {
  return {name, nullptr, [=](Bench& b) {
            KernelCounts c;
            CG_RETURN_IF_ERROR(counted(b, &c, [&] {
              return b.run(strided, dim3(2), dim3(64), 0,
                           b.input(std::vector<float>(size_t(128 * stride))), b.output<float>(128),
                           stride);
            }));
            CG_RETURN_IF_ERROR(expectEqual(double(c.threads), 128, "threads"));
            if (!b.gpu.runtime->checksAccesses()) return Status();
            CG_RETURN_IF_ERROR(expectEqual(double(c.readSectors), sectors, "sectors read"));
            CG_RETURN_IF_ERROR(expectEqual(double(c.readUnique), unique, "different sectors read"));
            return expectEqual(double(c.writeSectors), 16, "sectors written");
          }};
}

Case bankCase(const char* name, int stride, double waves) {
  return {name, nullptr, [=](Bench& b) {
            KernelCounts c;
            CG_RETURN_IF_ERROR(counted(b, &c, [&] {
              return b.run(banks, dim3(1), dim3(32), size_t(128 * stride), b.output<float>(32),
                           stride);
            }));
            CG_RETURN_IF_ERROR(expectEqual(double(c.barriers), 1, "barriers"));
            if (!b.gpu.runtime->checksAccesses()) return Status();
            CG_RETURN_IF_ERROR(expectEqual(double(c.sharedLeast), 2, "least passes"));
            return expectEqual(double(c.sharedWaves), waves, "passes");
          }};
}

}  // namespace

void addCounters(std::vector<Case>& cases) {
  cases.push_back(stridedCase("coalesced sectors", 1, 16, 16));
  cases.push_back(stridedCase("strided sectors", 8, 128, 128));
  cases.push_back(bankCase("no bank conflicts", 1, 2));
  cases.push_back(bankCase("odd stride", 33, 2));
  cases.push_back(bankCase("four-way conflicts", 4, 8));
  cases.push_back(bankCase("all in one bank", 32, 64));
  cases.push_back({"elements of a vector", nullptr, [](Bench& b) {
                     KernelCounts c;
                     CG_RETURN_IF_ERROR(counted(b, &c, [&] {
                       return b.run(apart, dim3(1), dim3(32), 0, b.input(std::vector<float>(128)),
                                    b.output<float>(32));
                     }));
                     if (!b.gpu.runtime->checksAccesses()) return Status();
                     return expectEqual(double(c.readSectors), 16, "sectors");
                   }});
  cases.push_back({"wide accesses", nullptr, [](Bench& b) {
                     KernelCounts c;
                     CG_RETURN_IF_ERROR(counted(b, &c, [&] {
                       return b.run(wide, dim3(1), dim3(32), 0, b.input(std::vector<float>(128)),
                                    b.output<float>(128));
                     }));
                     if (!b.gpu.runtime->checksAccesses()) return Status();
                     CG_RETURN_IF_ERROR(expectEqual(double(c.readSectors), 16, "sectors"));
                     return expectEqual(double(c.leastSectors), 32, "least sectors");
                   }});
}

}  // namespace callgrad::gpu
