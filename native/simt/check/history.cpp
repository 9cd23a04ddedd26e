#include "simt/check/history.h"

#include <algorithm>
#include <vector>

#include "simt/source_line.h"

namespace callgrad::simt {
namespace {

uint32_t base = 1;  // context of id i is contexts[i - base]
std::vector<Context> contexts;
uint32_t launches = 0, block = 0, blockEpoch = 0, blockCount = 1;
Releases blockAcquired;  // through barriers
std::unordered_map<uintptr_t, Releases> variables;
Segment shared;

uint32_t placeId(const void* place) {
  static const char* anchor = reinterpret_cast<const char*>(&placeId);
  return uint32_t(static_cast<const char*>(place) - anchor + 0x40000000);
}
const void* placeOf(uint32_t id) {
  static const char* anchor = reinterpret_cast<const char*>(&placeId);
  return anchor + (intptr_t(id) - 0x40000000);
}

bool current_(uint32_t id) { return (id & kContextMask) >= base; }
const Context& context(uint32_t id) { return contexts[(id & kContextMask) - base]; }

bool covers(const Releases* releases, const Context& a, bool anyThread) {
  if (!releases) return false;
  const auto at = releases->find(a.block);
  if (at == releases->end()) return false;
  const Released& r = at->second;
  const bool sameBlock = a.block == block;
  if (a.blockEpoch < (sameBlock ? r.epoch : r.deviceEpoch)) return true;
  if (anyThread) return false;
  for (const Released::Own& o : r.own)
    if (o.thread == a.thread && a.fences < (sameBlock ? o.fence : o.deviceFence)) return true;
  return false;
}

bool acquired(const Fiber& f, const Context& a, bool anyThread) {
  return (!blockAcquired.empty() && covers(&blockAcquired, a, anyThread)) ||
         covers(f.clock.acquired.get(), a, anyThread);
}

// Whether a warp barrier lies between an access of lane `lane` at `tick` and the running lane now;
// lane -1: whether one of the whole warp does.
bool warpOrdered(const Fiber& f, int lane, uint32_t tick) {
  const std::vector<unsigned>& masks = f.warp->clock.masks;
  const int lanes = std::min(kLanes, f.warp->executor->threads - f.warp->index * kLanes);
  const unsigned whole = lanes >= kLanes ? 0xffffffffu : (1u << lanes) - 1;
  const unsigned need = lane < 0 ? whole : 1u << lane | 1u << f.lane;
  for (uint32_t t = f.clock.warpTick; t > tick; t--)
    if ((masks[t - 1] & need) == need) return true;
  return false;
}

bool ordered(const Fiber& f, uint32_t id) {
  if (!current_(id)) return true;
  const Context& a = context(id);
  if (a.block == block) {
    if (a.thread == f.linear || a.blockEpoch < blockEpoch) return true;
    if (a.thread / kLanes == f.linear / kLanes && warpOrdered(f, a.thread % kLanes, a.warpTick))
      return true;
  }
  return acquired(f, a, false);
}

// Of reads, by one or by many.
bool readsOrdered(const Fiber& f, uint32_t id) {
  const uint32_t kind = id >> kContextBits;
  if (kind == kOneThread || !current_(id)) return ordered(f, id);
  const Context& a = context(id);
  if (kind == kManyBlocks)
    return (f.clock.acquired ? f.clock.acquired->size() : blockAcquired.size()) + 1 >= blockCount;
  if (a.block == block) {
    if (a.blockEpoch < blockEpoch) return true;
    if (kind == kOneWarp && a.thread / kLanes == f.linear / kLanes &&
        warpOrdered(f, -1, a.warpTick))
      return true;
  }
  return acquired(f, a, true);
}

uint32_t mergedRead(const Fiber& f, uint32_t old, uint32_t mine) {
  if (old == 0 || !current_(old) || readsOrdered(f, old)) return mine;
  const Context& a = context(old);
  const uint32_t kind = old >> kContextBits;
  if (a.block != block || kind == kManyBlocks) return mine | kManyBlocks << kContextBits;
  if (kind == kOneBlock || a.thread / kLanes != f.linear / kLanes)
    return mine | kOneBlock << kContextBits;
  return mine | kOneWarp << kContextBits;
}

std::string whereText(const Segment& s, uintptr_t p) {
  return &s == &shared ? describeShared(executor(), p) : describeInside(p);
}

[[noreturn]] void race(const Segment& s, uintptr_t p, AccessKind kind, const void* place,
                       uint32_t other, uint32_t otherPlace, bool otherWrites) {
  const Context& a = context(other);
  const char* mine = kind == AccessKind::kRead    ? "read"
                     : kind == AccessKind::kWrite ? "write"
                                                  : "atomic access";
  const char* theirs = !otherWrites ? "read" : other & kAtomicFlag ? "atomic access" : "write";
  std::string who;
  if (a.block == block) {
    Executor& e = executor();
    who = threadText(e.fibers[a.thread]);
  } else {
    who = "thread " + std::to_string(a.thread) + " of block number " + std::to_string(a.block);
  }
  executor().fail("race on " + whereText(s, p) + ": " + mine + " here, " + theirs + " by " + who +
                      " at " + sourceLine(placeOf(otherPlace)) + ", nothing orders the two; here",
                  place);
}

}  // namespace

void Released::add(const Released& o) {
  epoch = std::max(epoch, o.epoch);
  deviceEpoch = std::max(deviceEpoch, o.deviceEpoch);
  for (const Own& theirs : o.own) {
    const auto at = std::find_if(own.begin(), own.end(),
                                 [&](const Own& m) { return m.thread == theirs.thread; });
    if (at == own.end()) {
      own.push_back(theirs);
    } else {
      at->fence = std::max(at->fence, theirs.fence);
      at->deviceFence = std::max(at->deviceFence, theirs.deviceFence);
    }
  }
}

static void addAll(Releases& to, const Releases& from) {
  for (const auto& [number, released] : from) to[number].add(released);
}

uint32_t launchNumber() { return launches; }

void startLaunch() {
  base += uint32_t(contexts.size());
  contexts.clear();
  variables.clear();
  launches++;
  if (base > kContextMask / 2) {
    forgetHistory();
    if (shared.bytes) {
      const uintptr_t begin = shared.begin;
      const size_t bytes = shared.bytes;
      unmapSegment(shared);
      mapSegment(shared, begin, bytes);
    }
    base = 1;
  }
}

void startBlock(uint32_t number, const gpu::Launch& launch) {
  block = number;
  blockEpoch = 0;
  blockAcquired.clear();
  const gpu::Extent& g = launch.grid;
  blockCount = uint32_t(uint64_t(g.x) * g.y * g.z);
}

Segment& sharedSegment() { return shared; }

uint32_t contextOf(Fiber& f) {
  if (f.clock.context == 0) {
    contexts.push_back({block, blockEpoch, f.clock.warpTick, f.clock.fences, uint16_t(f.linear)});
    f.clock.context = base + uint32_t(contexts.size()) - 1;
    if (f.clock.context >= kContextMask)
      executor().fail("too many synchronisations in one launch", nullptr);
  }
  return f.clock.context;
}

void record(Segment& s, uintptr_t p, size_t bytes, AccessKind kind, const void* place) {
  Fiber& f = *current;
  const uint32_t mine = contextOf(f), at = placeId(place);
  Cell* cell = s.cells + (p - s.begin) / kGranule;
  Cell* const end = s.cells + (p + bytes - 1 - s.begin) / kGranule + 1;
  const bool shares = &s == &shared,
             atomic = kind == AccessKind::kAtomic || kind == AccessKind::kAtomicRead;
  for (; cell < end; cell++) {
    const uint32_t write = cell->write & ~kAtomicFlag;
    // Single bytes that share a cell are not told apart: their accesses only leave a trace.
    if (write != mine && bytes > 1 && current_(write) &&
        (!shares || context(write).block == block) && !ordered(f, write) &&
        !(atomic && cell->write & kAtomicFlag))
      race(s, p, kind, place, cell->write, cell->writePlace, true);
    if (kind == AccessKind::kAtomicRead) continue;
    if (kind == AccessKind::kRead) {
      if (cell->read == mine) continue;
      const bool stale = shares && current_(cell->read) && context(cell->read).block != block;
      cell->read = mergedRead(f, stale ? 0 : cell->read, mine);
      cell->readPlace = at;
      continue;
    }
    if (cell->read != mine && bytes > 1 && current_(cell->read) &&
        (!shares || context(cell->read).block == block) && !readsOrdered(f, cell->read))
      race(s, p, kind, place, cell->read, cell->readPlace, false);
    cell->write = mine | (kind == AccessKind::kAtomic ? kAtomicFlag : 0);
    cell->writePlace = at;
  }
}

void fenceMade(bool device) {
  Fiber& f = *current;
  ThreadClock& c = f.clock;
  c.context = 0;
  c.lastFence = ++c.fences;
  c.fenceEpoch = blockEpoch;
  if (device) {
    c.lastDeviceFence = c.fences;
    c.deviceFenceEpoch = blockEpoch;
  }
  if (c.seen) {
    if (!c.acquired) c.acquired = std::make_unique<Releases>();
    addAll(*c.acquired, *c.seen);
    c.seen.reset();
  }
}

void atomicMade(uintptr_t p) {
  Fiber& f = *current;
  ThreadClock& c = f.clock;
  const bool fenced = c.lastFence > 0;
  const auto found = variables.find(p);
  if (found != variables.end()) {
    if (!c.seen) c.seen = std::make_unique<Releases>();
    addAll(*c.seen, found->second);
  }
  if (!fenced) return;
  Releases& v = variables[p];
  Released mine;
  mine.epoch = c.fenceEpoch;
  mine.deviceEpoch = c.lastDeviceFence ? c.deviceFenceEpoch : 0;
  mine.own.push_back({uint16_t(f.linear), c.lastFence, c.lastDeviceFence});
  v[block].add(mine);
  if (c.acquired) addAll(v, *c.acquired);
  addAll(v, blockAcquired);
}

void blockSynchronised(Executor& e) {
  blockEpoch++;
  for (int i = 0; i < e.threads; i++) {
    ThreadClock& c = e.fibers[i].clock;
    c.context = 0;
    if (c.acquired) {
      addAll(blockAcquired, *c.acquired);
      c.acquired.reset();
    }
  }
}

void warpSynchronised(Warp& w, unsigned mask) {
  w.clock.masks.push_back(mask);
  for (int l = 0; l < kLanes; l++) {
    if (!(mask >> l & 1u)) continue;
    w.lanes[l].clock.warpTick = uint32_t(w.clock.masks.size());
    w.lanes[l].clock.context = 0;
  }
}

std::string describeShared(Executor& e, uintptr_t p) {
  const size_t offset = p - reinterpret_cast<uintptr_t>(e.shared());
  for (const auto& v : e.statics())
    if (offset - v.offset < v.site->bytes)
      return "shared " + std::string(v.site->name) + " + " + std::to_string(offset - v.offset) +
             " bytes";
  return "dynamic shared memory + " + std::to_string(offset) + " bytes";
}

}  // namespace callgrad::simt
