// A launch: the blocks of a grid, one after another or on several host threads.
#pragma once
#include "core/status.h"
#include "cuda/runtime.h"
#include "simt/engine.h"

namespace callgrad::simt {

// Runs every block and returns when all have. The error of a kernel names it, the block, the thread
// and, where there are line tables, the place.
// `traffic` gets the counts of memory, while countTraffic() is on.
Status runGrid(const gpu::Launch& launch, Counts* counts, KernelCounts* traffic);
void countTraffic(bool on);

}  // namespace callgrad::simt
