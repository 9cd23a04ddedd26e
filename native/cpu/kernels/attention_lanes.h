// What the attention kernels do to vectors of scores: 2^x, largest and sums of lanes, parts of a
// vector.
#pragma once
#include "cpu/kernels/attention_product.h"

namespace callgrad::cpu::CG_ISA {

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

}  // namespace callgrad::cpu::CG_ISA
