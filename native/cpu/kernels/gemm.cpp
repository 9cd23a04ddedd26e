// Our own GEMM: which tile computes which part of C. The depth is never split between threads and,
// where it is walked in pieces for the cache's sake, a piece continues the accumulators of the one
// before.
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

// Rows [0, rows) of one panel. `from` as in TileTarget.
template <typename T, typename C>
void panelTiles(const T* a, int64_t row, int64_t step, int64_t rows, const T* b, int64_t depth,
                const TileTarget<T, C>& target) {
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < tiles; t++) {
    const int64_t begin = rows * t / tiles, end = rows * (t + 1) / tiles;
    const auto run = tileOf<T, C>(int(end - begin), std::make_integer_sequence<int, kTileRows>());
    for (int64_t col = 0; col < target.columns; col += kTileColumns) {
      TileTarget<T, C> part = target;
      part.c += begin * target.cStride + col;
      part.columns = std::min<int64_t>(target.columns - col, kTileColumns);
      if (part.from) part.from += begin * target.fromStride + col;
      if (part.bias) part.bias += col;
      run({a + begin * row, row, step, b + col * kGroup<T>}, depth, part);
    }
  }
}

// Rows [0, rows) of block `a` times panel `panel`, written at row `at` of c.
template <typename T, typename C>
void blockPanel(const Product<T, C>& p, const T* a, int64_t at, int64_t rows, int64_t panel) {
  const int64_t column = panel * kPanel, columns = std::min(kPanel, p.n - column);
  const T* b = p.b + panel * p.panelStride;
  C* c = p.c + at * p.cStride + column;
  const T* bias = p.bias ? p.bias + column : nullptr;
  const float* from = nullptr;
  int64_t fromStride = 0;
  if constexpr (std::is_same_v<C, float>) {
    if (p.accumulate) from = c, fromStride = p.cStride;
  }
  constexpr int64_t kDepth = kDepthSteps * kGroup<T>;
  if (p.depth <= kDepth)
    return panelTiles<T, C>(a, p.a.row, p.a.step, rows, b, p.depth,
                            {c, p.cStride, columns, from, fromStride, bias});

  // Partial sums of a long depth stay in fp32: in c itself, or beside it when c is bf16.
  float partial[std::is_same_v<C, float> ? 1 : kBlockRows * kPanel];
  for (int64_t d = 0; d < p.depth; d += kDepth) {
    const T* pieceA = a + d / kGroup<T> * p.a.step;
    const T* pieceB = b + d / kGroup<T> * kPanelStep<T>;
    const int64_t depth = std::min(kDepth, p.depth - d);
    if (d + depth == p.depth) {
      panelTiles<T, C>(pieceA, p.a.row, p.a.step, rows, pieceB, depth,
                       {c, p.cStride, columns, from, fromStride, bias});
    } else if constexpr (std::is_same_v<C, float>) {
      panelTiles<T, C>(pieceA, p.a.row, p.a.step, rows, pieceB, depth,
                       {c, p.cStride, columns, from, fromStride, nullptr});
      from = c, fromStride = p.cStride;
    } else {
      panelTiles<T, float>(pieceA, p.a.row, p.a.step, rows, pieceB, depth,
                           {partial, kPanel, columns, from, fromStride, nullptr});
      from = partial, fromStride = kPanel;
    }
  }
}

template <typename From, typename T>
void packPanel(const From* from, int64_t stride, int64_t depth, int64_t columns, bool columnMajor,
               T* to) {
  constexpr int64_t group = kGroup<T>, chunk = 16 * group;
  for (int64_t d0 = 0; d0 < depth; d0 += chunk, to += 16 * kPanelStep<T>) {
    const int64_t depths = std::min(chunk, depth - d0);
    if (depths < chunk || columns < kPanel) std::fill_n(to, 16 * kPanelStep<T>, T{});
    if (columnMajor) {
      // columns are rows of memory: convert a run of each, then transpose depth steps
      alignas(64) T tmp[kPanel][chunk + group];
      for (int64_t c = 0; c < columns; c++) {
        const From* p = from + c * stride + d0;
        for (int64_t d = 0; d < depths; d++) tmp[c][d] = fromFloat<T>(toFloat(p[d]));
        if (depths % group) tmp[c][depths] = T{};
      }
      for (int64_t s = 0; s < (depths + group - 1) / group; s++)
        for (int64_t c = 0; c < columns; c++)
          memcpy(to + s * kPanelStep<T> + c * group, &tmp[c][s * group], sizeof(T) * group);
    } else {
      for (int64_t d = 0; d < depths; d++) {
        const From* p = from + (d0 + d) * stride;
        T* step = to + d / group * kPanelStep<T> + d % group;
        for (int64_t c = 0; c < columns; c++) step[c * group] = fromFloat<T>(toFloat(p[c]));
      }
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
  auto one = [&](int64_t task) {
    const int64_t block = task / panels, at = block * blockRows;
    blockPanel(p, p.a.data + block * blockStride, at, std::min(blockRows, p.m - at), task % panels);
  };
  // below this much work a second thread costs more than it brings
  if (double(p.m) * double(p.n) * double(p.depth) < 1e5) {
    for (int64_t task = 0; task < blocks * panels; task++) one(task);
  } else {
    parallelTasks(blocks * panels, [&](int64_t task, int) { one(task); });
  }
}

template <typename T>
void productOnThread(const Product<T, float>& p) {
  for (int64_t panel = 0; panel * kPanel < p.n; panel++) blockPanel(p, p.a.data, 0, p.m, panel);
}

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

template void product(const Product<float, float>&, KernelContext&);
template void product(const Product<BFloat16, float>&, KernelContext&);
template void product(const Product<BFloat16, BFloat16>&, KernelContext&);
template void productOnThread(const Product<float, float>&);
template void productOnThread(const Product<BFloat16, float>&);
template void pack(const float*, int64_t, int64_t, int64_t, bool, float*);
template void pack(const float*, int64_t, int64_t, int64_t, bool, BFloat16*);
template void pack(const BFloat16*, int64_t, int64_t, int64_t, bool, BFloat16*);
template void packOnThread(const float*, int64_t, int64_t, int64_t, bool, float*);
template void packOnThread(const BFloat16*, int64_t, int64_t, int64_t, bool, BFloat16*);

}  // namespace callgrad::cpu::CG_ISA
