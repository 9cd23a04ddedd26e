// Small kernels, wrong and right, that the emulator's own tests run (test/native/simt.test.ts).
#pragma once
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cuda/ptx.cuh"

namespace callgrad::gpu {

// Device memory for one case. `regions` of an op are what it hands to kernels; everything else of
// the runtime's memory is out of bounds.
class Bench {
 public:
  explicit Bench(Runtime& runtime);
  ~Bench();

  // `count` elements that kernels may write; undefined, or a copy of `values`.
  template <typename T>
  T* output(size_t count, const char* name = "y") {
    return static_cast<T*>(make(count * sizeof(T), nullptr, name, true));
  }
  template <typename T>
  T* inout(const std::vector<T>& values, const char* name = "x") {
    return static_cast<T*>(make(values.size() * sizeof(T), values.data(), name, true));
  }
  template <typename T>
  const T* input(const std::vector<T>& values, const char* name = "x") {
    return static_cast<const T*>(make(values.size() * sizeof(T), values.data(), name, false));
  }
  template <typename T>
  std::vector<T> read(const T* data, size_t count) {
    std::vector<T> out(count);
    memcpy(out.data(), data, count * sizeof(T));
    return out;
  }
  template <typename... P, typename... A>
  Status run(void (*kernel)(P...), dim3 grid, dim3 block, size_t sharedBytes, A... args) {
    runtime_.beginOp(regions_.data(), regions_.size(), gpu.stream);
    return launch(gpu, "case", kernel, grid, block, sharedBytes, args...);
  }

  Gpu gpu{};

 private:
  void* make(size_t bytes, const void* values, const char* name, bool writable);
  Runtime& runtime_;
  std::vector<Region> regions_;
  std::vector<void*> blocks_;
};

struct Case {
  const char* name;
  // What the checked build must report; null: nothing. The fast build runs those with null only.
  const char* expected;
  // An error of the launch, or a wrong result in words.
  std::function<Status(Bench&)> run;
};

void addBounds(std::vector<Case>& cases);
void addRaces(std::vector<Case>& cases);
void addBarriers(std::vector<Case>& cases);
void addCopies(std::vector<Case>& cases);
void addTwins(std::vector<Case>& cases);
void addCounters(std::vector<Case>& cases);

inline Status expectEqual(double got, double want, const char* what) {
  return got == want || (got != got && want != want)
             ? Status()
             : error(Code::kInternal, "wrong result: %s is %.9g, expected %.9g", what, got, want);
}

}  // namespace callgrad::gpu
