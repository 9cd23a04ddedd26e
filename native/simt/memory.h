// Device memory of the emulator. The checked build keeps a shadow of every allocation.
#pragma once
#include <cstddef>

namespace callgrad::simt {

void* allocateGlobal(size_t bytes);  // 256-byte aligned; null when there is none
void freeGlobal(void* data);
size_t memoryTotal();  // the host's, or the cgroup's limit
size_t memoryHeld();

// Something else than a kernel has written these bytes.
void written(const void* data, size_t bytes);

}  // namespace callgrad::simt
