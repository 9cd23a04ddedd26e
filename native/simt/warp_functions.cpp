// Warp functions and barriers: each lane brings its part, the last one to come does the work for
// all, so a function costs every lane one switch.
#include "simt/engine.h"
#include "simt/hooks.h"

#define CG_HERE __builtin_return_address(0)

namespace callgrad::simt {

const Thread& self() { return *current; }
void* staticShared(SharedSite& site) { return executor().staticShared(site, CG_HERE); }
void* dynamicShared() { return executor().dynamicShared(); }
void pause() { executor().yield(); }
void trap() { executor().fail("__trap()", CG_HERE); }
void countFma(int n) { executor().counts.fma += uint64_t(n); }

void blockBarrier() { executor().blockBarrier(Vote::kNone, 0, CG_HERE); }
int blockVote(Vote vote, int predicate) {
  return executor().blockBarrier(vote, predicate, CG_HERE);
}

void warpBarrier(unsigned mask) {
  executor().meet(
      mask,
      [](Warp& w, unsigned lanes, void**) {
        w.executor->counts.warpBarriers++;
        onWarpBarrier(w, lanes);
      },
      nullptr, CG_HERE);
}

namespace {

struct Shuffle {
  uint64_t value, result;
  int source;
};

struct Ballot {
  bool predicate;
  unsigned result;
};

struct Reduce {
  int value, result;
  Reduction reduction;
};

int combine(int a, int b, Reduction r) {
  switch (r) {
    case Reduction::kAdd:
      return int(unsigned(a) + unsigned(b));
    case Reduction::kMin:
      return a < b ? a : b;
    case Reduction::kMax:
      return a > b ? a : b;
    case Reduction::kMinUnsigned:
      return unsigned(a) < unsigned(b) ? a : b;
    case Reduction::kMaxUnsigned:
      return unsigned(a) > unsigned(b) ? a : b;
    case Reduction::kAnd:
      return a & b;
    case Reduction::kOr:
      return a | b;
    case Reduction::kXor:
      return a ^ b;
  }
  return 0;
}

}  // namespace

uint64_t shuffle(unsigned mask, uint64_t value, int source) {
  Shuffle s{value, value, source};
#ifdef CG_SIMT_CHECKED
  const Fiber& f = *current;
  if (source < 0 || source >= kLanes || !(mask >> source & 1u) || !(f.warp->live >> source & 1u))
    executor().fail("a shuffle reads lane " + std::to_string(source) + ", which does not take part",
                    CG_HERE);
#endif
  executor().meet(
      mask,
      [](Warp&, unsigned lanes, void** arguments) {
        for (int l = 0; l < kLanes; l++) {
          if (!(lanes >> l & 1u)) continue;
          auto* mine = static_cast<Shuffle*>(arguments[l]);
          const int from = mine->source;
          if (from >= 0 && from < kLanes && lanes >> from & 1u)
            mine->result = static_cast<Shuffle*>(arguments[from])->value;
        }
      },
      &s, CG_HERE);
  return s.result;
}

unsigned ballot(unsigned mask, bool predicate) {
  Ballot b{predicate, 0};
  executor().meet(
      mask,
      [](Warp&, unsigned lanes, void** arguments) {
        unsigned bits = 0;
        for (int l = 0; l < kLanes; l++)
          if (lanes >> l & 1u && static_cast<Ballot*>(arguments[l])->predicate) bits |= 1u << l;
        for (int l = 0; l < kLanes; l++)
          if (lanes >> l & 1u) static_cast<Ballot*>(arguments[l])->result = bits;
      },
      &b, CG_HERE);
  return b.result;
}

int reduce(unsigned mask, int value, Reduction reduction) {
  Reduce r{value, 0, reduction};
  executor().meet(
      mask,
      [](Warp&, unsigned lanes, void** arguments) {
        bool first = true;
        int sum = 0;
        for (int l = 0; l < kLanes; l++) {
          if (!(lanes >> l & 1u)) continue;
          const auto* mine = static_cast<Reduce*>(arguments[l]);
          sum = first ? mine->value : combine(sum, mine->value, mine->reduction);
          first = false;
        }
        for (int l = 0; l < kLanes; l++)
          if (lanes >> l & 1u) static_cast<Reduce*>(arguments[l])->result = sum;
      },
      &r, CG_HERE);
  return r.result;
}

namespace {

struct Values {
  float* values;
  int count;
};

struct Sum {
  static float of(float a, float b) { return a + b; }
};
struct Maximum {
  static float of(float a, float b) { return b > a || b != b ? b : a; }
};

// The butterflies of ptx.cuh, in their order: every lane combines its own value with its partner's.
template <typename Combine, int kFirst, bool kDown>
void butterfly(Warp& w, unsigned lanes, void** arguments) {
  if (lanes != 0xffffffffu) {
    w.executor->fail("a warp reduction of a warp with fewer than 32 lanes", current->waitsAt);
  }
  const int count = static_cast<Values*>(arguments[0])->count;
  for (int i = 0; i < count; i++) {
    float v[kLanes], next[kLanes];
    for (int l = 0; l < kLanes; l++) v[l] = static_cast<Values*>(arguments[l])->values[i];
    for (int by = kFirst; kDown ? by > 0 : by < 4; by = kDown ? by / 2 : by * 2) {
      for (int l = 0; l < kLanes; l++) next[l] = Combine::of(v[l], v[l ^ by]);
      for (int l = 0; l < kLanes; l++) v[l] = next[l];
    }
    for (int l = 0; l < kLanes; l++) static_cast<Values*>(arguments[l])->values[i] = v[l];
  }
}

}  // namespace

void sumOverWarp(float* v, int count) {
  Values values{v, count};
  executor().meet(0xffffffffu, butterfly<Sum, 16, true>, &values, CG_HERE);
}
void maxOverWarp(float* v, int count) {
  Values values{v, count};
  executor().meet(0xffffffffu, butterfly<Maximum, 16, true>, &values, CG_HERE);
}
void sumOverQuad(float* v, int count) {
  Values values{v, count};
  executor().meet(0xffffffffu, butterfly<Sum, 1, false>, &values, CG_HERE);
}
void maxOverQuad(float* v, int count) {
  Values values{v, count};
  executor().meet(0xffffffffu, butterfly<Maximum, 1, false>, &values, CG_HERE);
}

}  // namespace callgrad::simt
