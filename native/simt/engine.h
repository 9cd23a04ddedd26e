// One block of CUDA threads on one host thread: a stack and a program counter for each, run until
// it meets others (a barrier, a warp function) or ends.
//
// A thread that blocks switches straight to the next one that can run. A thread that has not
// started has no stack yet; one that ends without having blocked hands its stack to the next, so a
// kernel without barriers runs on one warm stack. Threads of a warp run before those of the next
// warp; `checked` builds pick at random.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/status.h"
#include "cuda/runtime.h"
#include "simt/cuda_model.h"
#include "simt/random.h"
#include "simt/stacks.h"
#ifdef CG_SIMT_CHECKED
#include "simt/check/clock.h"
#endif

// cuda_model.h names the built-in variables of kernels; the engine has fields of these names.
#undef threadIdx
#undef blockIdx
#undef blockDim
#undef gridDim

namespace callgrad::simt {

inline constexpr int kMaxThreads = 1024, kMaxWarps = 32, kLanes = 32;

struct Warp;
class Executor;

struct Fiber : Thread {
  int linear;  // number in the block
  Warp* warp;
  bool started, ended;
  int stack;
  void* sp;
  void* argument;       // of the warp function it waits in
  const void* waitsAt;  // return address of that
#ifdef CG_SIMT_CHECKED
  ThreadClock clock;
#endif
};

// Runs once all lanes of the mask have come; arguments[lane] is what each brought.
using Meet = void (*)(Warp& warp, unsigned mask, void** arguments);

struct Meeting {
  unsigned mask = 0, arrived = 0;
  Meet meet = nullptr;
  const void* place = nullptr;
};

struct Warp {
  Executor* executor;
  Fiber* lanes;
  int index;
  unsigned live;       // lanes that have not ended
  unsigned ready;      // lanes that can run
  unsigned atBarrier;  // lanes that wait for the block
  Meeting meetings[4];
#ifdef CG_SIMT_CHECKED
  WarpClock clock;
#endif
};

struct Counts {
  uint64_t mma = 0, fma = 0, barriers = 0, warpBarriers = 0, blocks = 0, threads = 0;
  void add(const Counts& o) {
    mma += o.mma;
    fma += o.fma;
    barriers += o.barriers;
    warpBarriers += o.warpBarriers;
    blocks += o.blocks;
    threads += o.threads;
  }
};

// What ended a launch early.
struct Failure {
  std::string text;
  uint3 block{};
  int thread = -1;
};

struct SharedBlock {
  char* data = nullptr;  // what a block may use, zeroed by nobody
  size_t dynamicBytes = 0;
};

class Executor {
 public:
  Executor();
  ~Executor();

  // Runs one block; false when it failed. `order` seeds the order of threads (checked builds).
  bool run(const gpu::Launch& launch, uint64_t blockNumber, uint64_t order);
  const Failure& failure() const { return failure_; }
  bool ready() { return stacks_.map() && shared_ != nullptr; }

  // For the functions that kernels call, on the stack of `current`.
  int blockBarrier(Vote vote, int predicate, const void* place);
  void meet(unsigned mask, Meet meet, void* argument, const void* place);
  void yield();
  // Ends the launch; does not return to the kernel.
  [[noreturn]] void fail(std::string text, const void* place);
  void* staticShared(SharedSite& site, const void* place);
  void* dynamicShared() { return shared_; }

  Counts counts;
  const gpu::Launch* launch = nullptr;
  Place place{};
  Stacks stacks_;
  Fiber fibers[kMaxThreads];
  Warp warps[kMaxWarps];
  int threads = 0, warpCount = 0, live = 0, ended = 0;
  static constexpr size_t kSharedBytes = 232448;  // 227 KiB: what an H100 gives a block
  static constexpr size_t kStaticBytes = 49152;
  static constexpr size_t kSharedSlack = 1024;  // after it: accesses here are recognised
  char* shared() const { return shared_; }
  size_t sharedUsed() const { return sharedUsed_; }
  struct StaticVariable {
    const SharedSite* site;
    size_t offset;
  };
  const std::vector<StaticVariable>& statics() const { return statics_; }

 private:
  static void threadMain();
  void prepare();
  Fiber* next();
  void resume(Fiber& from, Fiber* to);
  void releaseBarrier();
  int voteResult() const;
  Fiber* end(Fiber& fiber);
  std::string stuck();
  [[noreturn]] void leave();

  Failure failure_;
  bool failed_ = false;
  void* scheduler_ = nullptr;
  void* discarded_ = nullptr;
  unsigned readyWarps_ = 0;
  int currentWarp_ = 0, currentLane_ = 0;
  int barrierArrived_ = 0, barrierCount_ = 0, barrierVoters_ = 0;
  Vote barrierVote_ = Vote::kNone;
  const void* barrierPlace_ = nullptr;
  Random random_;

  char* shared_ = nullptr;
  size_t sharedUsed_ = 0, staticUsed_ = 0;
  std::vector<StaticVariable> statics_;  // in the order of first use in this block
  std::vector<int> staticOf_;            // index into statics_ by site, -1 when not yet used

  void setReady(Warp& w, unsigned lanes) {
    w.ready |= lanes;
    if (w.ready) readyWarps_ |= 1u << w.index;
  }
  void clearReady(Warp& w, unsigned lanes) {
    w.ready &= ~lanes;
    if (!w.ready) readyWarps_ &= ~(1u << w.index);
  }
};

// The thread that runs on this host thread; null outside kernels.
extern __thread Fiber* current __attribute__((tls_model("initial-exec")));
inline Executor& executor() { return *current->warp->executor; }

std::string threadText(const Fiber& f);
std::string coordinates(const uint3& v);

}  // namespace callgrad::simt
