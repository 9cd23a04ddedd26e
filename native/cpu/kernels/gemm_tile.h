// The innermost loop of every matrix product: a tile of C in registers, one accumulator per
// element, the depth walked in order and in one piece. An element's value therefore depends on its
// own row of A and column of B only: not on the tile it falls into, the number of rows, or the
// threads.
//
// A is read by broadcast straight from where it lies (element (i, step) at a[i * row + step *
// stepStride]); B is a packed panel (packed_weight.h). bf16 pairs go through VDPBF16PS where there
// is one (products of a pair added to the accumulator in fp32, denormals flushed), else they are
// widened and added one after the other.
//
// Tiles by register file: 6 x 64 with 32 zmm (24 accumulators, 4 of B, 1 of A), 6 x 16 with 16 ymm,
// 2 x 16 with 16 xmm.
#pragma once
#include "cpu/kernels/simd.h"
#include "cpu/packed_weight.h"

namespace callgrad::cpu::CG_ISA {

// Registers as they are: wider generic vectors, which the compiler would split, crash g++ 12 in
// loops like these.
#if defined(__AVX512F__)
inline constexpr int kRegLanes = 16, kTileRows = 6, kTileVecs = 4;
#elif defined(__FMA__)
inline constexpr int kRegLanes = 8, kTileRows = 6, kTileVecs = 2;
#else
inline constexpr int kRegLanes = 4, kTileRows = 2, kTileVecs = 4;
#endif
typedef float Reg __attribute__((vector_size(kRegLanes * 4)));
typedef uint32_t UReg __attribute__((vector_size(kRegLanes * 4)));
inline constexpr int64_t kTileColumns = kTileVecs * kRegLanes;
static_assert(kTileColumns % kLanes == 0 && kPanel % kTileColumns == 0);

inline Reg regFma(Reg a, Reg b, Reg c) {
#if defined(__AVX512F__)
  return (Reg)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__FMA__)
  return (Reg)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
  return a * b + c;
#endif
}

template <typename T>
inline constexpr int64_t kGroup = depthGroup(kDTypeOf<T>);
// Elements between two depth steps of a panel.
template <typename T>
inline constexpr int64_t kPanelStep = kPanel* kGroup<T>;

// Where a tile's operands lie.
template <typename T>
struct TileOperands {
  const T* a;
  int64_t row, step;  // element strides of A: between rows, between depth steps
  const T* b;         // panel, from its first depth step and the tile's first column
  int64_t ahead =
      0;  // bytes from what is read of b to what the core will want after it; 0: unknown
};

// Two cache lines of what comes next, into L2, for each depth step.
inline constexpr int64_t kLine = 64, kLinesAhead = 2;
inline void prefetch(const void* p, int64_t ahead) {
  const char* line = static_cast<const char*>(p) + ahead;
  __builtin_prefetch(line, 0, 2);
  __builtin_prefetch(line + kLine, 0, 2);
}

template <int MR, int NV>
inline void depthStep(const float* a, int64_t row, const float* b, Reg (&acc)[MR][NV]) {
  Reg bv[NV];
#pragma GCC unroll 8
  for (int v = 0; v < NV; v++) memcpy(&bv[v], b + v * kRegLanes, sizeof(Reg));
#pragma GCC unroll 8
  for (int i = 0; i < MR; i++) {
    const Reg av = Reg{} + a[i * row];
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) acc[i][v] = regFma(av, bv[v], acc[i][v]);
  }
}

// `pairs` supplies row i's pair of bf16 as 32 bits, the element of lower depth in the low half.
template <int MR, int NV, typename Pairs>
inline void depthStepPairs(Pairs pairs, const BFloat16* b, Reg (&acc)[MR][NV]) {
#if defined(__AVX512BF16__)
  __m512bh bv[NV];
#pragma GCC unroll 8
  for (int v = 0; v < NV; v++) memcpy(&bv[v], b + v * kRegLanes * 2, sizeof(Reg));
#pragma GCC unroll 8
  for (int i = 0; i < MR; i++) {
    const __m512bh av = (__m512bh)_mm512_set1_epi32(int(pairs(i)));
#pragma GCC unroll 8
    for (int v = 0; v < NV; v++) acc[i][v] = (Reg)_mm512_dpbf16_ps((__m512)acc[i][v], av, bv[v]);
  }
#else
#pragma GCC unroll 8
  for (int v = 0; v < NV; v++) {
    UReg u;
    memcpy(&u, b + v * kRegLanes * 2, sizeof u);
    const Reg low = (Reg)(u << 16), high = (Reg)(u & 0xffff0000u);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
      const uint32_t p = pairs(i);
      acc[i][v] = regFma((Reg)(UReg{} + (p << 16)), low, acc[i][v]);
      acc[i][v] = regFma((Reg)(UReg{} + (p & 0xffff0000u)), high, acc[i][v]);
    }
  }
