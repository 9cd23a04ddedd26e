// Rows of q, k and v in the packed forms that the attention kernels' products read.
#pragma once
#include "cpu/kernels/attention_product.h"
#include "cpu/kernels/transpose.h"

namespace callgrad::cpu::CG_ISA {

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
