#include "core/parallel.h"

#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

namespace callgrad {
namespace {

int allowedCpus() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

int readThreadCount() {
  for (const char* name : {"CALLGRAD_THREADS", "OMP_NUM_THREADS"}) {
    if (const char* text = getenv(name)) {
      const int n = atoi(text);
      if (n >= 1 && n <= 1024) return n;
    }
  }
  return allowedCpus();
}

// One job at a time. Its state is one word, so that a helper joins a job that is open, or not at
// all:
//   [epoch 28 | indices 12 | next index 12 | helpers inside 12]
// The owner publishes a job only when no helper is inside; helpers come in by taking an index and
// leave when none is left.
class Pool {
 public:
  explicit Pool(int helpers) : helpers_(helpers) {
    keepLoaded();
    for (int i = 0; i < helpers; i++)
      std::thread([this] { help(); }).detach();  // they live as long as the process
  }

  void run(int indices, void (*fn)(void*, int), void* context) {
    if (helpers_ == 0 || owned_.exchange(true, std::memory_order_acquire)) {
      for (int i = 0; i < indices; i++) fn(context, i);
      return;
    }
    fn_ = fn;
    context_ = context;
    const uint64_t epoch = (state_.load(std::memory_order_relaxed) >> 36) + 1;
    // Sequentially consistent with the helpers' count of sleepers: either they see the job or we
    // see them asleep.
    state_.store(epoch << 36 | uint64_t(indices) << 24 | uint64_t(1) << 12,
                 std::memory_order_seq_cst);
    if (sleepers_.load(std::memory_order_seq_cst) > 0) {
      wakeups_.fetch_add(1, std::memory_order_release);
      wakeups_.notify_all();
    }
    fn(context, 0);
    uint64_t s = state_.load(std::memory_order_relaxed);
    while (next(s) < count(s)) {
      if (!state_.compare_exchange_weak(s, s + kNext, std::memory_order_acq_rel)) continue;
      fn(context, int(next(s)));
      s = state_.load(std::memory_order_relaxed);
    }
    // What the helpers still work on is short; one that was put aside needs our core.
    for (int spins = 0; state_.load(std::memory_order_acquire) & kInside; spins++) {
      if (spins < 1000)
        pause();
      else
        std::this_thread::yield();
    }
    owned_.store(false, std::memory_order_release);
  }

 private:
  static constexpr uint64_t kNext = uint64_t(1) << 12, kInside = kNext - 1;
  static uint64_t count(uint64_t s) { return s >> 24 & kInside; }
  static uint64_t next(uint64_t s) { return s >> 12 & kInside; }

  static void pause() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
  }

  void help() {
    for (;;) {
      uint64_t s = waitForJob();
      if (!state_.compare_exchange_strong(s, s + kNext + 1, std::memory_order_acq_rel)) continue;
      // Inside: the job stays as it is until we leave.
      void (*const fn)(void*, int) = fn_;
      void* const context = context_;
      fn(context, int(next(s)));
      for (s = state_.load(std::memory_order_relaxed); next(s) < count(s);) {
        if (!state_.compare_exchange_weak(s, s + kNext, std::memory_order_acq_rel)) continue;
        fn(context, int(next(s)));
        s = state_.load(std::memory_order_relaxed);
      }
      state_.fetch_sub(1, std::memory_order_release);
    }
  }

  // Kernels of a step follow each other within microseconds: to yield in between gives the core
  // away for milliseconds where anybody else wants it, and to be woken takes longer than most
  // kernels do. A longer wait may be one for JS, which then needs the core.
  uint64_t waitForJob() {
    constexpr auto keenly = std::chrono::microseconds(50),
                   patience = std::chrono::microseconds(200);
    constexpr int kLooksPerTurn = 64;
    auto start = std::chrono::steady_clock::now();
    for (int looks = 1;; looks++) {
      const uint64_t s = state_.load(std::memory_order_acquire);
      if (next(s) < count(s)) return s;
      pause();
      if (looks % kLooksPerTurn) continue;
      const auto waited = std::chrono::steady_clock::now() - start;
      if (waited < keenly) continue;
      std::this_thread::yield();
      if (waited < patience) continue;
      const uint32_t seen = wakeups_.load(std::memory_order_acquire);
      sleepers_.fetch_add(1, std::memory_order_seq_cst);
      const uint64_t now = state_.load(std::memory_order_seq_cst);
      if (next(now) >= count(now)) wakeups_.wait(seen, std::memory_order_acquire);
      sleepers_.fetch_sub(1, std::memory_order_relaxed);
      start = std::chrono::steady_clock::now();
    }
  }

