// Where the engine tells the checks of the `checked` build what happens; nothing in the fast one.
#pragma once
#include "simt/engine.h"

namespace callgrad::simt {

#ifdef CG_SIMT_CHECKED
void onBlockStart(Executor& e, uint64_t blockNumber);
void onBlockEnd(Executor& e);
void onThreadStart(Fiber& f);
void onThreadEnd(Fiber& f);
void onBlockBarrier(Executor& e);
void onWarpBarrier(Warp& w, unsigned mask);
void onStaticShared(Executor& e, const SharedSite& site, size_t offset);
#else
inline void onBlockStart(Executor&, uint64_t) {}
inline void onBlockEnd(Executor&) {}
inline void onThreadStart(Fiber&) {}
inline void onThreadEnd(Fiber&) {}
inline void onBlockBarrier(Executor&) {}
inline void onWarpBarrier(Warp&, unsigned) {}
inline void onStaticShared(Executor&, const SharedSite&, size_t) {}
#endif

}  // namespace callgrad::simt
