// Products of small tiles for the attention kernels.
//
// Two arithmetics. FloatMath: fp32 FMA (fp32 tensors, and bf16 tensors widened while packing).
// PairMath: VDPBF16PS, which multiplies two bf16 pairs and adds into fp32; a "unit" is then a pair
// along the contracted dimension.
//
// Every product is C[rows, 16 * vecs] (+)= A B with A's units broadcast and B's units in vectors.
// An element of C is one chain of multiply-adds in the order of the contracted dimension, whatever
// the tile's shape: that is what makes a row's bits independent of how many rows share a call.
//
// Registers: 6 rows x 4 vectors of accumulators on AVX-512 (24 of 32), 6 x 1 (12 ymm of 16) on
// AVX2, 2 x 1 on SSE2.
#pragma once
#include <algorithm>
#include <type_traits>

#include "cpu/kernels/simd.h"

namespace callgrad::cpu::CG_ISA {

#if defined(__AVX512F__)
inline constexpr int kTileRows = 6, kTileVecs = 4;
#elif defined(__AVX2__)
inline constexpr int kTileRows = 6, kTileVecs = 1;
#else
inline constexpr int kTileRows = 2, kTileVecs = 1;
#endif

struct FloatMath {
  using Unit = float;
  using Units = Vec;
  static constexpr int kStep = 1;  // elements of the contracted dimension in a unit
  static Units broadcast(const float* p) { return splat(*p); }
  static Units load(const float* p) { return CG_ISA::load(p); }
  static Vec dot(Units a, Units b, Vec acc) { return fma(a, b, acc); }
};

#if defined(__AVX512BF16__)
struct PairMath {
  using Unit = uint32_t;
  using Units = __m512i;
  static constexpr int kStep = 2;
  static Units broadcast(const uint32_t* p) { return _mm512_set1_epi32(int(*p)); }
  static Units load(const uint32_t* p) { return _mm512_loadu_si512(p); }
  static Vec dot(Units a, Units b, Vec acc) {
    return (Vec)_mm512_dpbf16_ps((__m512)acc, (__m512bh)a, (__m512bh)b);
  }
};
template <typename T>
using MathOf = std::conditional_t<std::is_same_v<T, BFloat16>, PairMath, FloatMath>;
#else
template <typename T>
using MathOf = FloatMath;
#endif

// What C holds before a product is added: nothing, itself, or itself times a factor per row.
enum class Start { kZero, kAdd, kScale };

// A operand: unit (row, step) at a[row * rowStride + step * stepStride].
template <typename Unit>
struct Left {
  const Unit* a;
  int64_t rowStride, stepStride;
};

#if defined(CG_HALVES)
template <class M, Start kStart, int kRows, int kVecs>
inline void multiplyTile(Left<float> left, const float* b, int64_t bStride, int steps, float* c,
                         int64_t cStride, const float* factor) {
  __m256 acc[kRows][2 * kVecs];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kVecs; v++) {
      if constexpr (kStart == Start::kZero) acc[r][v] = _mm256_setzero_ps();
      if constexpr (kStart != Start::kZero) acc[r][v] = _mm256_loadu_ps(c + r * cStride + v * 8);
      if constexpr (kStart == Start::kScale)
        acc[r][v] = _mm256_mul_ps(acc[r][v], _mm256_broadcast_ss(factor + r));
    }
  }
  const float* a = left.a;
  for (int s = 0; s < steps; s++, a += left.stepStride, b += bStride) {
    __m256 right[2 * kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kVecs; v++) right[v] = _mm256_loadu_ps(b + v * 8);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const __m256 x = _mm256_broadcast_ss(a + r * left.rowStride);
#pragma GCC unroll 8
      for (int v = 0; v < 2 * kVecs; v++) acc[r][v] = _mm256_fmadd_ps(x, right[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int v = 0; v < 2 * kVecs; v++) _mm256_storeu_ps(c + r * cStride + v * 8, acc[r][v]);
  }
}
#else
template <class M, Start kStart, int kRows, int kVecs>
inline void multiplyTile(Left<typename M::Unit> left, const typename M::Unit* b, int64_t bStride,
                         int steps, float* c, int64_t cStride, const float* factor) {
  Vec acc[kRows][kVecs];
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; v++) {
      if constexpr (kStart == Start::kZero) acc[r][v] = Vec{};
      if constexpr (kStart != Start::kZero) acc[r][v] = load(c + r * cStride + v * kLanes);
      if constexpr (kStart == Start::kScale) acc[r][v] *= splat(factor[r]);
    }
  }
  const typename M::Unit* a = left.a;
  for (int s = 0; s < steps; s++, a += left.stepStride, b += bStride) {
    typename M::Units right[kVecs];
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; v++) right[v] = M::load(b + v * kLanes);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const typename M::Units x = M::broadcast(a + r * left.rowStride);
#pragma GCC unroll 8
      for (int v = 0; v < kVecs; v++) acc[r][v] = M::dot(x, right[v], acc[r][v]);
    }
  }
#pragma GCC unroll 8
  for (int r = 0; r < kRows; r++) {
#pragma GCC unroll 8
    for (int v = 0; v < kVecs; v++) store(c + r * cStride + v * kLanes, acc[r][v]);
  }
}

#endif

template <class M, Start kStart, int kVecs>
void multiplyRows(Left<typename M::Unit> left, int rows, const typename M::Unit* b, int64_t bStride,
                  int steps, float* c, int64_t cStride, const float* factor) {
  for (int r = 0; r < rows; r += kTileRows) {
    switch (std::min(rows - r, kTileRows)) {
#define CG_ROWS(n)                                                                    \
  case n:                                                                             \
    if constexpr (n <= kTileRows)                                                     \
      multiplyTile<M, kStart, n, kVecs>(left, b, bStride, steps, c, cStride, factor); \
    break;
      CG_ROWS(1) CG_ROWS(2) CG_ROWS(3) CG_ROWS(4) CG_ROWS(5) CG_ROWS(6)
#undef CG_ROWS
    }
    left.a += kTileRows * left.rowStride;
    c += kTileRows * cStride;
    if (kStart == Start::kScale) factor += kTileRows;
  }
}

// C[rows, 16 * vecs] (+)= A[rows, steps] B[steps, 16 * vecs]; factor: [rows], only for
// Start::kScale.
template <class M, Start kStart>
void multiply(Left<typename M::Unit> left, int rows, const typename M::Unit* b, int64_t bStride,
              int vecs, int steps, float* c, int64_t cStride, const float* factor = nullptr) {
  for (int v = 0; v < vecs; v += kTileVecs) {
    const auto* bv = b + v * kLanes;
    float* cv = c + v * kLanes;
    switch (std::min(vecs - v, kTileVecs)) {
#define CG_VECS(n)                                                                     \
  case n:                                                                              \
    if constexpr (n <= kTileVecs)                                                      \
      multiplyRows<M, kStart, n>(left, rows, bv, bStride, steps, cv, cStride, factor); \
    break;
      CG_VECS(1) CG_VECS(2) CG_VECS(3) CG_VECS(4)
#undef CG_VECS
    }
  }
}

// Calls fn with an integral constant 1 .. kKeyVecs, so that loops over a row's vectors unroll.
template <typename Fn>
inline void withVecs(int vecs, Fn&& fn) {
  switch (vecs) {
    case 1:
      return fn(std::integral_constant<int, 1>{});
    case 2:
      return fn(std::integral_constant<int, 2>{});
    case 3:
      return fn(std::integral_constant<int, 3>{});
    default:
      return fn(std::integral_constant<int, 4>{});
  }
}

}  // namespace callgrad::cpu::CG_ISA
