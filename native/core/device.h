// A device: memory, a stream, and a kernel for each op of the table.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "core/kernel.h"
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

class Device {
 public:
  virtual ~Device() = default;
  virtual const char* name() const = 0;
  virtual CachingAllocator& allocator() = 0;
  virtual Stream& stream() = 0;
  virtual const DeviceTraits& traits() const = 0;
  virtual Kernel kernel(int op) const = 0;  // null when the device has none
  virtual Scratch& scratch() = 0;
};

struct DeviceInfo {
  std::string name;
  bool available;
  std::string reason;  // why it is not available
  std::string description;
  bool bf16 = false;  // whether bf16 arithmetic is faster than fp32 here
};

std::vector<DeviceInfo> listDevices();
Status openDevice(const std::string& name, std::unique_ptr<Device>* device);

}  // namespace callgrad
