// Building blocks of the attention kernels: products of small tiles, 2^x, and the packed forms that
// the products read.
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

#if defined(__AVX2__) && !defined(__AVX512F__)
#define CG_HALVES 1
// GCC 12 takes comparisons and selections of 64-byte vectors apart lane by lane when registers have
// 32 bytes, and keeps such vectors in memory: forward ran at 1 GFLOP/s. What is hot goes by halves
// here.
struct Halves {
  __m256 low, high;
};
inline Halves halvesOf(Vec v) {
  Halves h;
  memcpy(&h, &v, sizeof h);
  return h;
}
inline Vec whole(__m256 low, __m256 high) {
  const Halves h{low, high};
  Vec v;
  memcpy(&v, &h, sizeof v);
  return v;
}
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

// 2^t for t <= 0 (a little above is fine), to 2 ulp: 2^n * p(r), r in [-1/2, 1/2], p a minimax
// polynomial of degree 5 (relative error 1.1e-7) with p(0) = 1, so that 2^0 is 1. 2^-inf is exactly
// 0; NaN stays NaN.
#if defined(CG_HALVES)
inline __m256 exp2Half(__m256 t) {
  const __m256 x = _mm256_max_ps(_mm256_set1_ps(-200.0f), t);
  const __m256 n = _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m256 r = _mm256_sub_ps(x, n);
  __m256 p = _mm256_fmadd_ps(_mm256_set1_ps(0.0013264723820611835f), r,
                             _mm256_set1_ps(0.009671512991189957f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.05550733581185341f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.24022242426872253f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.6931470036506653f));
  p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.0f));
  const __m256i e = _mm256_cvtps_epi32(_mm256_max_ps(_mm256_set1_ps(-127.0f), n));
  const __m256 scale =
      _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(e, _mm256_set1_epi32(127)), 23));
  return _mm256_andnot_ps(_mm256_cmp_ps(x, _mm256_set1_ps(-126.0f), _CMP_LT_OQ),
                          _mm256_mul_ps(p, scale));
}
inline Vec exp2Below(Vec t) {
  const Halves h = halvesOf(t);
  return whole(exp2Half(h.low), exp2Half(h.high));
}
#else
inline Vec exp2Below(Vec t) {
  constexpr float c5 = 0.0013264723820611835f, c4 = 0.009671512991189957f,
                  c3 = 0.05550733581185341f, c2 = 0.24022242426872253f, c1 = 0.6931470036506653f;
#if defined(__AVX512F__)
  // max returns its second operand when either is NaN
  const __m512 x = _mm512_max_ps(_mm512_set1_ps(-200.0f), (__m512)t);
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const Vec r = (Vec)_mm512_sub_ps(x, n);
#else
  const Vec x = vmax(splat(-200.0f), t);
  const Vec magic = splat(12582912.0f);
  const Vec n = (x + magic) - magic;
  const Vec r = x - n;
#endif
  Vec p = fma(splat(c5), r, splat(c4));
  p = fma(p, r, splat(c3));
  p = fma(p, r, splat(c2));
  p = fma(p, r, splat(c1));
  p = fma(p, r, splat(1.0f));
#if defined(__AVX512F__)
  return (Vec)_mm512_scalef_ps((__m512)p, n);
#else
  const IVec e = (__builtin_convertvector(vmax(splat(-127.0f), n), IVec) + 127) << 23;
  Vec scale;
  memcpy(&scale, &e, sizeof scale);
  return select(x < splat(-126.0f), splat(0.0f), p * scale);
#endif
}
#endif

// The larger of a and b; b where either is NaN.
inline Vec larger(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif defined(CG_HALVES)
  const Halves x = halvesOf(a), y = halvesOf(b);
  return whole(_mm256_max_ps(x.low, y.low), _mm256_max_ps(x.high, y.high));
#else
  return a > b ? a : b;
#endif
}

inline float largestLane(Vec v) {
#if defined(CG_HALVES)
  const Halves h = halvesOf(v);
  const __m256 m = _mm256_max_ps(h.low, h.high);
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(m), _mm256_extractf128_ps(m, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
#endif
  for (int width = 8; width >= 1; width /= 2)
    for (int i = 0; i < width; i++) v[i] = v[i] > v[i + width] ? v[i] : v[i + width];
  return v[0];
}

// Lane r of the result is the largest lane of rows[r]; lanes past kTileRows are undefined.
inline Vec largestLanes(const Vec* rows) {
#if defined(__AVX512F__)
  static_assert(kTileRows == 6);
  const auto fold = [](__m512 a, __m512 b) { return _mm512_max_ps(a, b); };
  const auto words = [&](Vec x, Vec y) {  // in each quarter: x, y, x, y
    return fold(_mm512_unpacklo_ps((__m512)x, (__m512)y), _mm512_unpackhi_ps((__m512)x, (__m512)y));
  };
  const auto pairs = [&](__m512 x, __m512 y) {  // in each quarter: rows 0, 1, 2, 3
    return fold(_mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(x), _mm512_castps_pd(y))),
                _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(x), _mm512_castps_pd(y))));
  };
  const __m512 low = pairs(words(rows[0], rows[1]), words(rows[2], rows[3]));
  const __m512 last = words(rows[4], rows[5]), high = pairs(last, last);
  __m512 m = fold(_mm512_shuffle_f32x4(low, high, 0x88), _mm512_shuffle_f32x4(low, high, 0xdd));
  m = fold(m, _mm512_shuffle_f32x4(m, m, 0xb1));
  return (Vec)_mm512_shuffle_f32x4(m, m, 0x08);
