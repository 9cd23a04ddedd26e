#include "core/stream.h"

#include <exception>
#include <new>

#include "core/kernel.h"

namespace callgrad {

Stream::Stream() : worker_([this] { loop(); }) {}

Stream::~Stream() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  worker_.join();
}

void Stream::push(Item item) {
  bool notify;
  {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return queue_.size() < kMaxQueued; });
    queue_.push_back(std::move(item));
    notify = sleeping_;
  }
  if (notify) wake_.notify_one();
}

void Stream::enqueue(std::unique_ptr<Task> task) { push({std::move(task), nullptr, nullptr}); }

void Stream::complete(std::function<Status()> work, Completion done) {
  push({nullptr, std::move(work), std::move(done)});
}

void Stream::drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

namespace {
// Kernels return a Status; what still throws (bad_alloc from scratch memory) must not take the
// process down.
template <typename F>
Status guarded(F&& f) {
  try {
    return f();
  } catch (const ScratchError& e) {
    return e.status();
  } catch (const std::bad_alloc&) {
    return Status(Code::kMemory, "out of host memory for a kernel's scratch space");
  } catch (const std::exception& e) {
    return Status(Code::kInternal, e.what());
  }
}
}  // namespace

void Stream::loop() {
  std::deque<Item> batch;
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      busy_ = false;
      if (queue_.empty()) {
        idle_.notify_all();
        sleeping_ = true;
        wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        sleeping_ = false;
        if (queue_.empty()) return;
      }
      batch.swap(queue_);
      busy_ = true;
    }
    room_.notify_all();
    for (Item& item : batch) {
      if (abandoned_ && poison_.ok())
        poison_ = Status(Code::kDevice, "the environment of the stream is closing");
      if (item.task) {
        if (poison_.ok())
          poison_ = guarded([&] { return item.task->run(); });
        else
          item.task->skipped();
      } else {
        Status status = std::move(poison_);
        poison_ = Status();
        if (status.ok() && item.work) status = guarded(item.work);
        item.done(status);
      }
    }
    batch.clear();
  }
}

}  // namespace callgrad
