// An in-order stream: tasks run one after another on a worker thread. The CPU's equivalent of a
// CUDA stream.
//
// A failing task poisons the stream: later tasks are skipped until the next completion point, which
// receives the error and clears it (one error, reported once, where somebody awaits).
#pragma once
#include <atomic>
#include <concepts>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "core/status.h"

namespace callgrad {

class Stream {
 public:
  // Work on the stream. While the stream is poisoned skipped() is called instead of run(); a
  // completion is always called.
  struct Task {
    virtual ~Task() = default;
    virtual Status run() = 0;
    virtual void skipped() {}
  };
  using Completion = std::function<void(const Status&)>;

  Stream();
  ~Stream();  // runs what is queued, then joins
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  void enqueue(std::unique_ptr<Task> task);
  // A function that returns a Status, as a task.
  template <std::invocable Run>
  void enqueue(Run run) {
    struct Call final : Task {
      explicit Call(Run r) : body(std::move(r)) {}
      Run body;
      Status run() override { return body(); }
    };
    enqueue(std::unique_ptr<Task>(std::make_unique<Call>(std::move(run))));
  }
  // `work` runs if nothing failed before it; `done` gets its status or the pending error, on the
  // worker thread.
  void complete(std::function<Status()> work, Completion done);
  // Skips what has not started, from now on: whoever would read the results is gone.
  void abandon() { abandoned_ = true; }
  // Waits on the calling thread until the queue is empty. Only for shutting down and native tests.
  void drain();

 private:
  struct Item {
    std::unique_ptr<Task> task;
    std::function<Status()> work;
    Completion done;
  };
  void push(Item item);
  void loop();

  // A producer that runs this far ahead of the worker waits: the bound is on memory, not on
  // correctness.
  static constexpr size_t kMaxQueued = 1 << 16;
  std::mutex mutex_;
  std::condition_variable wake_, room_, idle_;
  std::deque<Item> queue_;
  bool busy_ = false, closing_ = false, sleeping_ = false;
  std::atomic<bool> abandoned_ = false;
  Status poison_;
  std::thread worker_;
};

}  // namespace callgrad
