// Device side of device_errors.h.
#pragma once
#include "cuda/device_errors.h"
#include "cuda/launch.h"

namespace callgrad::gpu {

// Reports that entry `index` of a table holds `value`. Any number of threads may call it; `limit`
// must be the same in all calls of one launch for one fault, `value` and `other` in all calls for
// one entry. Only the thread that opens the record writes `limit`: no two writes meet, and who
// reads it does so after the kernel.
CG_DEVICE void reportFault(const ErrorSlot& errors, Fault fault, long long index, int32_t value,
                           long long limit, int32_t other = 0) {
  const unsigned long long mine = errors.call | static_cast<unsigned long long>(fault);
  const unsigned long long before = atomicCAS(&errors.record->owner, 0ull, mine);
  if (before != 0 && before != mine) return;
  if (before == 0) errors.record->limit = limit;
  atomicMax(&errors.record->where, settled(index, value));
  atomicMax(&errors.record->other, settled(index, other));
}

// Whether an error waits to be delivered. Kernels that change state for good (optimizer, KV) ask
// first and leave it as it was, as on `cpu`, where nothing runs after a failed op.
CG_DEVICE bool faultPending(const ErrorSlot& errors) {
  return *const_cast<const volatile unsigned long long*>(&errors.record->owner) != 0;
}

}  // namespace callgrad::gpu
