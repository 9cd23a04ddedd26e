// What a GPU op's host code gets through KernelContext::gpu, and launch() in launch.h uses.
#pragma once
#include <cstdint>

#include "cuda/runtime.h"

namespace callgrad::gpu {

struct Gpu {
  Runtime* runtime;
  StreamHandle stream;
  const Properties* properties;  // grids are sized by properties->multiprocessors
  const char* op;                // the op that is running
  const char* kernel = nullptr;  // launched last: what a device error is first attributed to
  uint64_t launches = 0;
};

}  // namespace callgrad::gpu