#else
  Vec m = {};
  for (int r = 0; r < kTileRows; r++) m[r] = largestLane(rows[r]);
  return m;
#endif
}

// The 16 lanes added in sumLanes' order.
inline float addLanes(Vec v) {
#if defined(__AVX512F__)
  return _mm512_reduce_add_ps((__m512)v);
#else
  return sumLanes(v);
#endif
}

inline IVec laneIndex() { return IVec{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}; }

// The first n lanes of x (n may be anything), `fill` in the others.
inline Vec firstLanes(Vec x, int n, Vec fill) {
#if defined(CG_HALVES)
  const Halves a = halvesOf(fill), b = halvesOf(x);
  const __m256i index = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256 low = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), index));
  const __m256 high = _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), index));
  return whole(_mm256_blendv_ps(a.low, b.low, low), _mm256_blendv_ps(a.high, b.high, high));
#else
  return laneIndex() < n ? x : fill;
#endif
}

// 0 where x is -inf, else x.
inline Vec finiteTop(Vec x) {
#if defined(CG_HALVES)
  const Halves h = halvesOf(x);
  const __m256 none = _mm256_set1_ps(-std::numeric_limits<float>::infinity());
  return whole(_mm256_andnot_ps(_mm256_cmp_ps(h.low, none, _CMP_EQ_OQ), h.low),
               _mm256_andnot_ps(_mm256_cmp_ps(h.high, none, _CMP_EQ_OQ), h.high));
#else
  return x == splat(-std::numeric_limits<float>::infinity()) ? Vec{} : x;
#endif
}

inline void storeFirst(float* p, Vec v, int n) {
#if defined(__AVX512F__)
  _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
#else
  for (int i = 0; i < n; i++) p[i] = v[i];
#endif
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

// One row of units: pairs along the row are neighbours already, so bf16 is copied as it is.
template <class M, typename T>
inline void packRow(const T* row, int dim, typename M::Unit* to) {
  if constexpr (sizeof(T) * size_t(M::kStep) == sizeof(typename M::Unit)) {
    memcpy(to, row, size_t(dim) * sizeof(T));
  } else {
    for (int d = 0; d < dim; d++) to[d] = toFloat(row[d]);
  }
}

#if defined(__AVX512BF16__)
// 32 values of two bf16 rows as 32 pairs. Adds to `special` the lanes that hold an infinity or a
// NaN.
inline void interleavePairs(__m512i first, __m512i second, uint32_t* to, __mmask32* special) {
  const __m512i low = _mm512_set_epi16(47, 15, 46, 14, 45, 13, 44, 12, 43, 11, 42, 10, 41, 9, 40, 8,
                                       39, 7, 38, 6, 37, 5, 36, 4, 35, 3, 34, 2, 33, 1, 32, 0);
  const __m512i exponent = _mm512_set1_epi16(0x7f80);
  _mm512_storeu_si512(to, _mm512_permutex2var_epi16(first, low, second));
  _mm512_storeu_si512(to + 16, _mm512_permutex2var_epi16(
                                   first, _mm512_add_epi16(low, _mm512_set1_epi16(16)), second));
  *special |= _mm512_cmpeq_epi16_mask(_mm512_and_si512(first, exponent), exponent);
  *special |= _mm512_cmpeq_epi16_mask(_mm512_and_si512(second, exponent), exponent);
}
#endif

// Rows of one side of a block as right operand of a product over the rows: unit (row / kStep, d) at
// to[(row / kStep) * stride + d]. Elements past `dim`, and the missing row of a last pair, are 0.
// Returns whether every value is finite.
template <class M, typename T>
inline bool packAlongRows(const T* const* rows, int count, int dim, typename M::Unit* to,
                          int stride) {
  if constexpr (M::kStep == 2) {
#if defined(__AVX512BF16__)
    __mmask32 special = 0;
    for (int i = 0; i < count; i += 2, to += stride)
      for (int d = 0; d < stride; d += 32) {
        const int n = std::clamp(dim - d, 0, 32);
        const __mmask32 mask = n >= 32 ? ~__mmask32(0) : (__mmask32(1) << n) - 1;
        const __m512i first = _mm512_maskz_loadu_epi16(mask, rows[i] + d);
        const __m512i second = i + 1 < count ? _mm512_maskz_loadu_epi16(mask, rows[i + 1] + d)
                                             : _mm512_setzero_si512();
        if (d + 32 <= stride) {
          interleavePairs(first, second, to + d, &special);
        } else {
          uint32_t last[32];
          interleavePairs(first, second, last, &special);
          std::copy_n(last, stride - d, to + d);
        }
      }
    return special == 0;
#endif
  } else {
    IVec special = {};  // lanes that hold an infinity or a NaN
    for (int i = 0; i < count; i++, to += stride)
      for (int d = 0; d < dim; d += kLanes) {
        const Vec x = d + kLanes <= dim ? load(rows[i] + d) : loadPartial(rows[i] + d, dim - d);
        IVec bits;
        memcpy(&bits, &x, sizeof bits);
        special |= (bits & 0x7f800000) == 0x7f800000;
        store(to + d, x);
      }
    for (int i = 0; i < kLanes; i++)
      if (special[i]) return false;
    return true;
  }
}

#if defined(__AVX512F__)
// Up to 16 units of a row: words as they are, or bf16 widened; 0 where the mask says so.
template <class M, typename T>
inline __m512i loadUnits(const T* p, __mmask16 mask) {
  if constexpr (sizeof(T) * size_t(M::kStep) == 4)
    return _mm512_maskz_loadu_epi32(mask, p);
  else
    return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, p)), 16);
}

