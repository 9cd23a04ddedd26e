// Sixteen-lane float vectors through the compiler's vector extension: one source for every
// instruction set (a 64-byte vector becomes one zmm, two ymm or four xmm registers). Compiled once
// per set into namespace CG_ISA.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/dtype.h"

#if defined(__AVX512F__) || defined(__FMA__)
// GCC 12 takes the deliberately undefined vectors of its own header for mistakes (GCC bug 105593)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

namespace callgrad::cpu::CG_ISA {

inline constexpr int kLanes = 16;
typedef float Vec __attribute__((vector_size(64)));
typedef int32_t IVec __attribute__((vector_size(64)));
typedef uint32_t UVec __attribute__((vector_size(64)));
typedef uint16_t HVec __attribute__((vector_size(32)));

inline Vec splat(float x) { return x - Vec{}; }  // x + 0 would not fold: it turns -0 into +0
inline Vec load(const float* p) {
  Vec v;
  memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { memcpy(p, &v, sizeof v); }

inline float toFloat(float x) { return x; }
inline float toFloat(BFloat16 x) {
  const uint32_t u = uint32_t(x.bits) << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}
// Round to nearest, ties to even; NaN stays NaN (its payload's top bit is set). The instruction of
// AVX512-BF16 takes denormals (below 1.2e-38) for 0 whatever the mode: so does the scalar form
// there, that a value's place in a vector does not matter.
inline BFloat16 toBFloat16(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
#if defined(__AVX512BF16__)
  if (!(u & 0x7f800000u)) u &= 0x80000000u;
#endif
  if ((u & 0x7fffffffu) > 0x7f800000u) return {uint16_t((u >> 16) | 0x40)};
  return {uint16_t((u + 0x7fff + ((u >> 16) & 1)) >> 16)};
}
template <typename T>
inline T fromFloat(float f);
template <>
inline float fromFloat<float>(float f) {
  return f;
}
template <>
inline BFloat16 fromFloat<BFloat16>(float f) {
  return toBFloat16(f);
}

inline Vec load(const BFloat16* p) {
#if defined(__AVX512F__)
  const __m512i wide = _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_loadu_si256((const __m256i*)p));
  return (Vec)_mm512_maskz_slli_epi32(0xffff, wide, 16);
#else
  HVec h;
  memcpy(&h, p, sizeof h);
  const UVec u = __builtin_convertvector(h, UVec) << 16;
  Vec v;
  memcpy(&v, &u, sizeof v);
  return v;
#endif
}

// Bit patterns, rounded as toBFloat16 does.
inline HVec roundedBits(Vec v) {
#if defined(__AVX512BF16__)
  return (HVec)_mm512_cvtneps_pbh((__m512)v);
#else
  UVec u;
  memcpy(&u, &v, sizeof u);
  const UVec rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
#if defined(__AVX512F__)
  const __m512i quiet = (__m512i)((u >> 16) | 0x40u);
  const __mmask16 isNan = _mm512_cmp_ps_mask((__m512)v, (__m512)v, _CMP_UNORD_Q);
  return (HVec)_mm512_maskz_cvtepi32_epi16(0xffff,
                                           _mm512_mask_mov_epi32((__m512i)rounded, isNan, quiet));
#else
  const UVec isNan = (UVec)((u & 0x7fffffffu) > 0x7f800000u);
  return __builtin_convertvector((isNan & ((u >> 16) | 0x40u)) | (~isNan & rounded), HVec);
#endif
#endif
}
inline void store(BFloat16* p, Vec v) {
  const HVec h = roundedBits(v);
  memcpy(p, &h, sizeof h);
}

// The first n lanes; the others read as `fill`.
template <typename T>
inline Vec loadPartial(const T* p, int n, float fill = 0.0f) {
  float tmp[kLanes];
  for (int i = 0; i < kLanes; i++) tmp[i] = i < n ? toFloat(p[i]) : fill;
  return load(tmp);
}
template <typename T>
inline void storePartial(T* p, Vec v, int n) {
  T tmp[kLanes];
  store(tmp, v);
  for (int i = 0; i < n; i++) p[i] = tmp[i];
}
#if defined(__AVX512F__)
inline __mmask16 laneMask(int n) { return __mmask16((1u << n) - 1); }
template <>
inline Vec loadPartial(const float* p, int n, float fill) {
  return (Vec)_mm512_mask_loadu_ps((__m512)splat(fill), laneMask(n), p);
}
template <>
inline Vec loadPartial(const BFloat16* p, int n, float fill) {
  const __m512i wide =
      _mm512_maskz_cvtepu16_epi32(0xffff, _mm256_maskz_loadu_epi16(laneMask(n), p));
  return (Vec)_mm512_mask_slli_epi32((__m512i)splat(fill), laneMask(n), wide, 16);
}
template <>
inline void storePartial(float* p, Vec v, int n) {
  _mm512_mask_storeu_ps(p, laneMask(n), (__m512)v);
}
template <>
inline void storePartial(BFloat16* p, Vec v, int n) {
  _mm256_mask_storeu_epi16(p, laneMask(n), (__m256i)roundedBits(v));
}
#endif

inline Vec select(IVec mask, Vec a, Vec b) { return mask ? a : b; }
// Correctly rounded on every instruction set.
inline Vec sqrt(Vec a) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_sqrt_ps(0xffff, (__m512)a);  // the plain form warns in GCC 12
#else
  float v[kLanes];
  store(v, a);
  for (float& x : v) x = __builtin_sqrtf(x);
  return load(v);
#endif
}
// The larger and the smaller; b where either is NaN.
inline Vec vmax(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_max_ps(0xffff, (__m512)a, (__m512)b);
#else
  return select(a > b, a, b);
#endif
}
inline Vec vmin(Vec a, Vec b) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_min_ps(0xffff, (__m512)a, (__m512)b);
#else
  return select(a < b, a, b);
