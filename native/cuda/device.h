// The device behind `cuda:N` and `simt`: tensors in device memory, ops launched on one in-order
// stream.
//
// Three threads: JS queues ops and allocates, a worker launches them and queues copies, a reaper
// waits for events and delivers reads. So JS never waits for the GPU, and a read does not hold up
// the ops behind it.
//
// Errors. What a launch refuses poisons the queue until the next completion, as on `cpu`. Bad
// values that kernels find lie in a record in device memory, which every completion copies and
// clears in stream order (cuda/device_errors.h). A fault that ends the device (an illegal address)
// is reported once in full, with the kernels that may have caused it; CALLGRAD_CUDA_SYNC=1 waits
// after every op and so names the one.
#pragma once
#include <memory>
#include <string>

#include "core/device.h"
#include "cuda/runtime.h"

namespace callgrad::gpu {

struct GpuOptions {
  std::string name;          // what devices() calls it
  int index = 0;             // the runtime's number for it
  bool synchronous = false;  // wait after every op
  bool cublas = false;       // the runtime is NVIDIA's, so that cuBLAS can work on its streams
};

Status openGpu(const Backend& backend, const GpuOptions& options, std::unique_ptr<Device>* device);

}  // namespace callgrad::gpu
