#include "cuda/device.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "cuda/cublas.h"
#include "cuda/device_errors.h"
#include "cuda/gpu.h"
#include "cuda/memory.h"
#include "cuda/reaper.h"
#include "cuda/regions.h"
#include "cuda/staging.h"

namespace callgrad::gpu {
namespace {

// Weights stay row-major: the GEMM reads tiles of either operand in either order.
struct PlainWeights final : DeviceTraits {
  void packedWeight(DType dtype, int64_t n, int64_t k, bool, uint8_t* layout,
                    int64_t* bytes) const override {
    *layout = 0;
    *bytes = n * k * int64_t(dtypeSize(dtype));
  }
};

// The ops and kernels launched since the last completion: the candidates for a fault that shows
// late. Written by the worker, read by the reaper.
class LaunchLog {
 public:
  void add(const char* op, const char* kernel) {
    std::lock_guard lock(mutex_);
    entries_[count_++ % entries_.size()] = {op, kernel};
  }
  uint64_t count() {
    std::lock_guard lock(mutex_);
    return count_;
  }
  // All that was launched before entry `count` has been done.
  void completed(uint64_t count) {
    std::lock_guard lock(mutex_);
    completed_ = std::max(completed_, count);
  }
  std::string candidates() {
    std::lock_guard lock(mutex_);
    const uint64_t open = count_ - completed_;
    if (open == 0) return "no op was running";
    if (open == 1) return "in " + names(1, 0);
    const uint64_t kept = std::min<uint64_t>(open, entries_.size());
    std::string text = "in one of " + std::to_string(open) + " ops";
    if (open <= 2 * kNamed) return text + ": " + names(open, 0);
    return text + ", the newest " + names(kNamed, 0) + ", the oldest " +
           (kept < open ? "that are known " : "") + names(kNamed, kept - kNamed);
  }

 private:
  struct Entry {
    const char *op, *kernel;
  };
  static constexpr uint64_t kNamed = 4;  // at either end

  // The newest first, without the `skipped` newest.
  std::string names(uint64_t count, uint64_t skipped) const {
    std::string text;
    for (uint64_t i = skipped; i < skipped + count; i++) {
      const Entry& e = entries_[(count_ - 1 - i) % entries_.size()];
      text += (i > skipped ? ", " : "") + std::string(e.op) +
              (e.kernel ? " (kernel " + std::string(e.kernel) + ")" : "");
    }
    return text;
  }

  std::mutex mutex_;
  std::array<Entry, 1024> entries_{};  // about as many as a GPU lets queue
  uint64_t count_ = 0, completed_ = 0;
};

struct GpuRecording final : Recording {
  Runtime* runtime = nullptr;
  GraphHandle graph = nullptr;  // null where recording failed
  ~GpuRecording() override {
    if (graph) runtime->destroyGraph(graph);
  }
};

class GpuDevice final : public Device {
 public:
  GpuDevice(const Backend& backend, const GpuOptions& options)
      : runtime_(*backend.runtime), options_(options), scratch_(runtime_) {
    KernelTable table;
    backend.registerKernels(table);
    kernels_ = table.resolve();
  }
  ~GpuDevice() override;
  Status open();

  const char* name() const override { return options_.name.c_str(); }
  CachingAllocator& allocator() override { return *allocator_; }
  const DeviceTraits& traits() const override { return traits_; }
  Kernel kernel(int op) const override { return kernels_[size_t(op)]; }
  size_t scratchHeld() const override { return scratch_.held(); }

  void submit(std::unique_ptr<OpTask> task) override { queue_->enqueue(std::move(task)); }
  Status cublas(std::string* name) override;
  Status submitToCublas(std::unique_ptr<OpTask> task) override;
  Status execute(int op, const OpCall& call) override;
  void upload(const TensorView& to, const void* from) override;
  void read(const TensorView& from, void* to, Completion done) override;
  void sync(Completion done) override;
  void startTimer() override;
  void stopTimer(double* microseconds, Completion done) override;

  Status beginRecording() override;
  std::shared_ptr<Recording> endRecording() override;
  void replay(std::shared_ptr<Recording> recording) override;