  // The helpers run this library's code: it must not be unloaded when the environment that loaded
  // it ends.
  static void keepLoaded() {
    Dl_info info;
    if (dladdr(reinterpret_cast<void*>(&keepLoaded), &info) && info.dli_fname)
      dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE | RTLD_NOLOAD);
  }

  const int helpers_;
  std::atomic<bool> owned_{false};
  void (*fn_)(void*, int) = nullptr;
  void* context_ = nullptr;
  alignas(64) std::atomic<uint64_t> state_{0};
  alignas(64) std::atomic<uint32_t> wakeups_{0};
  std::atomic<uint32_t> sleepers_{0};
};

Pool& pool() {
  static Pool* const p =
      new Pool(threadCount() - 1);  // never destroyed: helpers may outlive static destructors
  return *p;
}

}  // namespace

int threadCount() {
  static const int n = readThreadCount();
  return n;
}

void initParallel() { pool(); }

void parallelRun(int threads, void (*fn)(void*, int), void* context) {
  constexpr int most = 1024;  // fits the job's word; more indices come in turns
  for (int begin = 0; begin < threads; begin += most) {
    struct Part {
      void (*fn)(void*, int);
      void* context;
      int begin;
    } part{fn, context, begin};
    const int count = std::min(most, threads - begin);
    if (count == 1) {
      fn(context, begin);
      continue;
    }
    pool().run(
        count,
        [](void* p, int i) {
          auto* part = static_cast<Part*>(p);
          part->fn(part->context, part->begin + i);
        },
        &part);
  }
}

void parallelTasksRun(int64_t tasks, void (*fn)(void*, int64_t, int), void* context) {
  if (tasks <= 0) return;
  struct Shared {
    std::atomic<int64_t> next{0};
    int64_t tasks;
    void (*fn)(void*, int64_t, int);
    void* context;
  } shared;
  shared.tasks = tasks;
  shared.fn = fn;
  shared.context = context;
  parallelRun(
      int(std::min<int64_t>(tasks, threadCount())),
      [](void* p, int thread) {
        auto* s = static_cast<Shared*>(p);
        for (int64_t i; (i = s->next.fetch_add(1, std::memory_order_relaxed)) < s->tasks;)
          s->fn(s->context, i, thread);
      },
      &shared);
}

void parallelRunsRun(int64_t tasks, void (*fn)(void*, int64_t, int64_t), void* context) {
  if (tasks <= 0) return;
  constexpr int kMostRuns = 64;
  struct alignas(64) Run {
    std::atomic<int64_t> next;
    int64_t end;
  };
  struct Shared {
    int64_t tasks;
    int runs;
    void (*fn)(void*, int64_t, int64_t);
    void* context;
    Run run[kMostRuns];
  } shared;
  shared.tasks = tasks;
  shared.runs = int(std::min<int64_t>({tasks, threadCount(), kMostRuns}));
  shared.fn = fn;
  shared.context = context;
  for (int i = 0; i < shared.runs; i++) {
    shared.run[i].next.store(tasks * i / shared.runs, std::memory_order_relaxed);
    shared.run[i].end = tasks * (i + 1) / shared.runs;
  }
  parallelRun(
      shared.runs,
      [](void* p, int thread) {
        auto* s = static_cast<Shared*>(p);
        for (int turn = 0; turn < s->runs; turn++) {
          Run& run = s->run[(thread + turn) % s->runs];
          for (int64_t i; (i = run.next.fetch_add(1, std::memory_order_relaxed)) < run.end;)
            s->fn(s->context, i, i + 1 < run.end ? i + 1 : s->tasks);
        }
      },
      &shared);
}

}  // namespace callgrad
