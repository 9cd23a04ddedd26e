// Under AddressSanitizer: which bytes of the pooled memory belong to a live tensor.
//
// The pool is one large mapping to the sanitizer, so that a kernel that leaves its tensor would
// land in a neighbour unseen. Blocks are marked when they are given out and taken back, in stream
// order: JS may free a tensor that queued work still reads. Other builds compile to nothing.
#pragma once
#include <cstddef>
#include <memory>

#include "core/sanitizer_marks.h"
#include "core/stream.h"

namespace callgrad::cpu {

#ifdef __SANITIZE_ADDRESS__

inline constexpr size_t kRedZone = 64;

// Bytes [0, bytes) of the block may be used once everything queued so far has run, the rest may
// not.
inline void markBlock(Stream& stream, char* data, size_t size, size_t bytes) {
  struct Mark final : Stream::Task {
    char* data;
    size_t size, bytes;
    Status run() override {
      __asan_poison_memory_region(data, size);
      unmark(data, bytes);
      return {};
    }
    void skipped() override { (void)run(); }
  };
  auto mark = std::make_unique<Mark>();
  mark->data = data;
  mark->size = size;
  mark->bytes = bytes;
  stream.enqueue(std::move(mark));
}

#else

inline constexpr size_t kRedZone = 0;
inline void markBlock(Stream&, char*, size_t, size_t) {}

#endif

}  // namespace callgrad::cpu
