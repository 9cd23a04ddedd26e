// Our own GEMM: which tile computes which part of C. The depth is never split between threads and,
// where it is walked in pieces for the cache's sake, a piece continues the accumulators of the one
// before.
//
// Measured on a Zen 4 EPYC (2 cores, AVX512-BF16), one thread, CPU time, against oneDNN 2.6.3 on
// the same packed weights: bf16 0.97-1.18 of its rate from 1 to 1,368 rows (185-229 GFLOP/s, more
// at 1-8 rows), fp32 1.00-1.01 (100-104). Weights from memory: 1.0-1.4 of a plain read's bandwidth
// at 1-4 rows, 0.84 at 8; 155, 176 and 191 GFLOP/s at 16, 32 and 64 rows. Gradients of weights
// 186-195 GFLOP/s with the packing of both sides.
//
// Tried and dropped: one prefetched line a step instead of two (8-16 rows 12-18 % slower); none (1
// row 1.4 times slower, 16 rows half the rate); transposing words one by one when packing (4-10
// times slower than 16 by 16).
#include "cpu/kernels/gemm.h"

#include <algorithm>

#include "core/parallel.h"
#include "cpu/kernels/gemm_tile.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kBlockRows = 96;
// A piece of a panel that stays in L2 beside a block of A: 2,048 depth steps of 256 bytes.
constexpr int64_t kDepthSteps = 2048;

template <typename T, typename C>
using TileFunction = void (*)(const TileOperands<T>&, int64_t, const TileTarget<T, C>&);

template <typename T, typename C, int... Rows>
constexpr TileFunction<T, C> tileOf(int rows, std::integer_sequence<int, Rows...>) {
  constexpr TileFunction<T, C> table[] = {tile<Rows + 1, kTileVecs, T, C>...};
  return table[rows - 1];
}

// Rows [0, rows) of one panel. The first two tiles each fetch half of `next` (null: nothing),
// the panel that this thread reads afterwards: with few rows the weights come from memory as fast
// as they are multiplied.
template <typename T, typename C>
void panelTiles(const T* a, int64_t row, int64_t step, int64_t rows, const T* b, const T* next,
                int64_t depth, const TileTarget<T, C>& target) {
  constexpr int64_t kLines = kPanelStep<T> * int64_t(sizeof(T)) / kLine;
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  int64_t lines = next ? 0 : kLines;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t begin = rows * t / tiles, end = rows * (t + 1) / tiles;
    const auto run = tileOf<T, C>(int(end - begin), std::make_integer_sequence<int, kTileRows>());
    for (int64_t col = 0; col < target.columns; col += kTileColumns) {
      TileTarget<T, C> part = target;
      part.c += begin * target.cStride + col;
      part.columns = std::min<int64_t>(target.columns - col, kTileColumns);
      if (part.from) part.from += begin * target.fromStride + col;
      if (part.bias) part.bias += col;
      if (part.residual) part.residual += begin * target.residualStride + col;
      const T* from = b + col * kGroup<T>;
      int64_t ahead = 0;
      if (lines < kLines) {
        ahead = reinterpret_cast<const char*>(next) + lines * kLine -
                reinterpret_cast<const char*>(from);
        lines += kLinesAhead;
      }
      run({a + begin * row, row, step, from, ahead}, depth, part);
    }
  }
}

