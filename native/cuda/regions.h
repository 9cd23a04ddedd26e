// What the kernels of an op call may touch, for runtimes that check it.
#pragma once
#include <vector>

#include "cuda/runtime.h"
#include "ops/op_table.h"

namespace callgrad::gpu {

// Inputs may be read, in-out inputs and outputs written; an output is undefined until it is, unless
// it shares memory with an input.
std::vector<Region> regionsOf(const OpDecl& op, const OpCall& call);

}  // namespace callgrad::gpu