#endif
}

template <int MR, int NV>
inline void depthLoop(const TileOperands<float>& o, int64_t depth, Reg (&acc)[MR][NV]) {
  const float *a = o.a, *b = o.b;
  for (int64_t k = 0; k < depth; k++, a += o.step, b += kPanelStep<float>) {
    prefetch(b, o.ahead);
    depthStep(a, o.row, b, acc);
  }
}

template <int MR, int NV>
inline void depthLoop(const TileOperands<BFloat16>& o, int64_t depth, Reg (&acc)[MR][NV]) {
  const BFloat16 *a = o.a, *b = o.b;
  for (int64_t k = 0; k < depth / 2; k++, a += o.step, b += kPanelStep<BFloat16>) {
    prefetch(b, o.ahead);
    depthStepPairs(
        [&](int i) {
          uint32_t u;
          memcpy(&u, a + i * o.row, 4);
          return u;
        },
        b, acc);
  }
  // An odd depth: the pair's upper half is not A's to read.
  if (depth % 2) depthStepPairs([&](int i) { return uint32_t(a[i * o.row].bits); }, b, acc);
}

// The first `columns` elements of a row of C or of a bias; the others read as 0.
template <int NV, typename T>
inline void loadRow(const T* c, int64_t columns, Reg (&acc)[NV]) {
  alignas(64) float row[kTileColumns] = {};
  if (columns >= kTileColumns) {
    for (int64_t i = 0; i < kTileColumns; i += kLanes) store(row + i, load(c + i));
  } else {
    for (int64_t i = 0; i < columns; i++) row[i] = toFloat(c[i]);
  }
  for (int v = 0; v < NV; v++) memcpy(&acc[v], row + v * kRegLanes, sizeof(Reg));
}
template <int NV, typename T>
inline void storeRow(T* c, int64_t columns, const Reg (&acc)[NV]) {
  alignas(64) float row[kTileColumns];
  for (int v = 0; v < NV; v++) memcpy(row + v * kRegLanes, &acc[v], sizeof(Reg));
  if (columns >= kTileColumns) {
    for (int64_t i = 0; i < kTileColumns; i += kLanes) store(c + i, load(row + i));
  } else {
    for (int64_t i = 0; i < columns; i++) c[i] = fromFloat<T>(row[i]);
  }
}

// acc = (from ? from : 0) + A B over `depth`; then bias and residual are added and the tile stored,
// rounded once to C's dtype. `from` (fp32, rows fromStride apart) continues a sum bit for bit where
// an earlier call left it.
template <typename T, typename C>
struct TileTarget {
  C* c;
  int64_t cStride, columns;
  const float* from;
  int64_t fromStride;
  const T* bias = nullptr;
  const T* residual = nullptr;
  int64_t residualStride = 0;
};

template <int MR, int NV, typename T, typename C>
void tile(const TileOperands<T>& o, int64_t depth, const TileTarget<T, C>& t) {
  Reg acc[MR][NV];
  if (t.from) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) loadRow(t.from + i * t.fromStride, t.columns, acc[i]);
  } else {
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) acc[i][v] = Reg{};
  }
  depthLoop(o, depth, acc);
  if (t.bias) {
    Reg bias[NV];
    loadRow(t.bias, t.columns, bias);
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++)
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) acc[i][v] += bias[v];
  }
  if (t.residual) {
#pragma GCC unroll 8
    for (int i = 0; i < MR; i++) {
      Reg residual[NV];
      loadRow(t.residual + i * t.residualStride, t.columns, residual);
#pragma GCC unroll 8
      for (int v = 0; v < NV; v++) acc[i][v] += residual[v];
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; i++) storeRow(t.c + i * t.cStride, t.columns, acc[i]);
}

}  // namespace callgrad::cpu::CG_ISA
