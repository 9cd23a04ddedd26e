// The memory of the machine that this process runs on.
#pragma once
#include <cstddef>

namespace callgrad {

// Bytes of physical memory, or the cgroup's limit where that is lower.
size_t hostMemory();

}  // namespace callgrad
