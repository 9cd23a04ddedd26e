// The Runtime over NVIDIA's, linked statically: it opens the driver (libcuda.so.1) itself and says
// so where there is none.
#include <cuda_runtime.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <unordered_map>

#include "cuda/families.h"
#include "cuda/providers.h"
#include "cuda/runtime.h"

namespace callgrad::gpu {
namespace {

cudaStream_t asStream(StreamHandle s) { return reinterpret_cast<cudaStream_t>(s); }
cudaEvent_t asEvent(EventHandle e) { return reinterpret_cast<cudaEvent_t>(e); }
cudaGraphExec_t asGraph(GraphHandle g) { return reinterpret_cast<cudaGraphExec_t>(g); }

// Errors after which every call of the process fails: the context is gone.
bool endsContext(cudaError_t e) {
  switch (e) {
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorIllegalInstruction:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice:
#if CUDART_VERSION >= 13000
    case cudaErrorContained:
    case cudaErrorTensorMemoryLeak:
#endif
      return true;
    default:
      return false;
  }
}

class CudaRuntime final : public Runtime {
 public:
  Versions versions() override {
    Versions v;
    if (cudaDriverGetVersion(&v.driver) != cudaSuccess) v.driver = 0;
    if (cudaRuntimeGetVersion(&v.runtime) != cudaSuccess) v.runtime = CUDART_VERSION;
    return v;
  }

  Status deviceCount(int* count) override {
    *count = 0;
    return check(cudaGetDeviceCount(count));
  }

  Status properties(int device, Properties* p) override {
    cudaDeviceProp d;
    CG_RETURN_IF_ERROR(check(cudaGetDeviceProperties(&d, device)));
    p->name = d.name;
    p->major = d.major;
    p->minor = d.minor;
    p->multiprocessors = d.multiProcessorCount;
    p->memoryBytes = d.totalGlobalMem;
    p->sharedPerBlock = d.sharedMemPerBlockOptin ? d.sharedMemPerBlockOptin : d.sharedMemPerBlock;
    char id[32];
    snprintf(id, sizeof id, "%08x:%02x:%02x.0", unsigned(d.pciDomainID), unsigned(d.pciBusID),
             unsigned(d.pciDeviceID));
    p->pciBusId = id;
    return {};
  }

  Status use(int device) override { return check(cudaSetDevice(device)); }

  Status memoryInfo(size_t* free, size_t* total) override {
    return check(cudaMemGetInfo(free, total));
  }

  bool sticky() override { return lost_ & bit(); }

  Status allocate(size_t bytes, void** data) override { return check(cudaMalloc(data, bytes)); }
  void free(void* data) override { ignore(cudaFree(data)); }
  Status allocatePinned(size_t bytes, void** data) override {
    return check(cudaHostAlloc(data, bytes, cudaHostAllocPortable));
  }
  void freePinned(void* data) override { ignore(cudaFreeHost(data)); }

  Status createStream(StreamHandle* stream) override {
    return check(
        cudaStreamCreateWithFlags(reinterpret_cast<cudaStream_t*>(stream), cudaStreamNonBlocking));
  }
  void destroyStream(StreamHandle stream) override { ignore(cudaStreamDestroy(asStream(stream))); }
  Status synchronize(StreamHandle stream) override {
    return check(cudaStreamSynchronize(asStream(stream)));
  }

