// Which GPU devices there are, and why one cannot be used.
#pragma once
#include <string>
#include <vector>

#include "core/device.h"
#include "cuda/runtime.h"

namespace callgrad::gpu {

// The devices of a backend as "cuda:0", "cuda:1" …; with a reason at "cuda:0" where there is none.
std::vector<DeviceInfo> listCuda(const Backend& backend);
Status openCuda(const Backend& backend, const std::string& name, std::unique_ptr<Device>* device);

// The backend compiled by nvcc into this library; weak, for nvcc may have been absent.
const Backend* cudaBackend() __attribute__((weak));

}  // namespace callgrad::gpu
