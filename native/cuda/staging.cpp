#include "cuda/staging.h"

namespace callgrad::gpu {

Status Staging::open(Runtime& runtime) {
  runtime_ = &runtime;
  void* data = nullptr;
  CG_RETURN_IF_ERROR(runtime.allocatePinned(kSection * kSections, &data));
  data_ = static_cast<char*>(data);
  return {};
}

void Staging::close() {
  if (data_) runtime_->freePinned(data_);
  data_ = nullptr;
}

Staging::Room Staging::take(size_t bytes) {
  bytes = (bytes + 255) / 256 * 256;
  if (used_ + bytes > kSection) {
    section_ = (section_ + 1) % kSections;
    used_ = 0;
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return held_[section_] == 0; });
  }
  const Room room{data_ + section_ * kSection + used_, section_};
  used_ += bytes;
  std::lock_guard lock(mutex_);
  held_[section_]++;
  return room;
}

void Staging::release(size_t section, size_t rooms) {
  {
    std::lock_guard lock(mutex_);
    held_[section] -= rooms;
  }
  freed_.notify_all();
}

}  // namespace callgrad::gpu
