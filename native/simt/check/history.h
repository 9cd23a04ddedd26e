// The race check and what it shares with the rest of the checked build.
#pragma once
#include "simt/check/shadow.h"
#include "simt/engine.h"

namespace callgrad::simt {

enum class AccessKind { kRead, kWrite, kAtomic, kAtomicRead };
inline bool writes(AccessKind k) { return k == AccessKind::kWrite || k == AccessKind::kAtomic; }

// The context of the running thread.
uint32_t contextOf(Fiber& f);
void startLaunch();  // contexts of earlier launches are in the past from now on
void startBlock(uint32_t number, const gpu::Launch& launch);
uint32_t launchNumber();

// Adds an access to the history; ends the launch if another one is not ordered with it.
void record(Segment& s, uintptr_t p, size_t bytes, AccessKind kind, const void* place);

void fenceMade(bool device);
void atomicMade(uintptr_t p);
void blockSynchronised(Executor& e);
void warpSynchronised(Warp& w, unsigned mask);

// The running block's shared memory.
Segment& sharedSegment();
std::string describeShared(Executor& e, uintptr_t p);

}  // namespace callgrad::simt
