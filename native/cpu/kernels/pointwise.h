// Cutting element-wise work into pieces: dense tensors into runs of one length, strided ones into
// their rows.
#pragma once
#include <algorithm>
#include <initializer_list>

#include "core/parallel.h"
#include "core/tensor_view.h"
#include "cpu/kernels/simd.h"

namespace callgrad::cpu::CG_ISA {

inline constexpr int64_t kPiece = 4096;  // elements: the arrays of one piece stay in the L1 cache
inline constexpr int64_t kGrain =
    16384;  // elements below which a second thread costs more than it brings

// Pieces of tensors of one shape. Depends on the shape and the strides only, so a sum taken piece
// by piece has one order whatever the threads.
struct Pieces {
  int64_t count = 0, rows = 0, width = 0;
  bool dense = true;

  explicit Pieces(std::initializer_list<const TensorView*> views) {
    const TensorView& first = **views.begin();
    for (const TensorView* v : views) dense = dense && v->contiguous();
    rows = first.rank ? first.shape[0] : 1;
    width = first.rowSize();
    if (dense) {
      width = rows * width;
      rows = 1;
    }
    count = width ? (dense ? (width + kPiece - 1) / kPiece : rows) : 0;
  }

  // body(piece, row, column, n): elements [column, column + n) of a row; a dense tensor is one row.
  template <typename Body>
  void run(Body&& body) const {
    const int64_t size = dense ? kPiece : width;
    parallelFor(count, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, size)),
                [&](int64_t begin, int64_t end) {
                  for (int64_t p = begin; p < end; p++) {
                    if (dense)
                      body(p, int64_t(0), p * kPiece, std::min(kPiece, width - p * kPiece));
                    else
                      body(p, p, int64_t(0), width);
                  }
                });
  }
};

template <typename T>
inline T* at(const TensorView& v, int64_t row, int64_t column) {
  return v.as<T>() + row * v.rowStride + column;
}

// step(i, n) for i = 0, 16, …: n lanes are meant, 16 except in the last step.
template <typename Step>
inline void overLanes(int64_t n, Step&& step) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) step(i, kLanes);
  if (i < n) step(i, int(n - i));
}

template <typename T>
inline Vec loadLanes(const T* p, int n) {
  return n == kLanes ? load(p) : loadPartial(p, n);
}
template <typename T>
inline void storeLanes(T* p, Vec v, int n) {
  if (n == kLanes)
    store(p, v);
  else
    storePartial(p, v, n);
}

}  // namespace callgrad::cpu::CG_ISA
