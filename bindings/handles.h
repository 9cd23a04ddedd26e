// Tensors as JS sees them: a number that holds an index and a generation. A stale number is an
// error, never a crash.
#pragma once
#include <memory>
#include <vector>

#include "core/device.h"

namespace callgrad {

// Memory that one or several views share; freed, in program order, when the last view goes.
struct Storage {
  Device* device;
  CachingAllocator::Block* block;
  Storage(Device* d, CachingAllocator::Block* b) : device(d), block(b) {}
  ~Storage() { device->allocator().free(block); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
};

struct Handle {
  std::shared_ptr<Storage> storage;
  TensorView view;
  uint32_t generation = 0;
};

class HandleTable {
 public:
  double add(std::shared_ptr<Storage> storage, const TensorView& view) {
    uint32_t index;
    if (free_.empty()) {
      index = uint32_t(slots_.size());
      slots_.emplace_back();
    } else {
      index = free_.back();
      free_.pop_back();
    }
    Handle& h = slots_[index];
    h.storage = std::move(storage);
    h.view = view;
    live_++;
    return double(h.generation) * kIndexLimit + double(index);
  }
  // Null for anything that is not the number of a live tensor.
  Handle* find(double id) {
    if (!(id >= 0) || id >= kIndexLimit * kGenerations) return nullptr;
    const uint64_t n = uint64_t(id);
    if (double(n) != id) return nullptr;
    const uint64_t index = n % uint64_t(kIndexLimit), generation = n / uint64_t(kIndexLimit);
    if (index >= slots_.size()) return nullptr;
    Handle& h = slots_[index];
    return h.storage && h.generation == generation ? &h : nullptr;
  }
  bool release(double id) {
    Handle* h = find(id);
    if (!h) return false;
    h->storage.reset();
    h->generation = (h->generation + 1) % uint32_t(kGenerations);
    free_.push_back(uint32_t(h - slots_.data()));
    live_--;
    return true;
  }
  size_t live() const { return live_; }
  void clear() {
    slots_.clear();
    free_.clear();
    live_ = 0;
  }

 private:
  static constexpr double kIndexLimit = 4294967296.0, kGenerations = 1048576.0;
  std::vector<Handle> slots_;
  std::vector<uint32_t> free_;
  size_t live_ = 0;
};

}  // namespace callgrad
