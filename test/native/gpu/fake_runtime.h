// GPUs for the tests of the device: memory of the host, one thread that runs what is queued while
// its gate is open, and failures on request. Like the real runtime it has a current device for each
// thread, and counts what is asked of a stream while another device is current.
#pragma once
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "cuda/runtime.h"

namespace callgrad::gpu {

class FakeRuntime final : public Runtime {
 public:
  FakeRuntime() : thread_([this] { loop(); }) {}
  ~FakeRuntime() override {
    openGate();
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  // What the tests set and look at. Figures are read after the calls that they count.
  Versions version{13000, 13000};
  Status countStatus;
  std::vector<Properties> devices{Properties{"Fake GPU", 9, 0, 4, size_t(1) << 30}};
  size_t memoryLeft = size_t(1) << 30;
  std::string failLaunch;    // name of the kernel that cannot be started
  Status elapsedStatus;      // of a timer's reading
  std::string failOnDevice;  // name of the kernel that ends the device when it runs
  bool freeWaits = true;     // whether giving memory back waits for the device
  std::atomic<int> launched{0}, ran{0}, allocations{0}, pinned{0}, graphs{0}, recordingsOpen{0};
  std::atomic<int> misplaced{0};  // calls on a stream of another device than the current one

  void closeGate() { setGate(false); }
  void openGate() { setGate(true); }

  Versions versions() override { return version; }
  Status deviceCount(int* count) override {
    *count = countStatus.ok() ? int(devices.size()) : 0;
    return countStatus;
  }
  Status properties(int device, Properties* p) override {
    *p = devices.at(size_t(device));
    return {};
  }
  // The device that memory is on.
  int placeOf(const void* data) {
    std::lock_guard lock(mutex_);
    return blocks_.at(const_cast<void*>(data)).device;
  }

  Status use(int device) override {
    std::lock_guard lock(mutex_);
    current_[std::this_thread::get_id()] = device;
    return {};
  }
  Status memoryInfo(size_t* free, size_t* total) override {
    *free = memoryLeft;
    *total = devices[0].memoryBytes;
    return {};
  }
  bool sticky() override { return !state().ok(); }

  Status allocate(size_t bytes, void** data) override {
    std::lock_guard lock(mutex_);
    CG_RETURN_IF_ERROR(stateLocked());
    if (bytes > memoryLeft)
      return Status(Code::kMemory, "out of memory (cudaErrorMemoryAllocation)");
    memoryLeft -= bytes;
    allocations++;
    *data = aligned_alloc(256, (bytes + 255) / 256 * 256);
    blocks_[*data] = {bytes, current_[std::this_thread::get_id()]};
    return {};
  }
  void free(void* data) override {
    if (freeWaits) synchronizeAll();
    std::lock_guard lock(mutex_);
    memoryLeft += blocks_.at(data).bytes;
    blocks_.erase(data);
    std::free(data);
  }
  Status allocatePinned(size_t bytes, void** data) override {
    *data = malloc(bytes);
    pinned++;
    return {};
  }
  void freePinned(void* data) override { std::free(data); }

  Status createStream(StreamHandle* stream) override {
    std::lock_guard lock(mutex_);
    *stream = reinterpret_cast<StreamHandle>(new Stream{current_[std::this_thread::get_id()]});
    return {};
  }
  void destroyStream(StreamHandle stream) override { delete reinterpret_cast<Stream*>(stream); }
  Status synchronize(StreamHandle stream) override {
    deviceOf(stream);
    if (recordingOf(stream))
      return Status(Code::kDevice, "a stream that records cannot be waited for");
    synchronizeAll();
    return state();
  }

  Status createEvent(EventHandle* event) override {
    *event = reinterpret_cast<EventHandle>(new Event);
    return {};
  }
  Status createTimer(EventHandle* event) override { return createEvent(event); }
  Status elapsed(EventHandle, EventHandle, double* microseconds) override {
    if (elapsedStatus.ok()) *microseconds = 12.5;
    return elapsedStatus;
  }
  void destroyEvent(EventHandle event) override { delete reinterpret_cast<Event*>(event); }
  Status record(EventHandle event, StreamHandle stream) override {
    deviceOf(stream);
    auto* e = reinterpret_cast<Event*>(event);
    {
      std::lock_guard lock(mutex_);
      e->done = false;
    }
    push([this, e] {
      std::lock_guard lock(mutex_);
      e->done = true;
    });
    return state();
  }
  Status wait(EventHandle event) override {
    auto* e = reinterpret_cast<Event*>(event);
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [e] { return e->done; });
    return stateLocked();
  }

