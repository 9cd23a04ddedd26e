#include "simt/stacks.h"

#include <sys/mman.h>

#include "core/sanitizer_marks.h"

namespace callgrad::simt {

bool Stacks::map() {
  if (base_) return true;
  void* p =
      mmap(nullptr, kSlot * kCount, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return false;
  for (int i = 0; i < kCount; i++) {
    if (mprotect(static_cast<char*>(p) + size_t(i) * kSlot + kGuard, kBytes,
                 PROT_READ | PROT_WRITE) != 0) {
      munmap(p, kSlot * kCount);
      return false;
    }
  }
  base_ = static_cast<char*>(p);
  giveAll();
  return true;
}

// A frame that is left by a switch of stacks, and never returned from, keeps the sanitizer's marks
// around its variables: whoever has the memory next would be reported.
void Stacks::giveAll() {
  unmark(base_, kSlot * kCount);
  free_.clear();
  for (int i = kCount - 1; i >= 0; i--) free_.push_back(i);
}

Stacks::~Stacks() {
  if (!base_) return;
  unmark(base_, kSlot * kCount);
  munmap(base_, kSlot * kCount);
}

}  // namespace callgrad::simt