  std::vector<KernelCounts> count(bool start) override { return runtime_.count(start); }

  void abandon() override { queue_->abandon(); }
  void drain() override;

 private:
  // Copies one piece of a read out of its staging room (or reads the clock); called with the status
  // of the wait.
  using CopyOut = std::function<Status(const Status&)>;
  struct Begin;
  struct End;

  Status copyIn(char* to, const char* from, size_t bytes);
  Status queueRead(const TensorView& from, char* to, CopyOut* last);
  void finish(const Status& pending, Completion done, CopyOut copyOut);
  Status launched(const char* op, const char* kernel, Status status);
  Status explain(const char* op, const Status& status);
  Status lost(const Status& status);
  bool isLost();

  Runtime& runtime_;
  const GpuOptions options_;
  Properties properties_;
  const PlainWeights traits_;
  std::vector<Kernel> kernels_;
  StreamHandle stream_ = nullptr;
  LaunchLog log_;
  std::mutex lostMutex_;
  bool lost_ = false;
  std::shared_ptr<GpuRecording> recorded_;  // JS's

  // The worker's own.
  GpuScratch scratch_;
  Gpu gpu_{};
  ErrorSlot errors_{};
  uint64_t serial_ = 0;
  bool capturing_ = false;
  EventHandle timerStart_ = nullptr, timerStop_ = nullptr;  // null until first used
  bool timing_ = false;
  std::unique_ptr<Cublas> cublas_;  // null until first used
  Staging uploads_, downloads_;
  size_t uploadSection_ = 0, uploadRooms_ = 0;

