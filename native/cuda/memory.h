// Device memory: the pooled allocator of tensors, and the scratch space of kernels. Neither asks
// the runtime for memory in a steady state.
#pragma once
#include <atomic>
#include <functional>
#include <vector>

#include "core/allocator.h"
#include "core/kernel.h"
#include "cuda/runtime.h"

namespace callgrad::gpu {

// Runs on the JS thread, see core/allocator.h.
class GpuAllocator final : public CachingAllocator {
 public:
  // `explain` says more of a failure that is no lack of memory: what the device did before shows in
  // any call.
  GpuAllocator(Runtime& runtime, int device, size_t limit, std::function<void()> drain,
               std::function<Status(const Status&)> explain)
      : CachingAllocator(limit),
        runtime_(runtime),
        device_(device),
        drain_(std::move(drain)),
        explain_(std::move(explain)) {}
  ~GpuAllocator() override { releaseAll(); }

 private:
  void waitForUsers() override { drain_(); }
  Status systemAllocate(size_t bytes, void** data) override;
  void systemFree(void* data, size_t bytes) override;
  std::string systemReport() override;

  Runtime& runtime_;
  const int device_;
  const std::function<void()> drain_;
  const std::function<Status(const Status&)> explain_;
};

// Chunks are never given back while the device is open: kernels in flight and recorded graphs still
// know their addresses.
class GpuScratch final : public Scratch {
 public:
  explicit GpuScratch(Runtime& runtime) : runtime_(runtime) {}
  ~GpuScratch() override;
  GpuScratch(const GpuScratch&) = delete;
  GpuScratch& operator=(const GpuScratch&) = delete;

  using Scratch::get;
  void* get(size_t bytes) override;
  void reset() override;
  size_t held() const override { return held_; }
  // From now on the runtime hears of every piece, on this stream (Runtime::addRegion).
  void report(StreamHandle stream) { reported_ = stream; }

 private:
  struct Chunk {
    char* data;
    size_t size, used;
  };
  Runtime& runtime_;
  void* take(size_t bytes);

  std::vector<Chunk> chunks_;
  StreamHandle reported_ = nullptr;
  std::atomic<size_t> held_ = 0;  // JS asks while the worker runs
};

}  // namespace callgrad::gpu
