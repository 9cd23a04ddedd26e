#include "cuda/reaper.h"

namespace callgrad::gpu {

Reaper::Reaper(Runtime& runtime, int device)
    : runtime_(runtime), device_(device), thread_([this] { loop(); }) {}

Reaper::~Reaper() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_one();
  thread_.join();
  for (EventHandle event : free_) runtime_.destroyEvent(event);
}

Status Reaper::takeEvent(EventHandle* event) {
  {
    std::lock_guard lock(mutex_);
    if (!free_.empty()) {
      *event = free_.back();
      free_.pop_back();
      return {};
    }
  }
  return runtime_.createEvent(event);
}

void Reaper::after(StreamHandle stream, const Status& before, Action action) {
  Item item{nullptr, before, std::move(action)};
  if (item.status.ok()) item.status = takeEvent(&item.event);
  if (item.status.ok()) item.status = runtime_.record(item.event, stream);
  {
    std::lock_guard lock(mutex_);
    if (!item.status.ok() && item.event) {
      free_.push_back(item.event);
      item.event = nullptr;
    }
    queue_.push_back(std::move(item));
  }
  wake_.notify_one();
}

void Reaper::drain() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return queue_.empty() && !busy_; });
}

void Reaper::loop() {
  const Status current = runtime_.use(device_);
  for (;;) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      busy_ = false;
      if (queue_.empty()) {
        idle_.notify_all();
        wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
        if (queue_.empty()) return;
      }
      item = std::move(queue_.front());
      queue_.pop_front();
      busy_ = true;
    }
    Status status = current.ok() ? std::move(item.status) : current;
    if (item.event) {
      if (Status waited = runtime_.wait(item.event); status.ok()) status = std::move(waited);
      std::lock_guard lock(mutex_);
      free_.push_back(item.event);
    }
    item.action(status);
  }
}

}  // namespace callgrad::gpu
