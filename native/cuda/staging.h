// Pinned memory through which copies between host and device go: a ring of sections, so that its
// size is bounded whatever is copied, and pinned pages are never made in a steady state.
//
// One thread (the stream's worker) takes room; a section is used again once everything that was
// given out of it has been released, by any thread.
#pragma once
#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>

#include "cuda/runtime.h"

namespace callgrad::gpu {

class Staging {
 public:
  static constexpr size_t kSection = size_t(2) << 20, kSections = 4;

  Staging() = default;
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  Status open(Runtime& runtime);
  void close();

  struct Room {
    char* data;
    size_t section;
  };
  // At most kSection bytes; waits for a section to come free, which whoever holds it owes.
  Room take(size_t bytes);
  void release(size_t section, size_t rooms = 1);

 private:
  Runtime* runtime_ = nullptr;
  char* data_ = nullptr;
  size_t section_ = 0, used_ = 0;  // where the next room is; the worker's own
  std::array<size_t, kSections> held_{};
  std::mutex mutex_;
  std::condition_variable freed_;
};

}  // namespace callgrad::gpu
