// Stacks of CUDA threads: one mapping for a host thread, a page that faults below each.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace callgrad::simt {

class Stacks {
 public:
  static constexpr size_t kBytes = 256 << 10, kGuard = 64 << 10, kSlot = kBytes + kGuard;
  static constexpr int kCount = 1024;  // threads of a block, at most

  Stacks() = default;
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  bool map();  // false when there is no memory
  // The last one given back first: its top is in the cache.
  int take() {
    const int i = free_.back();
    free_.pop_back();
    return i;
  }
  void give(int i) { free_.push_back(i); }
  void giveAll();
  // Tops are spread over the sets of the cache.
  char* top(int i) const { return base_ + size_t(i + 1) * kSlot - size_t(i % 16) * 256; }
  char* bottom(int i) const { return base_ + size_t(i) * kSlot + kGuard; }
  bool contains(const void* p) const {
    return size_t(static_cast<const char*>(p) - base_) < kSlot * kCount;
  }

 private:
  char* base_ = nullptr;
  std::vector<int> free_;
};

}  // namespace callgrad::simt
