#include "simt/stacks.h"

#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace callgrad::simt {

namespace {

// A frame that is left by a switch of stacks, and never returned from, keeps AddressSanitizer's
// marks around its variables: whoever has the memory next would be reported.
void forgetFrames([[maybe_unused]] char* base, [[maybe_unused]] size_t bytes) {
#ifdef __SANITIZE_ADDRESS__
  __asan_unpoison_memory_region(base, bytes);
#endif
}

}  // namespace

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

void Stacks::giveAll() {
  forgetFrames(base_, kSlot * kCount);
  free_.clear();
  for (int i = kCount - 1; i >= 0; i--) free_.push_back(i);
}

Stacks::~Stacks() {
  if (!base_) return;
  forgetFrames(base_, kSlot * kCount);
  munmap(base_, kSlot * kCount);
}

}  // namespace callgrad::simt
