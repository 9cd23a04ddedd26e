// A view of device memory as a kernel sees it: pointer, dtype, shape, and the distance between
// rows.
#pragma once
#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace callgrad {

inline constexpr int kMaxRank = 5;

// Packed weights: the same logical [N, K] matrix in a layout that the device's GEMM prefers.
// `layout` is 0 for plain row-major memory; other values are the device's own and only its GEMM ops
// accept them.
struct TensorView {
  void* data = nullptr;
  DType dtype = DType::kF32;
  uint8_t layout = 0;
  int32_t rank = 0;
  int64_t shape[kMaxRank] = {0, 0, 0, 0, 0};
  // Elements between index i and i+1 of dimension 0. All other dimensions are dense, so a column
  // slice of a [T, C] matrix is a view too; equal to the product of shape[1..] when the view is
  // contiguous.
  int64_t rowStride = 0;

  bool present() const { return rank >= 0; }
  static TensorView absent() {
    TensorView v;
    v.rank = -1;
    return v;
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank; i++) n *= shape[i];
    return n;
  }
  // Elements of one index of dimension 0.
  int64_t rowSize() const {
    int64_t n = 1;
    for (int i = 1; i < rank; i++) n *= shape[i];
    return n;
  }
  bool contiguous() const { return rank == 0 || shape[0] <= 1 || rowStride == rowSize(); }
  bool sameShape(const TensorView& o) const {
    if (rank != o.rank) return false;
    for (int i = 0; i < rank; i++)
      if (shape[i] != o.shape[i]) return false;
    return true;
  }
  template <typename T>
  T* as() const {
    return static_cast<T*>(data);
  }
  std::string shapeText() const {
    std::string s = "[";
    for (int i = 0; i < rank; i++) s += (i ? ", " : "") + std::to_string(shape[i]);
    return s + "]";
  }
};

}  // namespace callgrad
