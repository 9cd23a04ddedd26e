// Matrix products on packed panels, and packing. See gemm_tile.h for the arithmetic and
// packed_weight.h for the layout.
#pragma once
#include "core/device.h"
#include "core/dtype.h"
#include "cpu/packed_weight.h"

namespace callgrad::cpu::CG_ISA {

// The left operand, [m, depth]: element (i, d) of a block of rows at data + block * blockStride + i
// * row + (d / g) * step + d % g, where g = depthGroup. Either plain rows, or panels read across
// (then it is the transpose of what was packed).
template <typename T>
struct RowBlocks {
  const T* data;
  int64_t row, step, blockRows, blockStride;
};

template <typename T>
RowBlocks<T> plainRows(const T* data, int64_t stride) {
  return {data, stride, depthGroup(kDTypeOf<T>), 0, 0};
}
template <typename T>
RowBlocks<T> panelRows(const T* panels, int64_t depth) {
  const int64_t group = depthGroup(kDTypeOf<T>);
  return {panels, group, group * kPanel, kPanel, panelSize(kDTypeOf<T>, depth)};
}

// c [m, n] = (accumulate ? c : 0) + a [m, depth] b [depth, n] + bias [n] + residual [m, n].
// accumulate needs fp32 c; residual may be c.
template <typename T, typename C>
struct Product {
  RowBlocks<T> a;
  const T* b;           // panels
  int64_t panelStride;  // elements between panels of b: panelSize(depth of the whole packed matrix)
  int64_t m, n, depth;
  C* c;
  int64_t cStride;
  bool accumulate = false;
  const T* bias = nullptr;
  const T* residual = nullptr;
  int64_t residualStride = 0;
};

// On all threads.
template <typename T, typename C>
void product(const Product<T, C>& p, KernelContext& context);

// On the calling thread; plain rows or one block of panel rows, and fp32 c. For kernels that work
// on C tile by tile.
template <typename T>
void productOnThread(const Product<T, float>& p);

// Packs b [depth, columns] for product(): element (d, c) at from[d * stride + c], or from[c *
// stride + d] when `columnMajor` (a weight [n, k] as y = x W^T needs it). Rounds fp32 to bf16 where
// T is narrower than From.
template <typename From, typename T>
void pack(const From* from, int64_t stride, int64_t depth, int64_t columns, bool columnMajor,
          T* to);

// The same on the calling thread, for the panels of columns [0, columns) only.
template <typename From, typename T>
void packOnThread(const From* from, int64_t stride, int64_t depth, int64_t columns,
                  bool columnMajor, T* to);

// The panels of a weight [n, k]: its own when it is packed, else packed into scratch.
template <typename T>
const T* weightPanels(const TensorView& w, bool transposed, KernelContext& context) {
  if (w.layout != kLayoutPlain) return w.as<T>();
  const int64_t depth = w.shape[transposed ? 0 : 1], columns = w.shape[transposed ? 1 : 0];
  T* panels = context.scratch.get<T>(size_t(packedSize(w.dtype, depth, columns)));
  pack(w.as<T>(), w.rowStride, depth, columns, !transposed, panels);
  return panels;
}

}  // namespace callgrad::cpu::CG_ISA
