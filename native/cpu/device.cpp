// The `cpu` device: host memory, a worker thread as its stream, kernels of the widest instruction
// set at hand.
#include "core/device.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "core/host_scratch.h"
#include "core/parallel.h"
#include "cpu/isa.h"
#include "cpu/isa_kernels.h"
#include "cpu/onednn.h"

namespace callgrad {
namespace cpu {
namespace {

// Physical memory, or the cgroup's limit where that is lower.
size_t memoryLimit() {
  size_t bytes = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  if (FILE* f = fopen("/sys/fs/cgroup/memory.max", "r")) {
    unsigned long long limit;
    if (fscanf(f, "%llu", &limit) == 1) bytes = std::min<size_t>(bytes, limit);
    fclose(f);
  }
  return bytes;
}

// A build may leave instruction sets out (CALLGRAD_ISAS): the widest one that is there and that the
// CPU has.
using Register = void (*)(KernelTable&);
Register isaKernels(Isa isa) {
  Register chosen = nullptr;
#ifdef CG_HAVE_ISA_baseline
  chosen = baseline::registerKernels;
#endif
#ifdef CG_HAVE_ISA_avx2
  if (isa >= Isa::kAvx2) chosen = avx2::registerKernels;
#endif
#ifdef CG_HAVE_ISA_avx512
  if (isa >= Isa::kAvx512) chosen = avx512::registerKernels;
#endif
#ifdef CG_HAVE_ISA_avx512bf16
  if (isa >= Isa::kAvx512Bf16) chosen = avx512bf16::registerKernels;
#endif
  return chosen;
}

struct CpuTraits final : DeviceTraits {
  void packedWeight(DType dtype, int64_t n, int64_t k, bool transposed, uint8_t* layout,
                    int64_t* bytes) const override {
    packedWeightLayout(dtype, n, k, transposed, layout, bytes);
  }
};

class CpuAllocator final : public CachingAllocator {
 public:
  CpuAllocator(size_t limit, Stream& stream) : CachingAllocator(limit), stream_(stream) {}
  ~CpuAllocator() override { releaseAll(); }

 private:
  void waitForUsers() override { stream_.drain(); }
  Stream& stream_;
};

class CpuDevice final : public Device {
 public:
  CpuDevice() : allocator_(memoryLimit(), stream_) {
    KernelTable table;
    if (Register kernels = isaKernels(detectIsa())) kernels(table);
    kernels_ = table.resolve();
  }
  const char* name() const override { return "cpu"; }
  CachingAllocator& allocator() override { return allocator_; }
  Stream& stream() override { return stream_; }
  const DeviceTraits& traits() const override { return traits_; }
  Kernel kernel(int op) const override { return kernels_[size_t(op)]; }
  Scratch& scratch() override { return scratch_; }
  ~CpuDevice() override { stream_.drain(); }

 private:
  CpuTraits traits_;
  std::vector<Kernel> kernels_;
  HostScratch scratch_;
  Stream stream_;
  CpuAllocator allocator_;
};

std::string describe() {
  std::string s = std::to_string(threadCount()) +
                  (threadCount() == 1 ? " thread, " : " threads, ") + isaName(detectIsa()) +
                  (cpuHasAmxBf16() ? " with AMX" : "") + ", GEMM by " + gemmDescription();
  return s;
}

}  // namespace
}  // namespace cpu

std::vector<DeviceInfo> listDevices() {
  return {{"cpu", true, "", cpu::describe(), cpu::detectIsa() == cpu::Isa::kAvx512Bf16}};
}

Status openDevice(const std::string& name, std::unique_ptr<Device>* device) {
  if (name == "cpu") {
    initParallel();
    *device = std::make_unique<cpu::CpuDevice>();
    return {};
  }
  return error(Code::kDevice, "expected one of the devices that devices() lists, got \"%.100s\"",
               name.c_str());
}

}  // namespace callgrad
