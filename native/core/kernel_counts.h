// What an emulated device counts while kernels run.
#pragma once
#include <cstdint>
#include <string>

namespace callgrad {

// Memory traffic and work of the launches of one kernel, summed. Sectors are 32
// bytes. A build that does not see memory accesses leaves those figures 0.
struct KernelCounts {
  std::string kernel;
  uint64_t launches = 0, blocks = 0, threads = 0, barriers = 0, warpBarriers = 0;
  uint64_t mma = 0;                            // instructions, m16n8k16 or m16n8k8
  uint64_t fma = 0;                            // fused multiply-adds that the kernel spells as fmaf
  uint64_t readSectors = 0, writeSectors = 0;  // that warps ask for
  uint64_t leastSectors = 0;                   // that would hold what each warp touches
  uint64_t readUnique = 0, writeUnique = 0;    // different ones, summed over launches
  uint64_t sharedWaves = 0, sharedLeast = 0;   // passes through shared memory's banks
  uint64_t uncertain = 0;                      // accesses whose lanes could not be matched surely
};

}  // namespace callgrad
