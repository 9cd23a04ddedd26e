// The GPU runtime over the emulator. A stream has no thread of its own: work runs on the caller's,
// the device's worker, before the call returns. A recording keeps the launches and replays the
// list.
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "core/host_memory.h"
#include "cuda/families.h"
#include "cuda/runtime.h"
#include "simt/grid.h"
#include "simt/memory.h"

namespace callgrad::gpu {

struct OpaqueEvent {
  std::chrono::steady_clock::time_point at;
};

struct OpaqueGraph {
  struct Step {
    Launch launch{};  // with `packed` pointing at `arguments`; for a fill, `name` is null
    std::vector<char> arguments;
    std::string name;
    void* to = nullptr;
    int byte = 0;
    size_t bytes = 0;
    std::vector<Region> regions;  // of an op that begins, or one more of it
    bool begins = false;
  };
  std::vector<std::unique_ptr<Step>> steps;
};

struct OpaqueStream {
  std::unique_ptr<OpaqueGraph> recording;
};

namespace {

class SimtRuntime final : public Runtime {
 public:
  Versions versions() override { return {0, 0}; }
  Status deviceCount(int* count) override {
    *count = 1;
    return {};
  }
  // The figures of an H100 SXM, so that kernels take the paths that they take there.
  Status properties(int, Properties* p) override {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
      return error(Code::kDevice, "simt was built for CPUs with AVX2 and FMA");
#endif
    *p = Properties{};
    p->name = "simt";
    p->major = 9;
    p->multiprocessors = 132;
    p->memoryBytes = hostMemory();
    p->sharedPerBlock = simt::Executor::kSharedBytes;
    return {};
  }
  Status use(int) override { return {}; }
  Status memoryInfo(size_t* free, size_t* total) override {
    *total = hostMemory();
    const size_t held = simt::memoryHeld();
    *free = *total > held ? *total - held : 0;
    return {};
  }
  bool sticky() override { return false; }

  Status allocate(size_t bytes, void** data) override {
    *data = simt::allocateGlobal(bytes);
    return *data ? Status() : error(Code::kMemory, "out of memory for %zu bytes", bytes);
  }
  void free(void* data) override { simt::freeGlobal(data); }
  Status allocatePinned(size_t bytes, void** data) override {
    *data = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    return *data ? Status() : error(Code::kMemory, "out of memory for %zu bytes", bytes);
  }
  void freePinned(void* data) override { std::free(data); }

  Status createStream(StreamHandle* stream) override {
    *stream = new OpaqueStream;
    return {};
  }
  void destroyStream(StreamHandle stream) override { delete stream; }
  Status synchronize(StreamHandle) override { return {}; }
  Status createEvent(EventHandle* event) override {
    *event = new OpaqueEvent;
    return {};
  }
  void destroyEvent(EventHandle event) override { delete event; }
  Status record(EventHandle event, StreamHandle) override {
    event->at = std::chrono::steady_clock::now();
    return {};
  }
  Status wait(EventHandle) override { return {}; }
  Status createTimer(EventHandle* event) override { return createEvent(event); }
  Status elapsed(EventHandle from, EventHandle to, double* microseconds) override {
    *microseconds = std::chrono::duration<double, std::micro>(to->at - from->at).count();
    return {};
  }

  Status upload(void* to, const void* from, size_t bytes, StreamHandle) override {
    memcpy(to, from, bytes);
    simt::written(to, bytes);
    return {};
  }
  Status download(void* to, const void* from, size_t width, size_t stride, size_t rows,
                  StreamHandle) override {
    for (size_t r = 0; r < rows; r++)
      memcpy(static_cast<char*>(to) + r * width, static_cast<const char*>(from) + r * stride,
             width);
    return {};
  }
  Status set(void* to, int byte, size_t bytes, StreamHandle stream) override {
    if (stream && stream->recording) {
      auto step = std::make_unique<OpaqueGraph::Step>();
      step->to = to;
      step->byte = byte;
      step->bytes = bytes;
      stream->recording->steps.push_back(std::move(step));
      return {};
    }
    memset(to, byte, bytes);
    simt::written(to, bytes);
    return {};
  }

