// Which packed layouts an op may be given.
#pragma once
#include "core/device.h"
#include "ops/op_table.h"

namespace callgrad {

// Layout ids are the device's own: its answer for the weight's shape says which is which.
inline Status expectLayout(const char* name, const TensorView& w, bool transposed,
                           const DeviceTraits& device) {
  if (!w.layout) return {};
  uint8_t layout;
  int64_t bytes;
  device.packedWeight(w.dtype, w.shape[0], w.shape[1], transposed, &layout, &bytes);
  if (w.layout == layout) return {};
  return error(Code::kType,
               "expected %s plain or packed with transposed: %s, got the other packed layout", name,
               transposed ? "true" : "false");
}

}  // namespace callgrad
