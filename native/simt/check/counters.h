// Counters of memory traffic, as the hardware would see a warp's accesses.
//
// The lanes of one instruction run at different times here. Accesses of a warp belong together when
// they have the same program counter and are their lane's n-th there since the warp's last
// synchronisation. Where lanes make different numbers of turns, n-th turns need not coincide on a
// device: those groups make the figures an estimate, and are counted.
#pragma once
#include "simt/check/history.h"

namespace callgrad::simt {

struct Traffic {
  uint64_t readSectors = 0, writeSectors = 0;  // 32-byte sectors that warps ask for
  uint64_t leastSectors = 0;                   // that would hold the bytes that each warp touches
  uint64_t readUnique = 0, writeUnique = 0;    // different sectors touched in the launch
  uint64_t sharedLeast = 0, sharedWaves = 0;   // least and actual passes through shared memory
  uint64_t uncertain = 0;                      // groups in which not every live lane took part
};

extern bool countingOn;
inline bool counting() { return countingOn; }
Traffic& traffic();

void count(Segment& s, uintptr_t p, size_t bytes, AccessKind kind, const void* place);
void countBlockStart(Executor& e);
void countFlush(Executor& e);
void countFlush(Warp& w);

}  // namespace callgrad::simt
