// The GPU device over a runtime that is held back, runs out of memory or breaks at will. Prints a
// line for each test; the exit code is the number of those that failed.
#include "cuda/device.h"

#include <atomic>
#include <cstdio>
#include <future>

#include "cuda/device_errors.h"
#include "cuda/gpu.h"
#include "cuda/providers.h"
#include "native/expect.h"
#include "native/gpu/fake_runtime.h"

namespace callgrad::gpu {
namespace {

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// Kernels: fill sets every element, scale multiplies by a fixed 2 with scratch space, add reports a
// bad value.
struct Fill {
  float* x;
  int64_t n;
  float value;
};
struct Report {
  ErrorRecord* record;
  unsigned long long call;
};

template <typename Arguments>
Status launchAs(KernelContext& context, const char* name, void (*invoke)(const void*),
                Arguments a) {
  Launch l{};
  l.name = context.gpu->kernel = name;
  l.invoke = invoke;
  l.packed = &a;
  l.packedBytes = sizeof a;
  return context.gpu->runtime->launch(l, context.gpu->stream);
}

Status fill(const OpCall& c, KernelContext& context) {
  context.scratch.get<float>(1 << 16);
  return launchAs(
      context, "fillKernel",
      [](const void* packed) {
        const Fill& f = *static_cast<const Fill*>(packed);
        for (int64_t i = 0; i < f.n; i++) f.x[i] = f.value;
      },
      Fill{c.in[0].as<float>(), c.in[0].numel(), float(c.attr[0])});
}

Status columnSum(const OpCall&, KernelContext& context) {
  return launchAs(
      context, "reportKernel",
      [](const void* packed) {
        const Report& r = *static_cast<const Report*>(packed);
        if (r.record->owner) return;
        r.record->owner = r.call | uint64_t(Fault::kTokenId);
        r.record->where = settled(7, -3);
        r.record->limit = 10;
      },
      Report{context.deviceErrors->record, context.deviceErrors->call});
}

void registerKernels(KernelTable& table) {
  table.set("fill", fill);
  table.set("columnSum", columnSum);
}

template <typename F>
bool soon(F holds) {
  for (int i = 0; i < 5000 && !holds(); i++)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return holds();
}

// The calls of a test on a device.
struct Calls {
  std::unique_ptr<Device> device;

  TensorView tensor(int64_t n) {
    CachingAllocator::Block* block = nullptr;
    EXPECT(device->allocator().allocate(size_t(n) * 4, &block).ok());
    TensorView v;
    v.data = block->data;
    v.rank = 1;
    v.shape[0] = n;
    v.rowStride = 1;
    return v;
  }
  void run(const char* op, const TensorView& x, double value = 0) {
    auto task = std::make_unique<OpTask>();
    task->device = device.get();
    task->op = findOp(op);
    for (TensorView& v : task->call.in) v = TensorView::absent();
    for (TensorView& v : task->call.out) v = TensorView::absent();
    task->call.in[0] = x;
    task->call.attr[0] = value;
    device->submit(std::move(task));
  }
  std::future<Status> read(const TensorView& x, std::vector<float>* to) {
    to->assign(size_t(x.numel()), -1);
    auto promise = std::make_shared<std::promise<Status>>();
    device->read(x, to->data(), [promise](const Status& s) { promise->set_value(s); });
    return promise->get_future();
  }
  std::future<Status> stopTimer(double* microseconds) {
    auto promise = std::make_shared<std::promise<Status>>();
    device->stopTimer(microseconds, [promise](const Status& s) { promise->set_value(s); });
    return promise->get_future();
  }
  std::future<Status> sync() {
    auto promise = std::make_shared<std::promise<Status>>();
    device->sync([promise](const Status& s) { promise->set_value(s); });
    return promise->get_future();
  }
};

// A device over a runtime of its own.
struct Bench : Calls {
  FakeRuntime runtime;
  Backend backend{kBackendAbi, &runtime, registerKernels, 80};

  explicit Bench(bool synchronous = false) {
    EXPECT(openGpu(backend, {"cuda:0", 0, synchronous}, &device).ok());
  }
  ~Bench() {
    runtime.openGate();
    device.reset();
  }