  Status launch(const Launch& l, StreamHandle stream) override {
    if (!stream || !stream->recording) return run(l);
    auto step = std::make_unique<OpaqueGraph::Step>();
    step->launch = l;
    step->name = l.name;
    const char* packed = static_cast<const char*>(l.packed);
    step->arguments.assign(packed, packed + l.packedBytes);
    step->launch.name = step->name.c_str();
    step->launch.packed = step->arguments.data();
    step->launch.arguments = nullptr;
    stream->recording->steps.push_back(std::move(step));
    return {};
  }

  Status beginRecording(StreamHandle stream) override {
    if (stream->recording) return error(Code::kInternal, "this stream is being recorded already");
    stream->recording = std::make_unique<OpaqueGraph>();
    return {};
  }
  Status endRecording(StreamHandle stream, GraphHandle* graph) override {
    if (!stream->recording) return error(Code::kInternal, "this stream is not being recorded");
    *graph = stream->recording.release();
    return {};
  }
  Status replay(GraphHandle graph, StreamHandle) override {
    for (const auto& step : graph->steps) {
      if (step->launch.name) {
        CG_RETURN_IF_ERROR(run(step->launch));
      } else if (!step->regions.empty()) {
        simt::setRegions(step->regions.data(), step->regions.size(), step->begins);
      } else {
        memset(step->to, step->byte, step->bytes);
        simt::written(step->to, step->bytes);
      }
    }
    return {};
  }
  void destroyGraph(GraphHandle graph) override { delete graph; }

  bool checksAccesses() override { return simt::checksAccesses(); }
  void beginOp(const Region* regions, size_t count, StreamHandle stream) override {
    name(regions, count, true, stream);
  }
  void addRegion(const Region& region, StreamHandle stream) override {
    name(&region, 1, false, stream);
  }

  std::vector<KernelCounts> count(bool start) override {
    std::lock_guard lock(countsMutex_);
    std::vector<KernelCounts> list;
    for (auto& [kernel, counts] : counts_) list.push_back(std::move(counts));
    counts_.clear();
    counting_ = start;
    simt::countTraffic(start);
    return list;
  }

 private:
  void name(const Region* regions, size_t count, bool begins, StreamHandle stream) {
    if (!stream || !stream->recording) return simt::setRegions(regions, count, begins);
    auto step = std::make_unique<OpaqueGraph::Step>();
    step->regions.assign(regions, regions + count);
    step->begins = begins;
    stream->recording->steps.push_back(std::move(step));
  }

  Status run(const Launch& l) {
    simt::Counts counts;
    KernelCounts sum;
    const Status status = simt::runGrid(l, &counts, &sum);
    if (!counting_) return status;
    std::lock_guard lock(countsMutex_);
    KernelCounts& k = counts_[l.name];
    k.kernel = l.name;
    k.launches++;
    k.blocks += counts.blocks;
    k.threads += counts.threads;
    k.barriers += counts.barriers;
    k.warpBarriers += counts.warpBarriers;
    k.mma += counts.mma;
    k.fma += counts.fma;
    k.readSectors += sum.readSectors;
    k.writeSectors += sum.writeSectors;
    k.leastSectors += sum.leastSectors;
    k.readUnique += sum.readUnique;
    k.writeUnique += sum.writeUnique;
    k.sharedWaves += sum.sharedWaves;
    k.sharedLeast += sum.sharedLeast;
    k.uncertain += sum.uncertain;
    return status;
  }

  std::atomic<bool> counting_ = false;
  std::mutex countsMutex_;
  std::map<std::string, KernelCounts> counts_;
};

SimtRuntime runtime;

}  // namespace

extern "C" __attribute__((visibility("default"))) const Backend* callgrad_gpu_backend() {
  static const Backend backend{kBackendAbi, &runtime, registerKernels, 0};
  return &backend;
}

}  // namespace callgrad::gpu
