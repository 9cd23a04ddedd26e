// What a kernel of your own includes, to stand in for one of ours in `callgrad bench op NAME
// --kernel FILE` (docs/own-kernel.md): launch(), vector accesses, rows of strided views, and
//
//   callgrad::Status mine(const callgrad::OpCall& call, callgrad::KernelContext& context) { … }
//   CALLGRAD_KERNEL(rmsNorm, mine)     // at global scope, once a file
#pragma once
#include "core/kernel.h"
#include "cuda/access.cuh"
#include "cuda/launch.h"
#include "cuda/rows.cuh"

// The second definition is what the linker is told to ask for: a file without a kernel for the op
// does not link.
#define CALLGRAD_KERNEL(op, function)                                \
  namespace callgrad::gpu {                                          \
  void registerOwn(KernelTable& table) { table.set(#op, function); } \
  }                                                                  \
  extern "C" __attribute__((visibility("default"))) void callgradOwnKernel_##op() {}
