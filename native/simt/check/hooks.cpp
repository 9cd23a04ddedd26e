#include "simt/hooks.h"

#include <cstring>

#include "simt/check/counters.h"
#include "simt/check/history.h"

namespace callgrad::simt {

void onBlockStart(Executor& e, uint64_t number) {
  Segment& s = sharedSegment();
  if (s.begin != reinterpret_cast<uintptr_t>(e.shared())) {
    unmapSegment(s);
    mapSegment(s, reinterpret_cast<uintptr_t>(e.shared()),
               Executor::kSharedBytes + Executor::kSharedSlack);
  }
  memset(s.state, kUnwritten, e.launch->sharedBytes);
  startBlock(uint32_t(number), *e.launch);
  for (int i = 0; i < e.warpCount; i++) e.warps[i].clock.masks.clear();
  if (counting()) countBlockStart(e);
}

void onBlockEnd(Executor& e) {
  if (counting()) countFlush(e);
}

void onThreadStart(Fiber& f) { f.clock = ThreadClock{}; }
void onThreadEnd(Fiber&) {}

void onBlockBarrier(Executor& e) {
  blockSynchronised(e);
  if (counting()) countFlush(e);
}

void onWarpBarrier(Warp& w, unsigned mask) {
  warpSynchronised(w, mask);
  if (counting()) countFlush(w);
}

void onStaticShared(Executor&, const SharedSite& site, size_t offset) {
  memset(sharedSegment().state + offset, kUnwritten, site.bytes);
}

}  // namespace callgrad::simt
