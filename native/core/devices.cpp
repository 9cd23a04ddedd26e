#include "core/device.h"

namespace callgrad {

namespace {
// In the order in which devices() lists them; "auto" prefers a GPU, then the first one.
std::vector<DeviceProvider> providers() { return {cpuDevices(), cudaDevices(), simtDevices()}; }
}  // namespace

std::vector<DeviceInfo> listDevices(const std::string& name) {
  std::vector<DeviceInfo> all;
  for (const DeviceProvider& provider : providers()) {
    if (!name.empty() && !provider.owns(name)) continue;
    for (DeviceInfo& info : provider.list()) all.push_back(std::move(info));
  }
  return all;
}

Status openDevice(const std::string& name, std::unique_ptr<Device>* device) {
  for (const DeviceProvider& provider : providers())
    if (provider.owns(name)) return provider.open(name, device);
  return error(Code::kDevice, "expected one of the devices that devices() lists, got \"%.100s\"",
               name.c_str());
}

}  // namespace callgrad
