#include "simt/engine.h"

#include <atomic>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "simt/context_switch.h"
#include "simt/hooks.h"
#include "simt/source_line.h"

namespace callgrad::simt {

__thread Fiber* current = nullptr;

#ifdef CG_SIMT_CHECKED
inline constexpr bool kChecked = true;
inline constexpr size_t kRedZone = 64;  // between static shared variables
#else
inline constexpr bool kChecked = false;
inline constexpr size_t kRedZone = 0;
#endif

std::string coordinates(const uint3& v) {
  return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}
std::string threadText(const Fiber& f) { return "thread " + coordinates(f.threadIdx); }

Executor::Executor() {
  shared_ = static_cast<char*>(std::aligned_alloc(1024, kSharedBytes + kSharedSlack));
}
Executor::~Executor() { std::free(shared_); }

void Executor::prepare() {
  const gpu::Extent& b = launch->block;
  threads = int(b.x * b.y * b.z);
  warpCount = (threads + kLanes - 1) / kLanes;
  live = threads;
  ended = 0;
  readyWarps_ = 0;
  currentWarp_ = currentLane_ = 0;
  barrierArrived_ = 0;
  failed_ = false;
  for (int i = 0; i < warpCount; i++) {
    Warp& w = warps[i];
    w.executor = this;
    w.lanes = fibers + i * kLanes;
    w.index = i;
    const int lanes = threads - i * kLanes;
    w.live = lanes >= kLanes ? 0xffffffffu : (1u << lanes) - 1;
    w.ready = 0;
    w.atBarrier = 0;
    for (Meeting& m : w.meetings) m = Meeting{};
    setReady(w, w.live);
  }
  unsigned x = 0, y = 0, z = 0;
  for (int i = 0; i < threads; i++) {
    Fiber& f = fibers[i];
    f.threadIdx = {x, y, z};
    f.lane = i % kLanes;
    f.waitsAt = nullptr;
    f.place = &place;
    f.linear = i;
    f.warp = warps + i / kLanes;
    f.started = f.ended = false;
    f.stack = -1;
    if (++x == b.x) {
      x = 0;
      if (++y == b.y) y = 0, z++;
    }
  }
  statics_.clear();
  std::fill(staticOf_.begin(), staticOf_.end(), -1);
  staticUsed_ = 0;
  sharedUsed_ = (launch->sharedBytes + 127) / 128 * 128 + kRedZone;
  // Floats that nobody has written are NaN.
  memset(shared_, 0xff, launch->sharedBytes);
}

bool Executor::run(const gpu::Launch& l, uint64_t blockNumber, uint64_t order) {
  launch = &l;
  const uint64_t gx = l.grid.x, gy = l.grid.y;
  place = {{unsigned(blockNumber % gx), unsigned(blockNumber / gx % gy),
            unsigned(blockNumber / gx / gy)},
           {l.block.x, l.block.y, l.block.z},
           {l.grid.x, l.grid.y, l.grid.z}};
  random_.state = order;
  prepare();
  onBlockStart(*this, blockNumber);
  counts.blocks++;
  counts.threads += uint64_t(threads);
  Fiber* first = next();
  first->stack = stacks_.take();
  first->started = true;
  first->sp = prepareStack(stacks_.top(first->stack), threadMain);
  current = first;
  onThreadStart(*first);
  callgradSwitch(&scheduler_, first->sp);
  current = nullptr;
  if (!failed_) onBlockEnd(*this);
  if (failed_) stacks_.giveAll();
  return !failed_;
}

void Executor::leave() {
  current = nullptr;
  callgradSwitch(&discarded_, scheduler_);
  __builtin_unreachable();
}

void Executor::fail(std::string text, const void* where) {
  const Fiber& f = *current;
  failed_ = true;
  failure_.block = place.blockIdx;
  failure_.thread = f.linear;
  failure_.text = "block " + coordinates(place.blockIdx) + ", " + threadText(f) + ": " + text;
  if (const std::string line = sourceLine(where); !line.empty()) failure_.text += ", at " + line;
  leave();
}

// Threads of a kernel run here, one after another on one stack as long as none of them blocks.
void Executor::threadMain() {
  for (;;) {
    Executor& e = executor();
    e.launch->invoke(e.launch->packed);
    Fiber& f = *current;
    Fiber* to = e.end(f);
    if (!to) {
      e.stacks_.give(f.stack);
      if (e.live > 0) e.fail(e.stuck(), nullptr);
      e.leave();
    }
    if (!to->started) {
      to->stack = f.stack;
      to->started = true;
      current = to;
      onThreadStart(*to);
      continue;
    }
    e.stacks_.give(f.stack);
    current = to;
    callgradSwitch(&e.discarded_, to->sp);
  }
}

// Takes a thread that has ended out of everything that waits for it; returns who runs next.
Fiber* Executor::end(Fiber& f) {
  onThreadEnd(f);
  Warp& w = *f.warp;
  f.ended = true;
  live--;
  ended++;
  w.live &= ~(1u << f.lane);
  clearReady(w, 1u << f.lane);
  // A warp function waits for lanes that have not ended (CUDA C++ guide, "Warp Shuffle Functions").
  for (Meeting& m : w.meetings) {
    if (m.arrived && m.arrived == (m.mask & w.live)) {
      const unsigned lanes = m.arrived;
      void* arguments[kLanes];
      for (int l = 0; l < kLanes; l++)
        arguments[l] = lanes >> l & 1u ? w.lanes[l].argument : nullptr;
      const Meet meet = m.meet;
      m = Meeting{};
      meet(w, lanes, arguments);
      setReady(w, lanes);
    }
  }
  if (barrierArrived_ > 0) {
    if (kChecked)
      fail("divergent barrier: this thread ends while " + std::to_string(barrierArrived_) +
               " of its block wait",
           barrierPlace_);
    if (barrierArrived_ == live) releaseBarrier();
  }
  return next();
}

Fiber* Executor::next() {
  if (!readyWarps_) return nullptr;
  Warp* w = warps + currentWarp_;
  unsigned lanes = w->ready;
  if (kChecked) {
    // A random lane of this warp, or now and then of another one.
    if (!lanes || random_.below(8) == 0) {
      unsigned set = readyWarps_;
      for (uint32_t skip = random_.below(uint32_t(std::popcount(set))); skip; skip--)
        set &= set - 1;
      currentWarp_ = std::countr_zero(set);
      w = warps + currentWarp_;
      lanes = w->ready;
    }
    for (uint32_t skip = random_.below(uint32_t(std::popcount(lanes))); skip; skip--)
      lanes &= lanes - 1;
  } else {
    if (!lanes) {
      const unsigned after = readyWarps_ & ~((2u << currentWarp_) - 1);
      currentWarp_ = std::countr_zero(after ? after : readyWarps_);
      w = warps + currentWarp_;
      lanes = w->ready;
    } else if (const unsigned after = lanes & ~((2u << currentLane_) - 1)) {
      lanes = after;
    }
  }
  currentLane_ = std::countr_zero(lanes);
  return w->lanes + currentLane_;
}

void Executor::resume(Fiber& from, Fiber* to) {
  if (to == &from) return;
  if (!to) fail(stuck(), nullptr);
  current = to;
  if (!to->started) {
    to->started = true;
    to->stack = stacks_.take();
    to->sp = prepareStack(stacks_.top(to->stack), threadMain);
    onThreadStart(*to);
  }
  callgradSwitch(&from.sp, to->sp);
}

void Executor::yield() {
  Fiber& f = *current;
  const unsigned others = readyWarps_ & ~(1u << f.warp->index);
  if (others) {
    const unsigned after = others & ~((2u << currentWarp_) - 1);
    currentWarp_ = std::countr_zero(after ? after : others);
    currentLane_ = kLanes - 1;
  }
  resume(f, next());
}

void Executor::releaseBarrier() {
  for (int i = 0; i < warpCount; i++) {
    Warp& w = warps[i];
    if (barrierVote_ != Vote::kNone)
      for (unsigned lanes = w.atBarrier; lanes; lanes &= lanes - 1)
        *static_cast<int*>(w.lanes[std::countr_zero(lanes)].argument) = voteResult();
    setReady(w, w.atBarrier);
    w.atBarrier = 0;
  }
  barrierArrived_ = 0;
  counts.barriers++;
  onBlockBarrier(*this);
}

int Executor::voteResult() const {
  return barrierVote_ == Vote::kCount ? barrierCount_
         : barrierVote_ == Vote::kOr  ? barrierCount_ > 0
                                      : barrierCount_ == barrierVoters_;
}

int Executor::blockBarrier(Vote vote, int predicate, const void* where) {
  Fiber& f = *current;
  if (kChecked && ended > 0)
    fail("divergent barrier: " + std::to_string(ended) + " threads of the block have ended", where);
  if (barrierArrived_ == 0) {
    barrierPlace_ = where;
    barrierVote_ = vote;
    barrierCount_ = barrierVoters_ = 0;
  } else if (barrierVote_ != vote || (kChecked && barrierPlace_ != where)) {
    fail("divergent barrier: others of the block wait at another one, " + sourceLine(barrierPlace_),
         where);
  }
  barrierVoters_++;
  barrierCount_ += predicate != 0;
  int result = 0;
  f.argument = &result;
  f.waitsAt = where;
  if (++barrierArrived_ == live) {
    releaseBarrier();
    return vote == Vote::kNone ? 0 : voteResult();
  }
  clearReady(*f.warp, 1u << f.lane);
  f.warp->atBarrier |= 1u << f.lane;
  resume(f, next());
  return result;
}

void Executor::meet(unsigned mask, Meet meet, void* argument, const void* where) {
  Fiber& f = *current;
  Warp& w = *f.warp;
  const unsigned bit = 1u << f.lane;
  if (!(mask & bit)) fail("a warp function whose mask leaves out the calling lane", where);
  Meeting* m = nullptr;
  for (Meeting& candidate : w.meetings) {
    if (candidate.arrived && candidate.mask == mask) {
      m = &candidate;
      break;
    }
    if (!candidate.arrived && !m) m = &candidate;
  }
  if (!m) fail("more than four warp functions with different masks at once", where);
  if (!m->arrived) {
    m->mask = mask;
    m->meet = meet;
    m->place = where;
  } else if (m->meet != meet || (kChecked && m->place != where)) {
    fail("divergent warp function: other lanes of its mask wait at " + sourceLine(m->place), where);
  }
  m->arrived |= bit;
  f.argument = argument;
  f.waitsAt = where;
  if (m->arrived == (mask & w.live)) {
    const unsigned lanes = m->arrived;
    void* arguments[kLanes];
    for (int l = 0; l < kLanes; l++) arguments[l] = w.lanes[l].argument;
    m->arrived = 0;
    meet(w, lanes, arguments);
    setReady(w, lanes);
    return;
  }
  clearReady(w, bit);
  resume(f, next());
}

// Nobody can run: who waits where.
std::string Executor::stuck() {
  std::string text = "divergent barrier: no thread of the block can go on";
  int named = 0;
  const void* last = nullptr;
  for (int i = 0; i < threads && named < 4; i++) {
    const Fiber& f = fibers[i];
    if (f.ended || f.waitsAt == last) continue;
    last = f.waitsAt;
    named++;
    const bool barrier = f.warp->atBarrier >> f.lane & 1u;
    text += "; " + threadText(f) + " waits " +
            (barrier ? "for its block" : "for other lanes of its warp");
    if (const std::string line = sourceLine(f.waitsAt); !line.empty()) text += " at " + line;
  }
  if (ended) text += "; " + std::to_string(ended) + " have ended";
  return text;
}

void* Executor::staticShared(SharedSite& site, const void* where) {
  static std::atomic<int> sites{0};
  std::atomic_ref<int> id(site.id);
  int i = id.load(std::memory_order_relaxed);
  if (i < 0) {
    const int fresh = sites.fetch_add(1);
    i = -1;
    if (id.compare_exchange_strong(i, fresh)) i = fresh;
  }
  if (size_t(i) >= staticOf_.size()) staticOf_.resize(size_t(i) + 16, -1);
  if (staticOf_[size_t(i)] < 0) {
    const size_t offset = (sharedUsed_ + 15) / 16 * 16;
    staticUsed_ += site.bytes;
    if (staticUsed_ > kStaticBytes)
      fail("expected at most 48 KiB of static shared memory, got " + std::to_string(staticUsed_) +
               " bytes with " + site.name,
           where);
    if (offset + site.bytes > kSharedBytes)
      fail("expected at most " + std::to_string(kSharedBytes) + " bytes of shared memory, got " +
               std::to_string(offset + site.bytes) + " with " + site.name,
           where);
    sharedUsed_ = offset + site.bytes + kRedZone;
    memset(shared_ + offset, 0xff, site.bytes);
    staticOf_[size_t(i)] = int(statics_.size());
    statics_.push_back({&site, offset});
    onStaticShared(*this, site, offset);
  }
  return shared_ + statics_[size_t(staticOf_[size_t(i)])].offset;
}

}  // namespace callgrad::simt
