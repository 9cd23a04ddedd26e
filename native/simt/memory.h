// Device memory of the emulator. The checked build keeps a shadow of every allocation.
#pragma once
#include <cstddef>

#include "cuda/runtime.h"

namespace callgrad::simt {

void* allocateGlobal(size_t bytes);  // 256-byte aligned; null when there is none
void freeGlobal(void* data);
size_t memoryHeld();

// What the running op's kernels may touch: all of it, or one more region.
bool checksAccesses();
void setRegions(const gpu::Region* regions, size_t count, bool begins);

// Something else than a kernel has written these bytes.
void written(const void* data, size_t bytes);

}  // namespace callgrad::simt
