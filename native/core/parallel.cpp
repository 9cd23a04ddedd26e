#include "core/parallel.h"

#include <dlfcn.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

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

// Threads of our own, for machines without libgomp. Callers are serialised: only a stream's worker calls.
class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; i++) workers_.emplace_back([this, i] { loop(i); });
    for (auto& w : workers_) w.detach();  // they live as long as the process
  }
  void run(int threads, void (*fn)(void*, int), void* context) {
    std::lock_guard serial(serial_);
    {
      std::lock_guard lock(mutex_);
      fn_ = fn;
      context_ = context;
      active_ = threads;
      left_ = threads - 1;
      epoch_++;
    }
    wake_.notify_all();
    fn(context, 0);
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  void loop(int index) {
    uint64_t seen = 0;
    for (;;) {
      void (*fn)(void*, int);
      void* context;
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [&] { return epoch_ != seen; });
        seen = epoch_;
        if (index >= active_) continue;
        fn = fn_;
        context = context_;
      }
      fn(context, index);
      std::lock_guard lock(mutex_);
      if (--left_ == 0) done_.notify_one();
    }
  }
  std::vector<std::thread> workers_;
  std::mutex serial_, mutex_;
  std::condition_variable wake_, done_;
  void (*fn_)(void*, int) = nullptr;
  void* context_ = nullptr;
  int active_ = 0, left_ = 0;
  uint64_t epoch_ = 0;
};

using GompParallel = void (*)(void (*)(void*), void*, unsigned, unsigned);
using OmpQuery = int (*)();
GompParallel gompParallel = nullptr;
OmpQuery ompThreadNum = nullptr, ompNumThreads = nullptr;
Pool* pool = nullptr;
std::once_flag once;

}  // namespace

int threadCount() {
  static const int n = readThreadCount();
  return n;
}

void initParallel() {
  std::call_once(once, [] {
    const std::string threads = std::to_string(threadCount());
    // libgomp reads these once, when it is loaded. Passive after a short spin: a spinning pool would starve the
    // JS thread on a machine of two cores, a sleeping one costs some 10 us per kernel.
    setenv("OMP_NUM_THREADS", threads.c_str(), 1);
    setenv("GOMP_SPINCOUNT", "4000", 0);
    if (void* gomp = dlopen("libgomp.so.1", RTLD_NOW | RTLD_GLOBAL)) {
      gompParallel = reinterpret_cast<GompParallel>(dlsym(gomp, "GOMP_parallel"));
      ompThreadNum = reinterpret_cast<OmpQuery>(dlsym(gomp, "omp_get_thread_num"));
      ompNumThreads = reinterpret_cast<OmpQuery>(dlsym(gomp, "omp_get_num_threads"));
    }
    if (!gompParallel || !ompThreadNum || !ompNumThreads) {
      gompParallel = nullptr;
      pool = new Pool(threadCount());
    }
  });
}

void parallelRun(int threads, void (*fn)(void*, int), void* context) {
  if (threads <= 1) return fn(context, 0);
  initParallel();
  if (!gompParallel) return pool->run(std::min(threads, threadCount()), fn, context);
  struct Call {
    void (*fn)(void*, int);
    void* context;
    int threads;
  } call{fn, context, threads};
  gompParallel(
      [](void* p) {
        auto* c = static_cast<Call*>(p);
        // libgomp may give fewer threads than asked (OMP_THREAD_LIMIT): every index still runs.
        for (int t = ompThreadNum(); t < c->threads; t += ompNumThreads()) c->fn(c->context, t);
      },
      &call, unsigned(threads), 0);
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

}  // namespace callgrad