#endif
}

// Lanes are added in one fixed tree, so a row's sum does not depend on anything but the row.
inline float sumLanes(Vec v) {
  for (int width = 8; width >= 1; width /= 2)
    for (int i = 0; i < width; i++) v[i] += v[i + width];
  return v[0];
}
inline float maxLanes(Vec v) {
  float m = v[0];
  for (int i = 1; i < kLanes; i++) m = v[i] > m ? v[i] : m;
  return m;
}

// a * b + c in one rounding where the instruction set has it. The compiler may not contract on its
// own
// (-ffp-contract=off): two kernels that must agree bit for bit would then depend on how each was
// inlined.
inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__AVX512F__)
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  __m256 x[2], y[2], z[2];
  memcpy(x, &a, sizeof a);
  memcpy(y, &b, sizeof b);
  memcpy(z, &c, sizeof c);
  for (int i = 0; i < 2; i++) z[i] = _mm256_fmadd_ps(x[i], y[i], z[i]);
  Vec r;
  memcpy(&r, z, sizeof r);
  return r;
#else
  return a * b + c;
#endif
}

// x * 2^n for whole n in [-126, 128], rounded once; 2^128 alone would be infinity.
inline Vec timesPowerOfTwo(Vec x, Vec n) {
#if defined(__AVX512F__)
  return (Vec)_mm512_maskz_scalef_ps(0xffff, (__m512)x, (__m512)n);
#else
  const IVec whole = __builtin_convertvector(n, IVec), half = whole >> 1;
  const IVec low = (half + 127) << 23, high = (whole - half + 127) << 23;
  Vec a, b;
  memcpy(&a, &low, sizeof a);
  memcpy(&b, &high, sizeof b);
  return x * a * b;  // the first product is exact
#endif
}

// e^x to about 1 ulp: 2^n * p(r) with r in [-ln2/2, ln2/2], a degree-6 polynomial (Cephes'
// coefficients). Below -87.3 the result is 0 (so e^-inf = 0), above 88.7 it is inf, NaN stays NaN.
inline Vec exp(Vec x) {
  constexpr float kLeast = -87.3365478515625f, kMost = 88.72283905206835f;
  // NaN goes through both: vmin and vmax return the second where either is NaN
  const Vec clamped = vmax(splat(kLeast), vmin(splat(kMost), x));
  const Vec t = clamped * splat(1.44269504088896341f);
  const Vec magic =
      splat(12582912.0f);  // 1.5 * 2^23: adding and subtracting it rounds to an integer
  const Vec n = (t + magic) - magic;
  Vec r = fma(n, splat(-0.693359375f), clamped);
  r = fma(n, splat(2.12194440e-4f), r);
  Vec p = splat(1.9875691500e-4f);
  p = fma(p, r, splat(1.3981999507e-3f));
  p = fma(p, r, splat(8.3334519073e-3f));
  p = fma(p, r, splat(4.1665795894e-2f));
  p = fma(p, r, splat(1.6666665459e-1f));
  p = fma(p, r, splat(5.0000001201e-1f));
  p = fma(p, r * r, r + splat(1.0f));
  const Vec y = select(x < splat(kLeast), splat(0.0f), timesPowerOfTwo(p, n));
  return select(x > splat(kMost), splat(std::numeric_limits<float>::infinity()), y);
}

}  // namespace callgrad::cpu::CG_ISA