// 16 x 16 words: t[i][j] becomes t[j][i].
inline void transpose16(__m512i t[16]) {
  __m512i u[16];
#pragma GCC unroll 8
  for (int i = 0; i < 16; i += 2) {
    u[i] = _mm512_unpacklo_epi32(t[i], t[i + 1]);
    u[i + 1] = _mm512_unpackhi_epi32(t[i], t[i + 1]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 16; i += 4) {
    t[i] = _mm512_unpacklo_epi64(u[i], u[i + 2]);
    t[i + 1] = _mm512_unpackhi_epi64(u[i], u[i + 2]);
    t[i + 2] = _mm512_unpacklo_epi64(u[i + 1], u[i + 3]);
    t[i + 3] = _mm512_unpackhi_epi64(u[i + 1], u[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    u[i] = _mm512_shuffle_i32x4(t[i], t[i + 4], 0x88);
    u[i + 4] = _mm512_shuffle_i32x4(t[i], t[i + 4], 0xdd);
    u[i + 8] = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0x88);
    u[i + 12] = _mm512_shuffle_i32x4(t[i + 8], t[i + 12], 0xdd);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; i++) {
    t[i] = _mm512_shuffle_i32x4(u[i], u[i + 8], 0x88);
    t[i + 8] = _mm512_shuffle_i32x4(u[i], u[i + 8], 0xdd);
    t[i + 4] = _mm512_shuffle_i32x4(u[i + 4], u[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(u[i + 4], u[i + 12], 0xdd);
  }
}
#endif

// Rows of one side of a block as right operand of a product over the head dimension: unit (d /
// kStep, row) at to[(d / kStep) * stride + row]. Columns from `count` up to a multiple of 16 are 0.
template <class M, typename T>
inline void packAcross(const T* const* rows, int count, int dim, typename M::Unit* to, int stride) {
  const int units = dim / M::kStep;
  for (int r = 0; r < count; r += kLanes) {
    const int n = std::min(count - r, kLanes);
#if defined(__AVX512F__)
    if (n == kLanes && units % 16 == 0) {
      for (int u = 0; u < units; u += 16) {
        __m512i t[16];
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) t[i] = loadUnits<M>(rows[r + i] + u * M::kStep, 0xffff);
        transpose16(t);
#pragma GCC unroll 16
        for (int i = 0; i < 16; i++) _mm512_storeu_si512(to + int64_t(u + i) * stride + r, t[i]);
      }
    } else {
      for (int u = 0; u < units; u += 16) {
        const int m = std::min(units - u, 16);
        __m512i t[16];
        for (int i = 0; i < 16; i++)
          t[i] = i < n ? loadUnits<M>(rows[r + i] + u * M::kStep, __mmask16((1u << m) - 1))
                       : _mm512_setzero_si512();
        transpose16(t);
        for (int i = 0; i < m; i++) _mm512_storeu_si512(to + int64_t(u + i) * stride + r, t[i]);
      }
    }
#else
    for (int u = 0; u < units; u++) {
      typename M::Unit* column = to + int64_t(u) * stride + r;
      for (int i = 0; i < n; i++) packRow<M>(rows[r + i] + u * M::kStep, M::kStep, column + i);
      for (int i = n; i < kLanes; i++) column[i] = 0;
    }
#endif
  }
}

}  // namespace callgrad::cpu::CG_ISA
