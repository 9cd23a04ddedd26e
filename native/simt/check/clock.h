// What the race check knows of a thread's past. Order between two accesses of one launch comes only
// from the same thread, a block barrier between them, a warp barrier that both lanes took part in,
// or an atomic that the first thread made after a fence and the second made before one.
#pragma once
#include <cstdint>
#include <memory>
#include <unordered_map>
#include <vector>

namespace callgrad::simt {

// What a thread had done before an access. Accesses between two synchronisations share one.
struct Context {
  uint32_t block, blockEpoch, warpTick, fences;
  uint16_t thread;
};

// A thread's accesses that an atomic has made known: all of its block's before barrier `epoch`, and
// its own before fence number `fence` (before `deviceFence`, to other blocks).
struct Released {
  uint32_t epoch = 0, deviceEpoch = 0;
  struct Own {
    uint16_t thread;
    uint32_t fence, deviceFence;
  };
  std::vector<Own> own;
  void add(const Released& o);
};
using Releases = std::unordered_map<uint32_t, Released>;  // by block

struct AsyncCopy {
  char* to;
  const void* from;
  int width, bytes;
  int group;  // -1 until committed
  const void* place;
};

struct ThreadClock {
  uint32_t context = 0;  // 0: the next access makes one
  uint32_t warpTick = 0;
  uint32_t fences = 0, lastFence = 0, lastDeviceFence = 0;
  uint32_t fenceEpoch = 0, deviceFenceEpoch = 0;
  std::unique_ptr<Releases> seen;      // through atomics, not yet behind a fence
  std::unique_ptr<Releases> acquired;  // behind one
  std::vector<AsyncCopy> copies;
  int groups = 0;  // committed so far
};

struct WarpClock {
  std::vector<unsigned> masks;  // of the warp barriers of this block, in order
};

}  // namespace callgrad::simt
