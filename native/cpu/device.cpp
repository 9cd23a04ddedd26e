// The `cpu` device: host memory, a worker thread as its stream, kernels of the widest instruction
// set at hand.
#include "core/device.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "core/host_memory.h"
#include "core/host_scratch.h"
#include "core/parallel.h"
#include "cpu/isa.h"
#include "cpu/isa_kernels.h"
#include "cpu/memory_marks.h"
#include "cpu/onednn.h"

namespace callgrad {
namespace cpu {
namespace {

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
  void given(Block* b, size_t bytes) override { markBlock(stream_, b->data, b->size, bytes); }
  void taken(Block* b) override { markBlock(stream_, b->data, b->size, 0); }
  size_t redZone() const override { return kRedZone; }
  void systemFree(void* data, size_t bytes) override {
    unmark(data, bytes);
    CachingAllocator::systemFree(data, bytes);
  }
  Stream& stream_;
};

// Ops recorded on a host: a list of calls.
struct CpuRecording final : Recording {
  std::vector<std::unique_ptr<OpTask>> tasks;
};

class CpuDevice final : public Device {
 public:
  CpuDevice() : allocator_(hostMemory(), stream_) {
    KernelTable table;
    if (Register kernels = isaKernels(detectIsa())) kernels(table);
    kernels_ = table.resolve();
  }
  ~CpuDevice() override { stream_.drain(); }

  const char* name() const override { return "cpu"; }
  CachingAllocator& allocator() override { return allocator_; }
  const DeviceTraits& traits() const override { return traits_; }
  Kernel kernel(int op) const override { return kernels_[size_t(op)]; }
  size_t scratchHeld() const override { return scratch_.held(); }

  void submit(std::unique_ptr<OpTask> task) override {
    if (recording_)
      recorded_->tasks.push_back(std::move(task));
    else
      stream_.enqueue(std::move(task));
  }

  Status execute(int op, const OpCall& call) override {
    scratch_.reset();
    KernelContext context{scratch_};
    return kernels_[size_t(op)](call, context);
  }

  void upload(const TensorView& to, const void* from) override {
    const char* bytes = static_cast<const char*>(from);
    stream_.enqueue([to = to.data, data = std::vector<char>(
                                       bytes, bytes + size_t(to.numel()) * dtypeSize(to.dtype))] {
      if (!data.empty()) memcpy(to, data.data(), data.size());
      return Status();
    });
  }

  void read(const TensorView& v, void* to, Completion done) override {
    auto work = [v, to]() -> Status {
      if (v.numel() == 0) return {};  // of an empty array JS has no address
      const size_t size = dtypeSize(v.dtype), width = size_t(v.rowSize()) * size;
      if (v.contiguous()) {
        memcpy(to, v.data, size_t(v.numel()) * size);
      } else {
        for (int64_t r = 0; r < v.shape[0]; r++)
          memcpy(static_cast<char*>(to) + size_t(r) * width,
                 static_cast<char*>(v.data) + size_t(r * v.rowStride) * size, width);
      }
      return {};
    };
    stream_.complete(std::move(work), std::move(done));
  }

  void sync(Completion done) override { stream_.complete(nullptr, std::move(done)); }

  void startTimer() override {
    stream_.enqueue([this] {
      started_ = Clock::now();
      return Status();
    });
  }

  void stopTimer(double* microseconds, Completion done) override {
    auto work = [this, microseconds]() -> Status {
      if (!started_) return timerNotStarted();
      const std::chrono::duration<double, std::micro> passed = Clock::now() - *started_;
      *microseconds = passed.count();
      started_.reset();
      return {};
    };
    stream_.complete(std::move(work), std::move(done));
  }

  Status beginRecording() override {
    recorded_ = std::make_shared<CpuRecording>();
    recording_ = true;
    return {};
  }

  std::shared_ptr<Recording> endRecording() override {
    recording_ = false;
    return std::move(recorded_);
  }

  void replay(std::shared_ptr<Recording> recording) override {
    stream_.enqueue(
        [recorded = std::static_pointer_cast<CpuRecording>(std::move(recording))]() -> Status {
          for (const auto& task : recorded->tasks) CG_RETURN_IF_ERROR(task->run());
          return {};
        });
  }

  void abandon() override { stream_.abandon(); }
  void drain() override { stream_.drain(); }

 private:
  using Clock = std::chrono::steady_clock;
  std::optional<Clock::time_point> started_;  // the worker's
  CpuTraits traits_;
  std::vector<Kernel> kernels_;
  HostScratch scratch_;
  Stream stream_;
  CpuAllocator allocator_;
  std::shared_ptr<CpuRecording> recorded_;
};

std::string describe() {
  std::string s = std::to_string(threadCount()) +
                  (threadCount() == 1 ? " thread, " : " threads, ") + isaName(detectIsa()) +
                  (cpuHasAmxBf16() ? " with AMX" : "") + ", GEMM by " + gemmDescription();
  return s;
}

}  // namespace
}  // namespace cpu

DeviceProvider cpuDevices() {
  return {
      [] {
        return std::vector<DeviceInfo>{{"cpu", true, "", cpu::describe(),
                                        cpu::detectIsa() == cpu::Isa::kAvx512Bf16, false, true}};
      },
      [](const std::string& name) { return name == "cpu"; },
      [](const std::string&, std::unique_ptr<Device>* device) -> Status {
        initParallel();
        *device = std::make_unique<cpu::CpuDevice>();
        return {};
      }};
}

}  // namespace callgrad