  // The device's first op: it is done when this returns, and was not when its launch did.
  void runAfterItsLaunch(const char* op, const TensorView& x, double value = 0) {
    runtime.closeGate();
    run(op, x, value);
    EXPECT(soon([&] { return runtime.launched == 1; }));
    runtime.openGate();
    EXPECT(soon([&] { return runtime.ran == 1; }));
  }
};

void readsDoNotHoldUpLaunches() {
  Bench b;
  const TensorView x = b.tensor(1000);
  b.runtime.closeGate();
  b.run("fill", x, 5);
  std::vector<float> got, later;
  auto first = b.read(x, &got);
  for (int i = 0; i < 50; i++) b.run("fill", x, 6 + i);
  auto second = b.read(x, &later);
  EXPECT(soon([&] { return b.runtime.launched == 51; }));  // all of them, the GPU has done nothing
  EXPECT(b.runtime.ran == 0);
  EXPECT(first.wait_for(std::chrono::seconds(0)) == std::future_status::timeout);
  b.runtime.openGate();
  EXPECT(first.get().ok() && got == std::vector<float>(1000, 5));
  EXPECT(second.get().ok() && later == std::vector<float>(1000, 55));
}

void uploadsCopyAtOnceAndStayBounded() {
  Bench b;
  const int64_t n = 12 << 20;  // 48 MiB, several times the staging memory
  const TensorView x = b.tensor(n);
  std::vector<float> data(size_t(n), 0.0f), got;
  for (size_t i = 0; i < data.size(); i++) data[i] = float(i);
  b.runtime.closeGate();
  b.device->upload(x, data.data());
  const std::vector<float> before = data;
  std::fill(data.begin(), data.end(), -7.0f);
  auto done = b.read(x, &got);
  b.runtime.openGate();
  EXPECT(done.get().ok() && got == before);
  EXPECT(b.runtime.pinned == 2);  // the two rings, made when the device was opened
}

void nothingIsAllocatedInASteadyState() {
  Bench b;
  const TensorView x = b.tensor(1000);
  std::vector<float> got;
  auto step = [&] {
    b.run("fill", x, 1);
    CachingAllocator::Block* block = nullptr;
    EXPECT(b.device->allocator().allocate(1 << 20, &block).ok());
    b.device->allocator().free(block);
    EXPECT(b.read(x, &got).get().ok());
  };
  step();
  const int before = b.runtime.allocations;
  for (int i = 0; i < 100; i++) step();
  EXPECT(b.runtime.allocations == before);
}

void aLaunchThatFailsIsReportedOnce() {
  Bench b;
  const TensorView x = b.tensor(4);
  b.run("fill", x, 1);
  EXPECT(b.sync().get().ok());
  b.runtime.failLaunch = "fillKernel";
  b.run("fill", x, 2);
  b.run("columnSum", x);  // skipped, so it reports nothing
  const Status s = b.sync().get();
  EXPECT(s.code() == Code::kDevice);
  EXPECT(has(s.message(), "[fill] kernel fillKernel: invalid configuration"));
  b.runtime.failLaunch = "";
  EXPECT(b.sync().get().ok());
  std::vector<float> got;
  EXPECT(b.read(x, &got).get().ok() && got == std::vector<float>(4, 1));
}

void aTimerThatCannotBeReadIsAnError() {
  Bench b;
  double microseconds = 0;
  b.device->startTimer();
  EXPECT(b.stopTimer(&microseconds).get().ok() && microseconds == 12.5);
  b.runtime.elapsedStatus = Status(Code::kDevice, "device not ready (cudaErrorNotReady)");
  b.device->startTimer();
  EXPECT(has(b.stopTimer(&microseconds).get().message(), "device not ready"));
  EXPECT(!b.stopTimer(&microseconds).get().ok());  // nothing was started
  EXPECT(b.sync().get().ok());
}

void badValuesAreReportedOnceAndFirst() {
  Bench b;
  const TensorView x = b.tensor(4);
  b.run("columnSum", x);
  b.runtime.failLaunch = "fillKernel";
  b.run("fill", x, 2);
  const Status s = b.sync().get();
  EXPECT(s.code() == Code::kRange);
  EXPECT(s.message() == "[columnSum] expected token ids in [0, 10), got -3 at row 7");
  EXPECT(b.sync().get().ok());
}

void aFaultThatEndsTheDeviceNamesItsCandidates() {
  Bench b;
  const TensorView x = b.tensor(4);
  b.run("columnSum", x);
  EXPECT(!b.sync().get().ok());
  b.runtime.closeGate();
  b.runtime.failOnDevice = "fillKernel";
  b.run("fill", x, 1);
  b.run("columnSum", x);
  auto first = b.sync();
  EXPECT(soon([&] { return b.runtime.launched == 3; }));
  b.runtime.openGate();
  const Status s = first.get();
  EXPECT(s.code() == Code::kDevice);
  EXPECT(has(s.message(), "illegal memory access"));
  EXPECT(has(s.message(),
             "in one of 2 ops: columnSum (kernel reportKernel), fill (kernel fillKernel)"));
  EXPECT(has(s.message(), "CALLGRAD_CUDA_SYNC=1"));
  b.run("fill", x, 1);
  const Status again = b.sync().get();
  EXPECT(has(again.message(), "cannot be used since an earlier error"));
  EXPECT(!has(again.message(), "illegal"));
}

void manyCandidatesAreCountedAndNamedAtBothEnds() {
  Bench b;
  const TensorView x = b.tensor(4);
  EXPECT(b.sync().get().ok());
  b.runtime.closeGate();
  b.runtime.failOnDevice = "fillKernel";
  b.run("fill", x, 1);
  for (int i = 0; i < 2000; i++) b.run("columnSum", x);
  auto done = b.sync();
  EXPECT(soon([&] { return b.runtime.launched == 2001; }));
  b.runtime.openGate();
  const Status s = done.get();
  const std::string four =
      "columnSum (kernel reportKernel), columnSum (kernel reportKernel), "
      "columnSum (kernel reportKernel), columnSum (kernel reportKernel)";
  EXPECT(has(s.message(), ("in one of 2001 ops, the newest " + four).c_str()));
  EXPECT(has(s.message(), (", the oldest that are known " + four + ";").c_str()));
}

void aFaultThatAnAllocationMeetsIsNoLackOfMemory() {
  Bench b;
  const TensorView x = b.tensor(4);
  b.runtime.failOnDevice = "fillKernel";
  b.runAfterItsLaunch("fill", x, 1);
  CachingAllocator::Block* block = nullptr;
  const Status s = b.device->allocator().allocate(size_t(200) << 20, &block);
  EXPECT(s.code() == Code::kDevice);
  EXPECT(has(s.message(), "illegal memory access"));
  EXPECT(has(s.message(), ", in fill (kernel fillKernel);"));
  EXPECT(has(b.sync().get().message(), "cannot be used since an earlier error"));
}

void aFaultThatScratchSpaceMeetsIsNoLackOfMemory() {
  Bench b;
  const TensorView x = b.tensor(4);
  b.runtime.failOnDevice = "reportKernel";
  b.runAfterItsLaunch("columnSum", x);
  b.run("fill", x, 1);  // its first scratch space
  const Status s = b.sync().get();
  EXPECT(s.code() == Code::kDevice);
  EXPECT(has(s.message(), "illegal memory access"));
  EXPECT(has(s.message(), "columnSum (kernel reportKernel)"));
}

void synchronousModeNamesTheOp() {
  Bench b(true);
  const TensorView x = b.tensor(4);
  b.runtime.failOnDevice = "fillKernel";
  b.run("columnSum", x);
  b.run("fill", x, 1);
  b.run("columnSum", x);
  const Status s = b.sync().get();
  EXPECT(has(s.message(), "illegal memory access"));
  EXPECT(has(s.message(), ", in fill (kernel fillKernel);"));
}

void synchronousModeNamesAReplay() {
  Bench b(true);
  const TensorView x = b.tensor(4);
  b.runtime.failOnDevice = "fillKernel";
  EXPECT(b.device->beginRecording().ok());
  b.run("fill", x, 1);
  std::shared_ptr<Recording> recorded = b.device->endRecording();
  b.run("columnSum", x);
  b.device->replay(recorded);
  b.run("columnSum", x);
  EXPECT(has(b.sync().get().message(), ", in replay;"));
}

void outOfMemoryIsSynchronousAndTriesTheCache() {
  Bench b;
  CachingAllocator& allocator = b.device->allocator();
  CachingAllocator::Block *big = nullptr, *other = nullptr;
  EXPECT(allocator.allocate(size_t(600) << 20, &big).ok());
  allocator.free(big);
  EXPECT(allocator.allocate(size_t(700) << 20, &other).ok());  // only where the first is given back
  b.runtime.memoryLeft = 12345;
  const Status s = allocator.allocate(size_t(200) << 20, &big);
  EXPECT(s.code() == Code::kMemory);
  EXPECT(has(s.message(), "209715200 bytes wanted, 734003200 in use by tensors"));
  EXPECT(has(s.message(), "the device has 12345 of 1073741824 bytes free"));
}

void thePoolIsLimitedToWhatIsFree() {
  FakeRuntime runtime;
  const Backend backend{kBackendAbi, &runtime, registerKernels, 80};
  runtime.memoryLeft = size_t(600) << 20;  // of 1 GiB
  std::unique_ptr<Device> device;
  EXPECT(openGpu(backend, {"cuda:0", 0}, &device).ok());
  const size_t limit = device->allocator().stats().limit;
  EXPECT(limit <= size_t(536) << 20 && limit >= size_t(535) << 20);  // 1/16 of all is left
}

void scratchThatDoesNotFitIsAnError() {
  Bench b;
  const TensorView x = b.tensor(4);
  b.runtime.memoryLeft = 1000;
  b.run("fill", x, 1);
  const Status s = b.sync().get();
  EXPECT(s.code() == Code::kMemory);
  EXPECT(has(s.message(), "scratch space"));
}

void recordingsRunWhenReplayed() {
  Bench b;
  const TensorView x = b.tensor(4);
  std::vector<float> got;
  b.run("fill", x, 1);
  EXPECT(b.device->beginRecording().ok());
  b.run("fill", x, 2);
  EXPECT(b.device->recording());
  std::shared_ptr<Recording> recorded = b.device->endRecording();
  EXPECT(b.read(x, &got).get().ok() && got == std::vector<float>(4, 1));
  b.device->replay(recorded);
  b.run("columnSum", x);
  b.device->replay(recorded);
  EXPECT(b.read(x, &got).get().code() == Code::kRange && got == std::vector<float>(4, 2));
  EXPECT(b.runtime.graphs == 1);
  b.device->drain();
  recorded.reset();
  EXPECT(b.runtime.graphs == 0);

  EXPECT(b.device->beginRecording().ok());
  b.runtime.failLaunch = "fillKernel";
  b.run("fill", x, 3);
  recorded = b.device->endRecording();
  EXPECT(has(b.sync().get().message(), "[fill] kernel fillKernel"));
  EXPECT(b.runtime.recordingsOpen == 0 && b.runtime.graphs == 0);
  b.device->replay(recorded);
  EXPECT(has(b.sync().get().message(), "expected a recording that succeeded"));
}

void anOpenRecordingDoesNotBlockMemory() {
  Bench b;
  CachingAllocator::Block* block = nullptr;
  EXPECT(b.device->beginRecording().ok());
  EXPECT(b.device->allocator().allocate(size_t(200) << 20, &block).ok());
  b.device->allocator().free(block);
  EXPECT(b.device->allocator().trim() >= size_t(200) << 20);
  b.device->endRecording();
  EXPECT(b.sync().get().ok());
}

// Even where the runtime gives memory back at once.
void memoryThatLaunchesStillUseIsKeptWhileRecording() {
  Bench b;
  b.runtime.freeWaits = false;
  const TensorView x = b.tensor(4);
  CachingAllocator::Block* block = nullptr;
  EXPECT(b.device->allocator().allocate(size_t(200) << 20, &block).ok());
  b.runtime.closeGate();
  b.run("fill", x, 1);
  b.device->allocator().free(block);
  EXPECT(b.device->beginRecording().ok());
  auto trimmed = std::async(std::launch::async, [&] { return b.device->allocator().trim(); });
  EXPECT(trimmed.wait_for(std::chrono::milliseconds(100)) == std::future_status::timeout);
  b.runtime.openGate();
  EXPECT(trimmed.get() >= size_t(200) << 20);
  b.device->endRecording();
  EXPECT(b.sync().get().ok());
}

void twoDevicesWorkSideBySide() {
  FakeRuntime runtime;
  runtime.devices.push_back(Properties{"Other GPU", 8, 0, 4, size_t(1) << 30});
  const Backend backend{kBackendAbi, &runtime, registerKernels, 80};
  Calls a, b;
  EXPECT(openCuda(backend, "cuda:0", &a.device).ok());
  EXPECT(openCuda(backend, "cuda:1", &b.device).ok());
  const TensorView x = a.tensor(1000), y = b.tensor(1000);
  EXPECT(runtime.placeOf(x.data) == 0 && runtime.placeOf(y.data) == 1);
  const std::vector<float> ones(1000, 1);
  a.device->upload(x, ones.data());
  b.device->upload(y, ones.data());
  std::vector<float> ofX, ofY;
  for (int i = 0; i < 50; i++) {
    EXPECT(a.read(x, &ofX).get().ok() && b.read(y, &ofY).get().ok());
    EXPECT(ofX[999] == (i == 0 ? 1 : i) && ofY[999] == (i == 0 ? 1 : -i));
    a.run("fill", x, i + 1);
    b.run("fill", y, -i - 1);
  }

  // Each records what it is given itself, also while the other does.
  EXPECT(a.device->beginRecording().ok() && b.device->beginRecording().ok());
  a.run("fill", x, 3);
  b.run("fill", y, -3);
  std::shared_ptr<Recording> ofA = a.device->endRecording(), ofB = b.device->endRecording();
  b.device->replay(ofB);
  EXPECT(a.read(x, &ofX).get().ok() && b.read(y, &ofY).get().ok());
  EXPECT(ofX[999] == 50 && ofY[999] == -3);
  a.device->replay(ofA);
  EXPECT(a.read(x, &ofX).get().ok() && ofX[999] == 3);
  a.device->drain();
  b.device->drain();
  ofA.reset();
  ofB.reset();

  // What ends one leaves the other as it is.
  runtime.failOnDevice = "reportKernel";
  b.run("columnSum", y);
  EXPECT(has(b.sync().get().message(), "[cuda:1]"));
  CachingAllocator::Block* block = nullptr;
  EXPECT(!b.device->allocator().allocate(64 << 20, &block).ok());
  EXPECT(a.sync().get().ok() && a.device->allocator().allocate(64 << 20, &block).ok());
  a.device->allocator().free(block);
  a.run("fill", x, 7);
  EXPECT(a.read(x, &ofX).get().ok() && ofX == std::vector<float>(1000, 7));
  b.device.reset();
  a.device.reset();
  EXPECT(runtime.misplaced == 0);
}

void closingDropsWhatIsQueued() {
  auto b = std::make_unique<Bench>();
  const TensorView x = b->tensor(4);
  for (int i = 0; i < 1000; i++) b->run("fill", x, i);
  auto last = b->sync();
  b->device->abandon();
  b->device.reset();
  static_cast<void>(last.get());  // settled, with or without an error
}

void listingSaysWhy() {
  FakeRuntime runtime;
  const Backend backend{kBackendAbi, &runtime, registerKernels, 80};
  auto reason = [&] { return listCuda(backend).at(0).reason; };
  EXPECT(listCuda(backend).at(0).available);
  EXPECT(has(listCuda(backend).at(0).description, "Fake GPU, compute capability 9.0"));
  runtime.devices[0].pciBusId = "00000000:41:00.0";
  EXPECT(listCuda(backend).at(0).pciBusId == "00000000:41:00.0");
  runtime.devices.push_back(Properties{"Old GPU", 7, 5});
  EXPECT(listCuda(backend).size() == 2 && !listCuda(backend)[1].available);
  EXPECT(
      has(listCuda(backend)[1].reason, "Old GPU has compute capability 7.5; the kernels need 8.0"));
  std::unique_ptr<Device> device;
  EXPECT(has(openCuda(backend, "cuda:1", &device).message(), "cuda:1 is not available: Old GPU"));
  EXPECT(has(openCuda(backend, "cuda:2", &device).message(), "got \"cuda:2\""));
  EXPECT(openCuda(backend, "cuda:0", &device).ok());
  device.reset();
  runtime.countStatus = Status(Code::kDevice, "CUDA driver version is insufficient");
  runtime.version = {0, 13000};
  EXPECT(has(reason(), "no NVIDIA driver was found (libcuda.so.1); install one for CUDA 13.0"));
  runtime.version = {12040, 13000};
  EXPECT(has(reason(),
             "supports CUDA 12.4 and this build needs 13.0; update the driver (release 580"));
  runtime.version = {13000, 13000};
  runtime.countStatus = Status(Code::kDevice, "no CUDA-capable device is detected");
  EXPECT(has(reason(), "no CUDA-capable device is detected; "));
  EXPECT(
      has(openCuda(backend, "cuda:0", &device).message(), "cuda:0 is not available: no CUDA-cap"));
}

void everyFaultHasItsWords() {
  for (int fault = 1; fault < int(Fault::kCount); fault++) {
    const ErrorRecord r{1ull << 24 | (unsigned long long)(findOp("rope")) << 8 | unsigned(fault),
                        settled(9, 5), settled(9, 2), 4};
    const Status s = faultStatus(r);
    EXPECT(s.code() == Code::kRange && has(s.message(), "[rope] expected "));
    EXPECT(!has(s.message(), "%"));
  }
  const ErrorRecord page{1ull << 24 | 0 << 8 | unsigned(Fault::kOwnPage), settled(9, 5),
                         settled(9, 4), 4};
  EXPECT(has(faultStatus(page).message(), "expected ownPages in [0, 4), got 5 at [2, 1]"));
  EXPECT(faultStatus({}).ok());
}

}  // namespace
}  // namespace callgrad::gpu

