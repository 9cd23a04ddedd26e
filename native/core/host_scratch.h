// Scratch space in host memory.
#pragma once
#include <vector>

#include "core/kernel.h"

namespace callgrad {

class HostScratch final : public Scratch {
 public:
  HostScratch() = default;
  ~HostScratch() override;
  HostScratch(const HostScratch&) = delete;
  HostScratch& operator=(const HostScratch&) = delete;

  using Scratch::get;
  void* get(size_t bytes) override;
  void reset() override;
  size_t held() const override { return held_; }

 private:
  struct Chunk {
    char* data;
    size_t size, used;
  };
  std::vector<Chunk> chunks_;
  size_t held_ = 0;
};

}  // namespace callgrad