  std::unique_ptr<GpuAllocator> allocator_;
  std::unique_ptr<Reaper> reaper_;
  std::unique_ptr<Stream> queue_;
};

// Opening and closing ----------------------------------------------------------------------------

// Of what is free when the device is opened, left to other processes, to code that the runtime has
// yet to load, to recordings and to kernels' scratch space.
size_t memoryKept(size_t total) { return std::min(total / 16, size_t(512) << 20); }

Status GpuDevice::open() {
  CG_RETURN_IF_ERROR(runtime_.use(options_.index));
  CG_RETURN_IF_ERROR(runtime_.properties(options_.index, &properties_));
  CG_RETURN_IF_ERROR(runtime_.createStream(&stream_));
  void* record = nullptr;
  CG_RETURN_IF_ERROR(runtime_.allocate(sizeof(ErrorRecord), &record));
  errors_.record = static_cast<ErrorRecord*>(record);
  CG_RETURN_IF_ERROR(runtime_.set(record, 0, sizeof(ErrorRecord), stream_));
  CG_RETURN_IF_ERROR(uploads_.open(runtime_));
  CG_RETURN_IF_ERROR(downloads_.open(runtime_));
  size_t free = 0, total = 0;
  CG_RETURN_IF_ERROR(runtime_.memoryInfo(&free, &total));
  gpu_ = {&runtime_, stream_, &properties_, ""};
  allocator_ = std::make_unique<GpuAllocator>(
      runtime_, options_.index, free - std::min(memoryKept(total), free), [this] { drain(); },
      [this](const Status& s) { return runtime_.sticky() ? lost(s) : s; });
  reaper_ = std::make_unique<Reaper>(runtime_, options_.index);
  queue_ = std::make_unique<Stream>();
  queue_->enqueue([this] { return runtime_.use(options_.index); });
  return {};
}

GpuDevice::~GpuDevice() {
  if (queue_) {
    queue_->drain();
    queue_.reset();   // joins the worker
    reaper_.reset();  // acts on what is left, then joins
  }
  if (stream_ && runtime_.use(options_.index).ok()) {
    static_cast<void>(runtime_.synchronize(stream_));  // a lost device has nothing left to wait for
    cublas_.reset();
    runtime_.destroyStream(stream_);
  }
  for (EventHandle event : {timerStart_, timerStop_})
    if (event) runtime_.destroyEvent(event);
  allocator_.reset();
  uploads_.close();
  downloads_.close();
  if (errors_.record) runtime_.free(errors_.record);
}

void GpuDevice::drain() {
  queue_->drain();
  reaper_->drain();
  if (recording_)
    return;  // a stream that records cannot be waited for; the reaper knew of all before (Begin)
  // Completions are not all: ops without one behind them may still be running.
  if (runtime_.use(options_.index).ok()) static_cast<void>(runtime_.synchronize(stream_));
}

// Ops --------------------------------------------------------------------------------------------

Status GpuDevice::execute(int op, const OpCall& call) {
  const char* name = opTable()[size_t(op)].name;
  if (isLost()) return lost({});
  scratch_.reset();
  gpu_.op = name;
  gpu_.kernel = nullptr;
  errors_.call = ++serial_ << 24 | (unsigned long long)(op) << 8;
  if (runtime_.checksAccesses()) {
    std::vector<Region> regions = regionsOf(opTable()[size_t(op)], call);
    regions.push_back({errors_.record, 1, sizeof(ErrorRecord), sizeof(ErrorRecord),
                       "the error record", true, false});
    runtime_.beginOp(regions.data(), regions.size(), stream_);
    scratch_.report(stream_);
  }
  KernelContext context{scratch_, &gpu_, &errors_};
  Status status;
  try {
    status = kernels_[size_t(op)](call, context);
  } catch (const ScratchError& e) {  // what the device did before shows in any call
    status = e.status();
  }
  return launched(name, gpu_.kernel, status);
}

// Notes what was launched, waits for it where ops are synchronous, and explains what went wrong.
Status GpuDevice::launched(const char* op, const char* kernel, Status status) {
  if (!capturing_) log_.add(op, kernel);  // what is recorded does not run
  if (status.ok() && options_.synchronous && !capturing_) {
    status = runtime_.synchronize(stream_);
    if (status.ok()) log_.completed(log_.count());
  }
  return status.ok() ? status : explain(op, status);
}

// A failure with the op and the kernel that it came from.
Status GpuDevice::explain(const char* op, const Status& status) {
  if (status.code() != Code::kDevice || status.message().rfind('[', 0) == 0) return status;
  if (runtime_.sticky()) return lost(status);
  return Status(Code::kDevice,
                "[" + std::string(op) + "] " +
                    (gpu_.kernel ? "kernel " + std::string(gpu_.kernel) + ": " : "") +
                    status.message());
}

Status GpuDevice::cublas(std::string* name) {
  if (!options_.cublas) return noCublas();
  const CublasLibrary* library = nullptr;
  CG_RETURN_IF_ERROR(openCublas(&library));
  *name = cublasName(*library);
  return {};
}

Status GpuDevice::submitToCublas(std::unique_ptr<OpTask> task) {
  if (!options_.cublas) return noCublas();
  const char* op = opTable()[size_t(task->op)].name;
  CublasProduct product;
  CG_RETURN_IF_ERROR(cublasProduct(op, task->call, &product));
  const CublasLibrary* library = nullptr;
  CG_RETURN_IF_ERROR(openCublas(&library));
  queue_->enqueue([this, op, product, library]() -> Status {
    if (isLost()) return lost({});
    Status status = cublas_ ? Status() : Cublas::open(*library, stream_, &cublas_);
    if (status.ok()) status = cublas_->multiply(product);
    gpu_.kernel = nullptr;
    return launched(op, "of cuBLAS", status);
  });
  return {};
}

bool GpuDevice::isLost() {
  std::lock_guard lock(lostMutex_);
  return lost_;
}

// The first time all that is known, then that it happened.
Status GpuDevice::lost(const Status& status) {
  std::lock_guard lock(lostMutex_);
  if (lost_)
    return error(Code::kDevice,
                 "[%s] the device cannot be used since an earlier error; start a new "
                 "process",
                 name());
  lost_ = true;
  return Status(Code::kDevice,
                "[" + options_.name + "] " + status.message() + ", " + log_.candidates() +
                    "; the device cannot be used any more in this process" +
                    (options_.synchronous ? "" : " (CALLGRAD_CUDA_SYNC=1 finds the op)"));
}

// Copies -----------------------------------------------------------------------------------------

void GpuDevice::upload(const TensorView& to, const void* from) {
  const size_t bytes = size_t(to.numel()) * dtypeSize(to.dtype);
  const char* begin = static_cast<const char*>(from);
  queue_->enqueue(
      [this, to = static_cast<char*>(to.data), data = std::vector<char>(begin, begin + bytes)] {
        return copyIn(to, data.data(), data.size());
      });
}

// On the worker: through the ring of pinned memory; waits where the GPU is a whole ring behind.
Status GpuDevice::copyIn(char* to, const char* from, size_t bytes) {
  if (isLost()) return lost({});
  for (size_t at = 0; at < bytes; at += Staging::kSection) {
    const size_t n = std::min(Staging::kSection, bytes - at);
    const Staging::Room room = uploads_.take(n);
    if (room.section != uploadSection_) {
      reaper_->after(stream_, {},
                     [this, section = uploadSection_, rooms = uploadRooms_](const Status&) {
                       uploads_.release(section, rooms);
                     });
      uploadSection_ = room.section;
      uploadRooms_ = 0;
    }
    uploadRooms_++;
    memcpy(room.data, from + at, n);
    if (Status s = runtime_.upload(to + at, room.data, n, stream_); !s.ok())
      return runtime_.sticky() ? lost(s) : s;
  }
  return {};
}

void GpuDevice::read(const TensorView& from, void* to, Completion done) {
  queue_->complete(nullptr, [this, from, to = static_cast<char*>(to),
                             done = std::move(done)](const Status& pending) {
    CopyOut copyOut;
    Status status = pending;
    if (status.ok()) status = queueRead(from, to, &copyOut);
    finish(status, done, std::move(copyOut));
  });
}

void GpuDevice::sync(Completion done) {
  queue_->complete(nullptr, [this, done = std::move(done)](const Status& pending) {
    finish(pending, done, nullptr);
  });
}

void GpuDevice::startTimer() {
  queue_->enqueue([this]() -> Status {
    if (isLost()) return lost({});
    if (!timerStart_) CG_RETURN_IF_ERROR(runtime_.createTimer(&timerStart_));
    if (!timerStop_) CG_RETURN_IF_ERROR(runtime_.createTimer(&timerStop_));
    CG_RETURN_IF_ERROR(runtime_.record(timerStart_, stream_));
    timing_ = true;
    return {};
  });
}

void GpuDevice::stopTimer(double* microseconds, Completion done) {
  queue_->complete(nullptr, [this, microseconds, done = std::move(done)](const Status& pending) {
    Status status = pending;
    if (status.ok() && !timing_) status = timerNotStarted();
    if (status.ok()) status = runtime_.record(timerStop_, stream_);
    timing_ = false;
    CopyOut readClock;
    if (status.ok())
      readClock = [this, microseconds](const Status& waited) {
        return waited.ok() ? runtime_.elapsed(timerStart_, timerStop_, microseconds) : waited;
      };
    finish(status, done, std::move(readClock));
  });
}

// Queues the copies of a read, piece by piece through pinned memory; the last piece is copied out
// by whoever finishes the read.
Status GpuDevice::queueRead(const TensorView& v, char* to, CopyOut* last) {
  if (v.numel() == 0) return {};
  if (isLost()) return lost({});
  const size_t size = dtypeSize(v.dtype);
  const bool dense = v.contiguous();
  const size_t width = size_t(dense ? v.numel() : v.rowSize()) * size;
  const size_t stride = dense ? width : size_t(v.rowStride) * size;
  const size_t rows = dense ? 1 : size_t(v.shape[0]);
  const size_t piece = std::min(width, Staging::kSection);
  const size_t together = piece < width ? 1 : std::max<size_t>(1, Staging::kSection / width);
  for (size_t r = 0; r < rows; r += together) {
    for (size_t at = 0; at < width; at += piece) {
      if (*last) reaper_->after(stream_, {}, std::move(*last));
      const size_t n = std::min(piece, width - at), count = std::min(together, rows - r);
      const Staging::Room room = downloads_.take(n * count);
      *last = [this, room, to = to + r * width + at, bytes = n * count](const Status& waited) {
        if (waited.ok()) memcpy(to, room.data, bytes);
        downloads_.release(room.section);
        return Status();
      };
      const char* from = static_cast<char*>(v.data) + r * stride + at;
      if (Status s = runtime_.download(room.data, from, n, stride, count, stream_); !s.ok())
        return runtime_.sticky() ? lost(s) : s;
    }
  }
  return {};
}

// A completion: takes the error record off the device with it, in stream order. `pending` is what
// went wrong on the host.
void GpuDevice::finish(const Status& pending, Completion done, CopyOut copyOut) {
  const Staging::Room room = downloads_.take(sizeof(ErrorRecord));
  Status queued;
  if (isLost()) queued = lost({});
  if (queued.ok())
    queued = runtime_.download(room.data, errors_.record, sizeof(ErrorRecord), sizeof(ErrorRecord),
                               1, stream_);
  if (queued.ok()) queued = runtime_.set(errors_.record, 0, sizeof(ErrorRecord), stream_);
  reaper_->after(stream_, queued,
                 [this, room, pending, launched = log_.count(), done = std::move(done),
                  copyOut = std::move(copyOut)](const Status& waited) {
                   ErrorRecord record{};
                   if (waited.ok()) {
                     memcpy(&record, room.data, sizeof record);
                     log_.completed(launched);
                   }
                   const Status copied = copyOut ? copyOut(waited) : Status();
                   downloads_.release(room.section);
                   // Ops behind a failed one are skipped: what the device found came first.
                   Status status = waited.ok() ? faultStatus(record) : Status();
                   if (status.ok()) status = pending;
                   if (status.ok() && !waited.ok())
                     status = runtime_.sticky() ? lost(waited) : waited;
                   done(status.ok() ? copied : status);
                 });
}

// Recordings -------------------------------------------------------------------------------------

struct GpuDevice::Begin final : Stream::Task {
  GpuDevice* device;
  std::shared_ptr<GpuRecording> recorded;
  Status run() override {
    // A drain while the stream records waits for the reaper, and so for what was launched before.
    device->reaper_->after(device->stream_, {}, [](const Status&) {});
    CG_RETURN_IF_ERROR(device->runtime_.beginRecording(device->stream_));
    device->capturing_ = true;
    return {};
  }
};

// Ends what Begin began, also where an op in between failed.
struct GpuDevice::End final : Stream::Task {
  GpuDevice* device;
  std::shared_ptr<GpuRecording> recorded;
  Status run() override {
    if (!device->capturing_) return {};
    device->capturing_ = false;
    return device->runtime_.endRecording(device->stream_, &recorded->graph);
  }
  void skipped() override {
    if (run().ok() && recorded->graph) recorded->runtime->destroyGraph(recorded->graph);
    recorded->graph = nullptr;
  }
};

Status GpuDevice::beginRecording() {
  recorded_ = std::make_shared<GpuRecording>();
  recorded_->runtime = &runtime_;
  auto task = std::make_unique<Begin>();
  task->device = this;
  task->recorded = recorded_;
  queue_->enqueue(std::move(task));
  recording_ = true;
  return {};
}

std::shared_ptr<Recording> GpuDevice::endRecording() {
  auto task = std::make_unique<End>();
  task->device = this;
  task->recorded = recorded_;
  queue_->enqueue(std::move(task));
  recording_ = false;
  return std::move(recorded_);
}

void GpuDevice::replay(std::shared_ptr<Recording> recording) {
  queue_->enqueue(
      [this, recorded = std::static_pointer_cast<GpuRecording>(std::move(recording))]() -> Status {
        if (isLost()) return lost({});
        if (!recorded->graph)
          return error(Code::kDevice, "[replay] expected a recording that succeeded");
        gpu_.kernel = nullptr;
        return launched("replay", nullptr, runtime_.replay(recorded->graph, stream_));
      });
}

}  // namespace

Status openGpu(const Backend& backend, const GpuOptions& options, std::unique_ptr<Device>* device) {
  auto gpu = std::make_unique<GpuDevice>(backend, options);
  CG_RETURN_IF_ERROR(gpu->open());
  *device = std::move(gpu);
  return {};
}

}  // namespace callgrad::gpu
