// Data-parallel loops for CPU kernels.
//
// oneDNN runs on libgomp's threads; our kernels use the same ones (GOMP_parallel, opened at run time), so that one
// pool stays warm and nothing is oversubscribed. Where libgomp is missing, threads of our own stand in. Work is cut
// by index only, never by time, so results do not depend on scheduling.
#pragma once
#include <cstdint>
#include <type_traits>
#include <utility>

namespace callgrad {

// Threads that kernels use: CALLGRAD_THREADS, else OMP_NUM_THREADS, else the CPUs this process may run on.
int threadCount();

// Must run before oneDNN is opened: sets libgomp's waiting (a short spin, then sleep) and opens it.
void initParallel();

// Calls fn(context, thread) on `threads` threads and returns when all are done.
void parallelRun(int threads, void (*fn)(void*, int), void* context);

// body(begin, end) over [0, n) in at most threadCount() contiguous chunks of at least `grain` items.
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

// body(task, thread) for tasks of uneven cost: threads take the next task from a shared counter. The order in which
// tasks run varies, so each task must write only memory of its own.
void parallelTasksRun(int64_t tasks, void (*fn)(void*, int64_t, int), void* context);

template <typename Body>
void parallelTasks(int64_t tasks, Body&& body) {
  parallelTasksRun(
      tasks,
      [](void* p, int64_t task, int thread) { (*static_cast<std::remove_reference_t<Body>*>(p))(task, thread); },
      &body);
}

}  // namespace callgrad
