#include "core/host_scratch.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace callgrad {
namespace {
#ifdef __SANITIZE_ADDRESS__
constexpr bool kApart = true;  // each piece an allocation of its own, so that its end is watched
#else
constexpr bool kApart = false;
#endif
}  // namespace

HostScratch::~HostScratch() {
  for (Chunk& c : chunks_) std::free(c.data);
}

void* HostScratch::get(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  for (Chunk& c : chunks_) {
    if (!kApart && c.size - c.used >= bytes) {
      void* p = c.data + c.used;
      c.used += bytes;
      return p;
    }
  }
  const size_t size = kApart ? std::max(bytes, size_t(64)) : std::max(bytes, size_t(1) << 20);
  char* data = static_cast<char*>(std::aligned_alloc(64, size));
  if (!data) throw std::bad_alloc();
  chunks_.push_back({data, size, bytes});
  held_ += size;
  return data;
}

void HostScratch::reset() {
  // Several chunks mean that the last call outgrew the first: one chunk of the sum serves the next
  // call.
  if (chunks_.size() > 1 || (kApart && !chunks_.empty())) {
    const size_t total = held_;
    for (Chunk& c : chunks_) std::free(c.data);
    chunks_.clear();
    held_ = 0;
    if (!kApart) get(total);
  }
  for (Chunk& c : chunks_) c.used = 0;
}

}  // namespace callgrad
