// Data-parallel loops for CPU kernels.
//
// Threads help, nobody waits for them: the calling thread works through all indices itself, and
// helpers take what they get to before it does. A helper that sleeps, or that the system has put
// aside, so costs nothing, and a kernel of a few microseconds is over before one has woken up. Work
// is cut by index only, so results do not depend on who did what.
#pragma once
#include <cstdint>
#include <type_traits>
#include <utility>

namespace callgrad {

// Threads that kernels use: CALLGRAD_THREADS, else OMP_NUM_THREADS, else the CPUs this process may
// run on.
int threadCount();

// Starts the helpers; the first loop would, too.
void initParallel();

// Calls fn(context, i) once for each i in [0, threads), at most threadCount() of them at a time,
// and returns when all are done. A loop inside a loop, or of a second stream while the helpers are
// busy, runs on its caller alone.
void parallelRun(int threads, void (*fn)(void*, int), void* context);

// body(begin, end) over [0, n) in at most threadCount() contiguous chunks of at least `grain`
// items.
template <typename Body>
void parallelFor(int64_t n, int64_t grain, Body&& body) {
  if (n <= 0) return;
  int64_t chunks = grain > 0 ? (n + grain - 1) / grain : n;
  if (chunks > threadCount()) chunks = threadCount();
  if (chunks <= 1) {
    body(int64_t(0), n);
    return;
  }
  struct Context {
    std::remove_reference_t<Body>* body;
    int64_t n, chunks;
  } context{&body, n, chunks};
  parallelRun(
      int(chunks),
      [](void* p, int thread) {
        auto* c = static_cast<Context*>(p);
        const int64_t begin = c->n * thread / c->chunks, end = c->n * (thread + 1) / c->chunks;
        if (begin < end) (*c->body)(begin, end);
      },
      &context);
}

// body(task, thread) for tasks of uneven cost: threads take the next task from a shared counter.
// The order in which tasks run varies, so each task must write only memory of its own.
void parallelTasksRun(int64_t tasks, void (*fn)(void*, int64_t, int), void* context);

template <typename Body>
void parallelTasks(int64_t tasks, Body&& body) {
  parallelTasksRun(
      tasks,
      [](void* p, int64_t task, int thread) {
        (*static_cast<std::remove_reference_t<Body>*>(p))(task, thread);
      },
      &body);
}

// body(task, next) for tasks whose data lie one behind the other in memory: each thread walks a run
// of its own upwards, and takes from the others' runs when its own is done. `next` is the task that
// the thread will most likely be given after this one, or `tasks`: what is worth fetching
// meanwhile. Which thread runs what varies, as with parallelTasks.
void parallelRunsRun(int64_t tasks, void (*fn)(void*, int64_t, int64_t), void* context);

template <typename Body>
void parallelRuns(int64_t tasks, Body&& body) {
  parallelRunsRun(
      tasks,
      [](void* p, int64_t task, int64_t next) {
        (*static_cast<std::remove_reference_t<Body>*>(p))(task, next);
      },
      &body);
}

}  // namespace callgrad