  // A thread that waits sleeps: spinning would take a core from the one that launches.
  Status createEvent(EventHandle* event) override {
    return check(cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event),
                                          cudaEventBlockingSync | cudaEventDisableTiming));
  }
  void destroyEvent(EventHandle event) override { ignore(cudaEventDestroy(asEvent(event))); }
  Status record(EventHandle event, StreamHandle stream) override {
    return check(cudaEventRecord(asEvent(event), asStream(stream)));
  }
  Status wait(EventHandle event) override { return check(cudaEventSynchronize(asEvent(event))); }
  Status createTimer(EventHandle* event) override {
    return check(cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event), cudaEventDefault));
  }
  Status elapsed(EventHandle from, EventHandle to, double* microseconds) override {
    float milliseconds = 0;
    CG_RETURN_IF_ERROR(check(cudaEventElapsedTime(&milliseconds, asEvent(from), asEvent(to))));
    *microseconds = double(milliseconds) * 1e3;
    return {};
  }

  Status upload(void* to, const void* from, size_t bytes, StreamHandle stream) override {
    return check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, asStream(stream)));
  }
  Status download(void* to, const void* from, size_t width, size_t stride, size_t rows,
                  StreamHandle stream) override {
    if (rows == 1 || stride == width)
      return check(
          cudaMemcpyAsync(to, from, width * rows, cudaMemcpyDeviceToHost, asStream(stream)));
    return check(cudaMemcpy2DAsync(to, width, from, stride, width, rows, cudaMemcpyDeviceToHost,
                                   asStream(stream)));
  }
  Status set(void* to, int byte, size_t bytes, StreamHandle stream) override {
    return check(cudaMemsetAsync(to, byte, bytes, asStream(stream)));
  }

  Status launch(const Launch& l, StreamHandle stream) override {
    if (l.sharedBytes > 48 * 1024) CG_RETURN_IF_ERROR(allowShared(l));
    return check(cudaLaunchKernel(l.function, dim3(l.grid.x, l.grid.y, l.grid.z),
                                  dim3(l.block.x, l.block.y, l.block.z), l.arguments, l.sharedBytes,
                                  asStream(stream)));
  }

  // Relaxed: the JS thread may allocate meanwhile.
  Status beginRecording(StreamHandle stream) override {
    return check(cudaStreamBeginCapture(asStream(stream), cudaStreamCaptureModeRelaxed));
  }
  Status endRecording(StreamHandle stream, GraphHandle* graph) override {
    cudaGraph_t recorded = nullptr;
    CG_RETURN_IF_ERROR(check(cudaStreamEndCapture(asStream(stream), &recorded)));
    const Status made =
        check(cudaGraphInstantiate(reinterpret_cast<cudaGraphExec_t*>(graph), recorded, 0));
    ignore(cudaGraphDestroy(recorded));
    return made;
  }
  Status replay(GraphHandle graph, StreamHandle stream) override {
    return check(cudaGraphLaunch(asGraph(graph), asStream(stream)));
  }
  void destroyGraph(GraphHandle graph) override { ignore(cudaGraphExecDestroy(asGraph(graph))); }

 private:
  Status check(cudaError_t e) {
    if (e == cudaSuccess) return {};
    cudaGetLastError();  // one that is not sticky must not show up in a later call
    if (endsContext(e)) lost_ |= bit();
    return error(e == cudaErrorMemoryAllocation ? Code::kMemory : Code::kDevice, "%s (%s)",
                 cudaGetErrorString(e), cudaGetErrorName(e));
  }
  // The calling thread's device in `lost_`.
  static uint64_t bit() {
    int device = 0;
    cudaGetDevice(&device);
    return uint64_t(1) << (device & 63);
  }
  // Freeing fails only where the device is lost, and then there is nothing to free.
  void ignore(cudaError_t e) { static_cast<void>(check(e)); }

  // Above 48 KiB a kernel has to be told once per device and size.
  Status allowShared(const Launch& l) {
    int device = 0;
    CG_RETURN_IF_ERROR(check(cudaGetDevice(&device)));
    std::lock_guard lock(mutex_);
    size_t& allowed = shared_[{l.function, device}];
    if (l.sharedBytes <= allowed) return {};
    CG_RETURN_IF_ERROR(check(cudaFuncSetAttribute(
        l.function, cudaFuncAttributeMaxDynamicSharedMemorySize, int(l.sharedBytes))));
    allowed = l.sharedBytes;
    return {};
  }

  struct Key {
    const void* function;
    int device;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& k) const {
      return std::hash<const void*>()(k.function) * 31 + size_t(k.device);
    }
  };
  std::atomic<uint64_t> lost_ = 0;  // a bit for each device whose context is gone
  std::mutex mutex_;
  std::unordered_map<Key, size_t, Hash> shared_;
};

}  // namespace

const Backend* cudaBackend() {
  static CudaRuntime runtime;
  static const Backend backend{kBackendAbi, &runtime, registerKernels, 80};
  return &backend;
}

}  // namespace callgrad::gpu
