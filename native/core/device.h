// A device: memory, an in-order stream, and a kernel for each op of the table.
//
// All methods are called on the JS thread but execute(), and none of them waits for the stream,
// except where it says so.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "core/kernel.h"
#include "core/kernel_counts.h"
#include "core/status.h"
#include "core/stream.h"
#include "ops/op_table.h"

namespace callgrad {

// What inference on the JS thread may ask of a device.
struct DeviceTraits {
  virtual ~DeviceTraits() = default;
  // Bytes and layout id of a weight [n, k] packed for y = x W^T (transposed = false) or dx = dy W
  // (true); layout 0 when the device keeps it plain.
  virtual void packedWeight(DType dtype, int64_t n, int64_t k, bool transposed, uint8_t* layout,
                            int64_t* bytes) const = 0;
};

class Device;

// One op call on its way to the stream's worker.
struct OpTask final : Stream::Task {
  Device* device = nullptr;
  int op = -1;
  OpCall call;
  Status run() override;
};

// Ops that were recorded once and can be queued again as a whole; see Device::beginRecording().
struct Recording {
  virtual ~Recording() = default;
};

class Device {
 public:
  using Completion = Stream::Completion;

  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual CachingAllocator& allocator() = 0;
  virtual const DeviceTraits& traits() const = 0;
  virtual Kernel kernel(int op) const = 0;  // null when the device has none
  virtual size_t scratchHeld() const = 0;   // bytes of kernels' scratch space

  virtual void submit(std::unique_ptr<OpTask> task) = 0;

  // cuBLAS, which benchmarks of products compare with (cuda/cublas.h): its name and version, and a
  // call run by it instead of our kernel, in stream order. An error says why it cannot be; what
  // fails on the stream is reported like a kernel's failure.
  virtual Status cublas(std::string* name) { return noCublas(); }
  virtual Status submitToCublas(std::unique_ptr<OpTask> task) { return noCublas(); }

  // Runs one op; on the stream's worker.
  virtual Status execute(int op, const OpCall& call) = 0;
  // Copies `from` before it returns; `to` is contiguous and changes in stream order.
  virtual void upload(const TensorView& to, const void* from) = 0;
  // Copies the rows of `from`, packed tightly, to host memory that lives until `done`, which is
  // called on another thread with the status or with the first error since the last completion.
  virtual void read(const TensorView& from, void* to, Completion done) = 0;
  virtual void sync(Completion done) = 0;

  // A stopwatch in stream order, for one measurement at a time: startTimer() is passed before what
  // is queued next runs; stopTimer() writes the microseconds since then, once everything before it
  // has run, to memory that lives until `done`. By the GPU's own events where there is one, else by
  // the clock of the stream's worker. An error where nothing was started.
  virtual void startTimer() = 0;
  virtual void stopTimer(double* microseconds, Completion done) = 0;

  // Between the two, submitted ops are recorded and not run; uploads, reads and syncs are refused
  // by the caller. Every replay() runs them on the memory that they were recorded with, which the
  // caller keeps.
  virtual Status beginRecording() = 0;
  virtual std::shared_ptr<Recording> endRecording() = 0;
  virtual void replay(std::shared_ptr<Recording> recording) = 0;
  bool recording() const { return recording_; }

  // Starts counting what kernels do anew, or ends it; returns the counts so far, by kernel. For
  // devices that are emulated; others count nothing. The stream is idle.
  virtual std::vector<KernelCounts> count(bool start) { return {}; }

  // Skips what has not started, from now on: whoever would read the results is gone.
  virtual void abandon() = 0;
  // Waits until everything queued has run. Only for shutting down, giving memory back and tests.
  virtual void drain() = 0;

 protected:
  static Status noCublas() { return error(Code::kDevice, "cuBLAS runs on cuda devices"); }
  bool recording_ = false;
};

inline Status timerNotStarted() {
  return error(Code::kDevice, "expected startTimer before stopTimer");
}

inline Status OpTask::run() { return device->execute(op, call); }

struct DeviceInfo {
  std::string name;
  bool available = false;
  std::string reason;  // why it is not available, and what to do about it
  std::string description;
  bool bf16 = false;          // whether bf16 arithmetic is faster than fp32 here
  bool replays = false;       // whether replaying recorded ops is cheaper than queueing them
  bool packed = false;        // whether its GEMM reads weights in layouts of its own
  std::string pciBusId = {};  // of a GPU: domain:bus:device.function
};

// One kind of device. Listing opens nothing and takes no memory on a device.
struct DeviceProvider {
  std::vector<DeviceInfo> (*list)();
  bool (*owns)(const std::string& name);
  Status (*open)(const std::string& name, std::unique_ptr<Device>* device);
};
DeviceProvider cpuDevices();
DeviceProvider cudaDevices();
DeviceProvider simtDevices();

// All devices, or with a name those of its kind.
std::vector<DeviceInfo> listDevices(const std::string& name = "");
Status openDevice(const std::string& name, std::unique_ptr<Device>* device);

}  // namespace callgrad
