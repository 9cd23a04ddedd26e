// What a kernel is given and how devices list their kernels. Shared by every device; header-only
// where a backend in a library of its own (simt) needs it.
#pragma once
#include <cstddef>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

#include "core/status.h"
#include "ops/op_table.h"

namespace callgrad {

namespace gpu {
struct Gpu;
struct ErrorSlot;
}  // namespace gpu

// Scratch memory for the kernel that is running: reused from call to call, never from the system in
// a steady state. Lives in the device's memory.
class Scratch {
 public:
  virtual ~Scratch() = default;
  // Aligned to 64 bytes on cpu, 256 on a GPU; valid until the next reset(). Throws std::bad_alloc
  // or a ScratchError when there is no memory: the stream reports it.
  virtual void* get(size_t bytes) = 0;
  template <typename T>
  T* get(size_t count) {
    return static_cast<T*>(get(count * sizeof(T)));
  }
  virtual void reset() = 0;
  virtual size_t held() const = 0;
};

// Thrown by Scratch::get() where the device can say more than std::bad_alloc.
class ScratchError : public std::bad_alloc {
 public:
  explicit ScratchError(Status status) : status_(std::move(status)) {}
  const char* what() const noexcept override { return status_.message().c_str(); }
  const Status& status() const { return status_; }

 private:
  Status status_;
};

struct KernelContext {
  Scratch& scratch;
  // On GPU devices only: how kernels are launched, and where they report values that do not fit
  // (cuda/gpu.h, cuda/device_errors.cuh).
  gpu::Gpu* gpu = nullptr;
  gpu::ErrorSlot* deviceErrors = nullptr;
};

// Runs on the stream's worker. Shapes and dtypes were checked on the JS thread; the values inside
// tables (token ids, segment bounds, page numbers) are the kernel's to check before it uses them as
// addresses.
using Kernel = Status (*)(const OpCall& call, KernelContext& context);

// Kernels of one device by the name of their op.
class KernelTable {
 public:
  void set(std::string_view op, Kernel kernel) { kernels_.emplace_back(op, kernel); }
  // In the order of opTable(); null where the device has none. Names that are no op are a mistake
  // of the one who registered them: the native tests look for them.
  std::vector<Kernel> resolve() const;
  const std::vector<std::pair<std::string_view, Kernel>>& entries() const { return kernels_; }

 private:
  std::vector<std::pair<std::string_view, Kernel>> kernels_;
};

}  // namespace callgrad
