// Matrices into panels (packed_weight.h), at memory speed: rows that are panel columns go through
// 16 by 16 transposes of words (an fp32 element or a pair of bf16), rows that are depth steps are
// copied or interleaved.
#include <algorithm>

#include "core/parallel.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/gemm_tile.h"
#include "cpu/kernels/transpose.h"

namespace callgrad::cpu::CG_ISA {
namespace {

// n elements as T; the conversion rounds once.
template <typename From, typename T>
void convert(const From* from, int64_t n, T* to) {
  if constexpr (std::is_same_v<From, T>) {
    memcpy(to, from, size_t(n) * sizeof(T));
  } else {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes) store(to + i, load(from + i));
    for (; i < n; i++) {
      const T rounded = fromFloat<T>(toFloat(from[i]));
      memcpy(to + i, &rounded, sizeof rounded);  // `to` may be words of a transpose
    }
  }
}

// One depth step of a panel: one row of memory, or two rows interleaved (`second` may be null:
// zeros).
template <typename From>
void packStep(const From* first, const From*, int64_t columns, float* to) {
  convert(first, columns, to);
}
template <typename From>
void packStep(const From* first, const From* second, int64_t columns, BFloat16* to) {
  BFloat16 low[kPanel], high[kPanel] = {};
  convert(first, columns, low);
  if (second) convert(second, columns, high);
  for (int64_t c = 0; c < columns; c++) {
    const uint32_t pair = low[c].bits | uint32_t(high[c].bits) << 16;
    memcpy(to + 2 * c, &pair, sizeof pair);
  }
}

// to[s * kPanel + c] = words[c][s] for 16 columns and 16 steps.
using Words = uint32_t[16];
inline void transposeWords(const Words* words, uint32_t* to) {
#if defined(__AVX512F__)
  __m512i t[16];
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) t[i] = _mm512_loadu_si512(words[i]);
  transpose16(t);
#pragma GCC unroll 16
  for (int i = 0; i < 16; i++) _mm512_storeu_si512(to + i * kPanel, t[i]);
#else
  for (int s = 0; s < 16; s++)
    for (int c = 0; c < 16; c++) to[s * kPanel + c] = words[c][s];
#endif
}

template <typename From, typename T>
void packPanel(const From* from, int64_t stride, int64_t depth, int64_t columns, bool columnMajor,
               T* to) {
  constexpr int64_t group = kGroup<T>, chunk = 16 * group;
  for (int64_t d0 = 0; d0 < depth; d0 += chunk, to += 16 * kPanelStep<T>) {
    const int64_t depths = std::min(chunk, depth - d0), steps = (depths + group - 1) / group;
    if (!columnMajor && (depths < chunk || columns < kPanel))
      std::fill_n(to, 16 * kPanelStep<T>, T{});
    if (columnMajor) {
      // Columns are rows of memory: convert a run of each, then transpose words of one depth step.
      for (int64_t c0 = 0; c0 < kPanel; c0 += 16) {
        alignas(64) Words words[16];
        for (int64_t c = 0; c < 16; c++) {
          const int64_t n = c0 + c < columns ? depths : 0;
          if (n < chunk) memset(words[c], 0, sizeof(Words));
          convert(from + (c0 + c) * stride + d0, n, reinterpret_cast<T*>(words[c]));
        }
        transposeWords(words, reinterpret_cast<uint32_t*>(to) + c0);
      }
    } else {
      for (int64_t s = 0; s < steps; s++) {
        const From* first = from + (d0 + s * group) * stride;
        packStep(first, s * group + 1 < depths ? first + stride : nullptr, columns,
                 to + s * kPanelStep<T>);
      }
    }
  }
}

}  // namespace

template <typename From, typename T>
void packOnThread(const From* from, int64_t stride, int64_t depth, int64_t columns,
                  bool columnMajor, T* to) {
  for (int64_t c = 0; c < columns; c += kPanel, to += panelSize(kDTypeOf<T>, depth))
    packPanel(from + (columnMajor ? c * stride : c), stride, depth, std::min(kPanel, columns - c),
              columnMajor, to);
}

template <typename From, typename T>
void pack(const From* from, int64_t stride, int64_t depth, int64_t columns, bool columnMajor,
          T* to) {
  if (depth <= 0 || columns <= 0) return;
  const int64_t grain =
      std::max<int64_t>(1, 65536 / std::max<int64_t>(1, panelSize(kDTypeOf<T>, depth)));
  parallelFor((columns + kPanel - 1) / kPanel, grain, [&](int64_t begin, int64_t end) {
    const int64_t c = begin * kPanel;
    packOnThread(from + (columnMajor ? c * stride : c), stride, depth,
                 std::min(columns, end * kPanel) - c, columnMajor,
                 to + begin * panelSize(kDTypeOf<T>, depth));
  });
}

template void pack(const float*, int64_t, int64_t, int64_t, bool, float*);
template void pack(const float*, int64_t, int64_t, int64_t, bool, BFloat16*);
template void pack(const BFloat16*, int64_t, int64_t, int64_t, bool, BFloat16*);
template void packOnThread(const float*, int64_t, int64_t, int64_t, bool, float*);
template void packOnThread(const BFloat16*, int64_t, int64_t, int64_t, bool, BFloat16*);

}  // namespace callgrad::cpu::CG_ISA
