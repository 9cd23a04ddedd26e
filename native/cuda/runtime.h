// The part of a GPU runtime that the device needs, so that one device implementation stands over
// NVIDIA's runtime (runtime_cuda.cpp), the emulator (native/simt) and the fakes of its tests.
//
// Used by device.cpp and launch.h, by nobody else. Calls come from several threads at once: the JS
// thread allocates, a stream's worker launches and copies, a reaper waits for events. Streams are
// in order; "queues" means that the call may return before the work is done.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/kernel.h"
#include "core/kernel_counts.h"
#include "core/status.h"

namespace callgrad::gpu {

struct Extent {
  unsigned x = 1, y = 1, z = 1;
};

// One launch. `function` is what the runtime knows the kernel by (the address of nvcc's host stub);
// an emulator calls `invoke` once for each thread instead. Both stand for the same kernel.
struct Launch {
  const char* name;
  const void* function;
  void (*invoke)(const void* packed);  // calls the kernel with the arguments in `packed`
  void** arguments;                    // address of each argument, for the runtime
  const void* packed;                  // all arguments in one object, for the emulator
  size_t packedBytes;                  // trivially copyable: a recording keeps a copy
  Extent grid, block;
  size_t sharedBytes;  // dynamic shared memory
};

struct Properties {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 0;
  size_t memoryBytes = 0;
  size_t sharedPerBlock = 0;  // with the opt-in above 48 KiB
  std::string pciBusId = {};  // domain:bus:device.function, empty where there is none
};

struct Versions {
  int driver = 0, runtime = 0;  // 13000 is 13.0; driver 0: none found
};

using StreamHandle = struct OpaqueStream*;
using EventHandle = struct OpaqueEvent*;
using GraphHandle = struct OpaqueGraph*;

// Memory that the kernels of an op may touch: rows of `width` bytes, `stride` bytes apart.
struct Region {
  const void* data;
  size_t rows, width, stride;
  const char* name;  // lives as long as the process
  bool writable;
  bool undefined;  // nobody has written it: to be read only after it was
};

// Codes of the results: kMemory for out of memory, kDevice for everything else. A failure for which
// sticky() is true has made the device unusable for the rest of the process.
class Runtime {
 public:
  virtual ~Runtime() = default;

  virtual Versions versions() = 0;
  // 0 with a reason in the status where there is no driver or device.
  virtual Status deviceCount(int* count) = 0;
  virtual Status properties(int device, Properties* properties) = 0;
  // Makes the device current for the calling thread.
  virtual Status use(int device) = 0;
  virtual Status memoryInfo(size_t* free, size_t* total) = 0;
  virtual bool sticky() = 0;  // of the device that is current for the calling thread

  virtual Status allocate(size_t bytes, void** data) = 0;
  virtual void free(void* data) = 0;  // waits for the device
  virtual Status allocatePinned(size_t bytes, void** data) = 0;
  virtual void freePinned(void* data) = 0;

  virtual Status createStream(StreamHandle* stream) = 0;
  virtual void destroyStream(StreamHandle stream) = 0;
  virtual Status synchronize(StreamHandle stream) = 0;

  virtual Status createEvent(EventHandle* event) = 0;
  virtual void destroyEvent(EventHandle event) = 0;
  virtual Status record(EventHandle event, StreamHandle stream) = 0;
  virtual Status wait(EventHandle event) = 0;  // the calling thread sleeps until it has happened
  // An event that also notes when it happened, and the time between two that have.
  virtual Status createTimer(EventHandle* event) = 0;
  virtual Status elapsed(EventHandle from, EventHandle to, double* microseconds) = 0;

  // Queue copies; the host side is pinned memory. Rows of `width` bytes, `stride` bytes apart on
  // the device and adjoining on the host.
  virtual Status upload(void* to, const void* from, size_t bytes, StreamHandle stream) = 0;
  virtual Status download(void* to, const void* from, size_t width, size_t stride, size_t rows,
                          StreamHandle stream) = 0;
  virtual Status set(void* to, int byte, size_t bytes, StreamHandle stream) = 0;

  // A failure to start; what happens on the device shows in a later call.
  virtual Status launch(const Launch& launch, StreamHandle stream) = 0;

  // Between the two, launches and set() on the stream are recorded and not run. Copies to and from
  // the host are not recorded.
  virtual Status beginRecording(StreamHandle stream) = 0;
  virtual Status endRecording(StreamHandle stream, GraphHandle* graph) = 0;
  virtual Status replay(GraphHandle graph, StreamHandle stream) = 0;
  virtual void destroyGraph(GraphHandle graph) = 0;

  // For runtimes that check what kernels touch: an op begins, and here is what its kernels may;
  // then its scratch memory, piece by piece. In stream order, recorded like launches.
  virtual bool checksAccesses() { return false; }
  virtual void beginOp(const Region* regions, size_t count, StreamHandle stream) {}
  virtual void addRegion(const Region& region, StreamHandle stream) {}

  // Starts counting anew (true) or ends it; the counts so far, by kernel. Empty where none are
  // kept.
  virtual std::vector<KernelCounts> count(bool start) { return {}; }
};

// A runtime and the kernels compiled for it. A library that holds one exports
//   extern "C" const callgrad::gpu::Backend* callgrad_gpu_backend();
struct Backend {
  uint32_t abi;  // kBackendAbi of the headers it was built from
  Runtime* runtime;
  void (*registerKernels)(KernelTable& table);
  int oldestCapability;  // 80: compute capability 8.0; 0 where any will do
};
inline constexpr uint32_t kBackendAbi = 4;

}  // namespace callgrad::gpu