  Status upload(void* to, const void* from, size_t bytes, StreamHandle stream) override {
    deviceOf(stream);
    push([=] { memcpy(to, from, bytes); });
    return state();
  }
  Status download(void* to, const void* from, size_t width, size_t stride, size_t rows,
                  StreamHandle stream) override {
    deviceOf(stream);
    push([=] {
      for (size_t r = 0; r < rows; r++)
        memcpy(static_cast<char*>(to) + r * width, static_cast<const char*>(from) + r * stride,
               width);
    });
    return state();
  }
  Status set(void* to, int byte, size_t bytes, StreamHandle stream) override {
    deviceOf(stream);
    queueOrRecord(stream, [=] { memset(to, byte, bytes); });
    return state();
  }

  Status launch(const Launch& l, StreamHandle stream) override {
    if (l.name == failLaunch)
      return Status(Code::kDevice,
                    "invalid configuration argument (cudaErrorInvalidConfiguration)");
    std::vector<char> packed(static_cast<const char*>(l.packed),
                             static_cast<const char*>(l.packed) + l.packedBytes);
    const int device = deviceOf(stream);
    queueOrRecord(stream,
                  [this, packed, device, invoke = l.invoke, fails = l.name == failOnDevice] {
                    bool lost;
                    {
                      std::lock_guard lock(mutex_);
                      if (fails) lost_.insert(device);
                      lost = lost_.count(device) > 0;
                    }
                    if (!lost) invoke(packed.data());
                    ran++;
                  });
    const Status found = state();
    launched++;  // what runs from now on, this launch has not seen
    return found;
  }

  Status beginRecording(StreamHandle stream) override {
    deviceOf(stream);
    recordingsOpen++;
    recordingOf(stream) = new Graph;
    return {};
  }
  Status endRecording(StreamHandle stream, GraphHandle* graph) override {
    deviceOf(stream);
    recordingsOpen--;
    graphs++;
    *graph = reinterpret_cast<GraphHandle>(std::exchange(recordingOf(stream), nullptr));
    return {};
  }
  Status replay(GraphHandle graph, StreamHandle stream) override {
    deviceOf(stream);
    for (const auto& work : *reinterpret_cast<Graph*>(graph)) push(work);
    return state();
  }
  void destroyGraph(GraphHandle graph) override {
    graphs--;
    delete reinterpret_cast<Graph*>(graph);
  }

 private:
  using Work = std::function<void()>;
  using Graph = std::vector<Work>;
  struct Event {
    bool done = true;
  };
  struct Stream {
    int device;
    Graph* recording = nullptr;  // of the one thread that uses the stream
  };
  struct Block {
    size_t bytes;
    int device;
  };

  int deviceOf(StreamHandle stream) {
    std::lock_guard lock(mutex_);
    const int device = reinterpret_cast<Stream*>(stream)->device;
    if (current_[std::this_thread::get_id()] != device) misplaced++;
    return device;
  }
  static Graph*& recordingOf(StreamHandle stream) {
    return reinterpret_cast<Stream*>(stream)->recording;
  }
  // Of the calling thread's device.
  Status stateLocked() {
    return lost_.count(current_[std::this_thread::get_id()])
               ? Status(Code::kDevice,
                        "an illegal memory access was encountered "
                        "(cudaErrorIllegalAddress)")
               : Status();
  }
  Status state() {
    std::lock_guard lock(mutex_);
    return stateLocked();
  }
  void setGate(bool open) {
    std::lock_guard lock(mutex_);
    gate_ = open;
    changed_.notify_all();
  }
  void queueOrRecord(StreamHandle stream, Work work) {
    if (Graph* recording = recordingOf(stream))
      recording->push_back(std::move(work));
    else
      push(std::move(work));
  }
  void push(Work work) {
    std::lock_guard lock(mutex_);
    queue_.push_back(std::move(work));
    changed_.notify_all();
  }
  void synchronizeAll() {
    std::unique_lock lock(mutex_);
    finished_.wait(lock, [this] { return queue_.empty() && !busy_; });
  }
  void loop() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock,
                    [this] { return (gate_ && !queue_.empty()) || (closing_ && queue_.empty()); });
      if (queue_.empty()) return;
      Work work = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
      lock.unlock();
      work();
      lock.lock();
      busy_ = false;
      finished_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_, finished_;
  std::deque<Work> queue_;
  std::map<void*, Block> blocks_;
  std::map<std::thread::id, int> current_;
  std::set<int> lost_;  // devices
  bool gate_ = true, busy_ = false, closing_ = false;
  std::thread thread_;
};

}  // namespace callgrad::gpu