int main() {
  using namespace callgrad::gpu;
  return callgrad::runTests({
      {"reads do not hold up launches", readsDoNotHoldUpLaunches},
      {"uploads copy at once and stay bounded", uploadsCopyAtOnceAndStayBounded},
      {"nothing is allocated in a steady state", nothingIsAllocatedInASteadyState},
      {"a launch that fails is reported once", aLaunchThatFailsIsReportedOnce},
      {"a timer that cannot be read is an error", aTimerThatCannotBeReadIsAnError},
      {"bad values are reported once and first", badValuesAreReportedOnceAndFirst},
      {"a fault that ends the device names its candidates",
       aFaultThatEndsTheDeviceNamesItsCandidates},
      {"many candidates are counted and named at both ends",
       manyCandidatesAreCountedAndNamedAtBothEnds},
      {"a fault that an allocation meets is no lack of memory",
       aFaultThatAnAllocationMeetsIsNoLackOfMemory},
      {"a fault that scratch space meets is no lack of memory",
       aFaultThatScratchSpaceMeetsIsNoLackOfMemory},
      {"two devices work side by side", twoDevicesWorkSideBySide},
      {"synchronous mode names the op", synchronousModeNamesTheOp},
      {"synchronous mode names a replay", synchronousModeNamesAReplay},
      {"out of memory is synchronous and tries the cache",
       outOfMemoryIsSynchronousAndTriesTheCache},
      {"the pool is limited to what is free", thePoolIsLimitedToWhatIsFree},
      {"scratch that does not fit is an error", scratchThatDoesNotFitIsAnError},
      {"recordings run when replayed", recordingsRunWhenReplayed},
      {"an open recording does not block memory", anOpenRecordingDoesNotBlockMemory},
      {"memory that launches still use is kept while recording",
       memoryThatLaunchesStillUseIsKeptWhileRecording},
      {"closing drops what is queued", closingDropsWhatIsQueued},
      {"listing says why", listingSaysWhy},
      {"every fault has its words", everyFaultHasItsWords},
  });
}
