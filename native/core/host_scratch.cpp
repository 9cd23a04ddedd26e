#include "core/host_scratch.h"

#include <cstdlib>
#include <new>

namespace callgrad {

HostScratch::~HostScratch() {
  for (Chunk& c : chunks_) std::free(c.data);
}

void* HostScratch::get(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  for (Chunk& c : chunks_) {
    if (c.size - c.used >= bytes) {
      void* p = c.data + c.used;
      c.used += bytes;
      return p;
    }
  }
  const size_t size = bytes < (size_t(1) << 20) ? size_t(1) << 20 : bytes;
  char* data = static_cast<char*>(std::aligned_alloc(64, size));
  if (!data) throw std::bad_alloc();
  chunks_.push_back({data, size, bytes});
  held_ += size;
  return data;
}

void HostScratch::reset() {
  // Several chunks mean that the last call outgrew the first: one chunk of the sum serves the next
  // call.
  if (chunks_.size() > 1) {
    const size_t total = held_;
    for (Chunk& c : chunks_) std::free(c.data);
    chunks_.clear();
    held_ = 0;
    get(total);
  }
  for (Chunk& c : chunks_) c.used = 0;
}

}  // namespace callgrad
