// Checks of one memory access of a kernel, before it happens.
#pragma once
#include <cstddef>
#include <cstdint>

#include "simt/check/history.h"

namespace callgrad::simt {

// Ends the launch where the access is out of bounds, misaligned, reads what nobody wrote or what is
// still on its way, or is not ordered with another one. `counted` accesses enter the counters.
void checkAccess(const void* p, size_t bytes, AccessKind kind, const void* place,
                 bool counted = true);
// Takes bytes that an atomic is about to store as written.
void markWritten(const void* p, size_t bytes);
void checkAligned(const void* p, size_t bytes, const void* place);

}  // namespace callgrad::simt
