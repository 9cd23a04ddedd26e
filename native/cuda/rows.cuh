// Rows of strided views as kernels walk them: where a row starts, and how wide its accesses may be.
#pragma once
#include "core/tensor_view.h"
#include "cuda/access.cuh"

namespace callgrad::gpu {

// Rows of `width` elements of a [T, ..., D] view: `perOuter` of them lie densely in one index of
// dimension 0.
template <typename T>
struct RowsOf {
  T* data = nullptr;
  int64_t stride = 0;  // of dimension 0
  int32_t perOuter = 1, width = 0;

  CG_DEVICE T* at(int64_t row) const {
    if (perOuter == 1) return data + row * stride;
    const int64_t outer = row / perOuter;
    return data + outer * stride + (row - outer * perOuter) * width;
  }
};

template <typename T>
RowsOf<T> rowsOf(const TensorView& v) {
  if (!v.present()) return {};
  RowsOf<T> rows;
  rows.data = v.as<T>();
  rows.stride = v.rowStride;
  rows.width = int32_t(v.rank ? v.shape[v.rank - 1] : 1);
  for (int i = 1; i + 1 < v.rank; i++) rows.perOuter *= int32_t(v.shape[i]);
  return rows;
}

// One row for each index of dimension 0.
template <typename T>
RowsOf<T> wholeRows(const TensorView& v) {
  return {v.as<T>(), v.rowStride, 1, int32_t(v.rowSize())};
}

inline int64_t rowCount(const TensorView& v) {
  int64_t n = 1;
  for (int i = 0; i + 1 < v.rank; i++) n *= v.shape[i];
  return n;
}

// Whether every row of `width` elements can be walked by accesses of `bytes`.
inline bool wide(const TensorView& v, int64_t width, unsigned bytes) {
  if (!v.present()) return true;
  const size_t size = dtypeSize(v.dtype);
  return reinterpret_cast<uintptr_t>(v.data) % bytes == 0 && size_t(width) * size % bytes == 0 &&
         (v.rank == 0 || v.shape[0] <= 1 || size_t(v.rowStride) * size % bytes == 0);
}
template <typename... Views>
bool allWide(int64_t width, unsigned bytes, const Views&... views) {
  return (wide(views, width, bytes) && ...);
}

// kWidth elements by accesses of 16 bytes, or one element.
template <int kWidth, typename T>
CG_DEVICE void read(float (&out)[kWidth], const T* p) {
  if constexpr (kWidth == 1)
    out[0] = toFloat(*p);
  else
    load<kWidth>(out, p);
}
template <int kWidth, typename T>
CG_DEVICE void write(T* p, const float (&in)[kWidth]) {
  if constexpr (kWidth == 1)
    *p = fromFloat<T>(in[0]);
  else
    store<kWidth>(p, in);
}

constexpr int64_t ceilDiv(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Threads of a block that walks `items` of a row: whole warps, at most `most`.
inline unsigned threadsFor(int64_t items, unsigned most) {
  const int64_t warps = ceilDiv(items < 1 ? 1 : items, kWarp);
  return warps * kWarp < int64_t(most) ? unsigned(warps * kWarp) : most;
}

}  // namespace callgrad::gpu