// Rows [0, rows) of block `a` times panel `panel`, written at row `at` of c. `next`: the panel
// after it, if any.
template <typename T, typename C>
void blockPanel(const Product<T, C>& p, const T* a, int64_t at, int64_t rows, int64_t panel,
                int64_t next) {
  const int64_t column = panel * kPanel, columns = std::min(kPanel, p.n - column);
  const T* b = p.b + panel * p.panelStride;
  C* c = p.c + at * p.cStride + column;
  const T* bias = p.bias ? p.bias + column : nullptr;
  const T* residual = p.residual ? p.residual + at * p.residualStride + column : nullptr;
  const float* from = nullptr;
  int64_t fromStride = 0;
  if constexpr (std::is_same_v<C, float>) {
    if (p.accumulate) from = c, fromStride = p.cStride;
  }
  const T* nextB = next * kPanel < p.n ? p.b + next * p.panelStride : nullptr;
  constexpr int64_t kDepth = kDepthSteps * kGroup<T>;
  if (p.depth <= kDepth)
    return panelTiles<T, C>(
        a, p.a.row, p.a.step, rows, b, nextB, p.depth,
        {c, p.cStride, columns, from, fromStride, bias, residual, p.residualStride});

  // Partial sums of a long depth stay in fp32: in c itself, or beside it where c is bf16 or may be
  // the residual.
  float beside[kBlockRows * kPanel];
  float* sums = beside;
  int64_t sumsStride = kPanel;
  if constexpr (std::is_same_v<C, float>) {
    if (!p.residual) sums = c, sumsStride = p.cStride;
  }
  for (int64_t d = 0; d < p.depth; d += kDepth) {
    const T* pieceA = a + d / kGroup<T> * p.a.step;
    const T* pieceB = b + d / kGroup<T> * kPanelStep<T>;
    const int64_t depth = std::min(kDepth, p.depth - d);
    if (d + depth == p.depth) {
      panelTiles<T, C>(pieceA, p.a.row, p.a.step, rows, pieceB, nextB, depth,
                       {c, p.cStride, columns, from, fromStride, bias, residual, p.residualStride});
    } else {
      panelTiles<T, float>(pieceA, p.a.row, p.a.step, rows, pieceB,
                           pieceB + kDepth / kGroup<T> * kPanelStep<T>, depth,
                           {sums, sumsStride, columns, from, fromStride});
      from = sums, fromStride = sumsStride;
    }
  }
}

}  // namespace

template <typename T, typename C>
void product(const Product<T, C>& p, KernelContext&) {
  if (p.m <= 0 || p.n <= 0) return;
  const int64_t panels = (p.n + kPanel - 1) / kPanel;
  int64_t blockRows = p.a.blockRows, blockStride = p.a.blockStride;
  if (!blockRows) {
    blockRows = kBlockRows;
    while (blockRows > 24 && (p.m + blockRows - 1) / blockRows * panels < 8 * threadCount())
      blockRows /= 2;
    blockStride = blockRows * p.a.row;
  }
  const int64_t blocks = (p.m + blockRows - 1) / blockRows;
  // A task is one block of rows times a run of panels; the run after it is expected to go to
  // another thread.
  const int64_t threads = threadCount();
  const int64_t run =
      std::clamp<int64_t>(blocks * panels / (8 * threads), 1, std::min<int64_t>(8, panels));
  const int64_t runs = (panels + run - 1) / run;
  auto one = [&](int64_t task) {
    const int64_t block = task / runs, at = block * blockRows, begin = task % runs * run;
    const int64_t end = std::min(panels, begin + run), rows = std::min(blockRows, p.m - at);
    for (int64_t panel = begin; panel < end; panel++)
      blockPanel(p, p.a.data + block * blockStride, at, rows, panel,
                 panel + 1 < end ? panel + 1 : end + (threads - 1) * run);
  };
  // below this much work a second thread costs more than it brings
  if (double(p.m) * double(p.n) * double(p.depth) < 1e5) {
    for (int64_t task = 0; task < blocks * runs; task++) one(task);
  } else if (blocks == 1) {
    // The weights come from memory: each thread reads a stretch of them from end to end.
    parallelRuns(
        panels, [&](int64_t panel, int64_t next) { blockPanel(p, p.a.data, 0, p.m, panel, next); });
  } else {
    parallelTasks(blocks * runs, [&](int64_t task, int) { one(task); });
  }
}

template <typename T>
void productOnThread(const Product<T, float>& p) {
  for (int64_t panel = 0; panel * kPanel < p.n; panel++)
    blockPanel(p, p.a.data, 0, p.m, panel, panel + 1);
}

template void product(const Product<float, float>&, KernelContext&);
template void product(const Product<BFloat16, float>&, KernelContext&);
template void product(const Product<BFloat16, BFloat16>&, KernelContext&);
template void productOnThread(const Product<float, float>&);
template void productOnThread(const Product<BFloat16, float>&);

}  // namespace callgrad::cpu::CG_ISA
