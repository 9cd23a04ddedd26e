// Linear layers and plain products: operands that are not packed yet are packed into scratch
// memory, the rest is gemm.cpp's. The gradient of a weight packs both sides by rows: dy's panels
// are read across, as dy^T.
#include <algorithm>
#include <cstring>

#include "core/parallel.h"
#include "cpu/kernels/families.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/simd.h"
#include "cpu/onednn.h"

namespace callgrad::cpu::CG_ISA {
namespace {

Status packWeight(const OpCall& c, KernelContext&) {
  const TensorView &w = c.in[0], &to = c.out[0];
  const bool transposed = c.attr[0] != 0;
  const int64_t n = w.shape[0], k = w.shape[1], depth = transposed ? n : k,
                columns = transposed ? k : n;
  if (w.dtype == DType::kBF16)
    pack(w.as<BFloat16>(), w.rowStride, depth, columns, !transposed, to.as<BFloat16>());
  else if (to.dtype == DType::kBF16)
    pack(w.as<float>(), w.rowStride, depth, columns, !transposed, to.as<BFloat16>());
  else
    pack(w.as<float>(), w.rowStride, depth, columns, !transposed, to.as<float>());
  return {};
}

// The residual is put into c and added to there.
template <typename T>
bool oneDnn(const Product<T, T>& p, KernelContext& context) {
  constexpr DType dtype = kDTypeOf<T>;
  if (p.a.blockRows || p.panelStride != panelSize(dtype, p.depth) || !oneDnnTakes(dtype))
    return false;
  if (p.residual && p.residual != p.c)
    parallelFor(p.m, 64, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++)
        memcpy(p.c + r * p.cStride, p.residual + r * p.residualStride, size_t(p.n) * sizeof(T));
    });
  const bool add = p.accumulate || p.residual;
  return oneDnnProduct({dtype, dtype, p.m, p.n, p.depth, p.a.data, p.a.row, 1, p.b, 0, 0, p.c,
                        p.cStride, add, p.bias},
                       context.scratch);
}

// All products but logits (f32Output), which are always ours (onednn.h).
template <typename T>
void productOrOneDnn(const Product<T, T>& p, KernelContext& context) {
  if (!oneDnn(p, context)) product(p, context);
}

template <typename T, typename C>
void runLinear(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &w = c.in[1], &y = c.out[0];
  const int64_t n = w.shape[0], k = w.shape[1];
  Product<T, C> p;
  p.a = plainRows(x.as<T>(), x.rowStride);
  p.b = weightPanels<T>(w, false, context);
  p.panelStride = panelSize(x.dtype, k);
  p.m = x.shape[0], p.n = n, p.depth = k;
  p.c = y.as<C>(), p.cStride = y.rowStride;
  p.bias = c.in[2].present() ? c.in[2].as<T>() : nullptr;
  if (c.in[3].present()) p.residual = c.in[3].as<T>(), p.residualStride = c.in[3].rowStride;
  if constexpr (std::is_same_v<T, C>) {
    if (c.attr[0] == 0) return productOrOneDnn(p, context);
  }
  product(p, context);
}

Status linear(const OpCall& c, KernelContext& context) {
  if (c.in[0].dtype == DType::kF32)
    runLinear<float, float>(c, context);
  else if (c.out[0].dtype == DType::kF32)
    runLinear<BFloat16, float>(c, context);
  else
    runLinear<BFloat16, BFloat16>(c, context);
  return {};
}

template <typename T>
void runBackwardInput(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &w = c.in[1], &dx = c.out[0];
  const int64_t n = w.shape[0], k = w.shape[1];
  Product<T, T> p;
  p.a = plainRows(dy.as<T>(), dy.rowStride);
  p.b = weightPanels<T>(w, true, context);
  p.panelStride = panelSize(dy.dtype, n);
  p.m = dy.shape[0], p.n = k, p.depth = n;
  p.c = dx.as<T>(), p.cStride = dx.rowStride;
  productOrOneDnn(p, context);
}

Status linearBackwardInput(const OpCall& c, KernelContext& context) {
  c.in[0].dtype == DType::kF32 ? runBackwardInput<float>(c, context)
                               : runBackwardInput<BFloat16>(c, context);
  return {};
}

// Rows whose products are summed in one go; longer batches continue the same accumulators.
constexpr int64_t kSumRows = 4096;

template <typename T>
void runBackwardWeight(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &x = c.in[1], &dw = c.in[2];
  const int64_t rows = dy.shape[0], n = dy.rowSize(), k = x.rowSize(),
                most = std::min(rows, kSumRows);
  if (n == 0 || k == 0) return;
  T* left = context.scratch.get<T>(size_t(packedSize(dy.dtype, most, n)));
  T* right = context.scratch.get<T>(size_t(packedSize(x.dtype, most, k)));
  for (int64_t r = 0; r < rows; r += most) {
    const int64_t depth = std::min(most, rows - r);
    pack(dy.as<T>() + r * dy.rowStride, dy.rowStride, depth, n, false, left);
    pack(x.as<T>() + r * x.rowStride, x.rowStride, depth, k, false, right);
    Product<T, float> p;
    p.a = panelRows(static_cast<const T*>(left), depth);
    p.b = right;
    p.panelStride = panelSize(x.dtype, depth);
    p.m = n, p.n = k, p.depth = roundUp(depth, depthGroup(x.dtype));
    p.c = dw.as<float>(), p.cStride = dw.rowStride;
    p.accumulate = true;
    product(p, context);
  }
}

Status linearBackwardWeight(const OpCall& c, KernelContext& context) {
  c.in[0].dtype == DType::kF32 ? runBackwardWeight<float>(c, context)
                               : runBackwardWeight<BFloat16>(c, context);
  return {};
}

// Sums of 64 rows are added to the total one after another: fixed order, and less rounding than one
// long chain.
template <typename T>
void runColumnSum(const TensorView& x, float* into) {
  const int64_t rows = x.shape[0], n = x.rowSize(), stripes = (n + kLanes - 1) / kLanes;
  parallelFor(stripes, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, rows)),
              [&](int64_t begin, int64_t end) {
                for (int64_t r0 = 0; r0 < rows; r0 += 64) {
                  for (int64_t s = begin; s < end; s++) {
                    const int64_t column = s * kLanes;
                    const int lanes = int(std::min<int64_t>(kLanes, n - column));
                    Vec sum{};
                    for (int64_t r = r0; r < std::min(rows, r0 + 64); r++) {
                      const T* p = x.as<T>() + r * x.rowStride + column;
                      sum += lanes == kLanes ? load(p) : loadPartial(p, lanes);
                    }
                    if (lanes == kLanes)
                      store(into + column, load(into + column) + sum);
                    else
                      storePartial(into + column, loadPartial(into + column, lanes) + sum, lanes);
                  }
                }
              });
}

Status columnSum(const OpCall& c, KernelContext&) {
  const TensorView& x = c.in[0];
  x.dtype == DType::kF32 ? runColumnSum<float>(x, c.in[1].as<float>())
                         : runColumnSum<BFloat16>(x, c.in[1].as<float>());
  return {};
}

template <typename T>
void runMatmul(const OpCall& c, KernelContext& context) {
  const TensorView &a = c.in[0], &b = c.in[1], &out = c.out[0];
  const bool transA = c.attr[0] != 0, transB = c.attr[1] != 0;
  const int64_t m = out.shape[0], n = out.shape[1], depth = a.shape[transA ? 0 : 1];
  Product<T, T> p;
  p.m = m, p.n = n, p.depth = depth;
  p.c = out.as<T>(), p.cStride = out.rowStride;
  if (transA) {
    T* left = context.scratch.get<T>(size_t(packedSize(a.dtype, depth, m)));
    pack(a.as<T>(), a.rowStride, depth, m, false, left);
    p.a = panelRows(static_cast<const T*>(left), depth);
    p.depth = roundUp(depth, depthGroup(a.dtype));
  } else {
    p.a = plainRows(a.as<T>(), a.rowStride);
  }
  T* right = context.scratch.get<T>(size_t(packedSize(b.dtype, depth, n)));
  pack(b.as<T>(), b.rowStride, depth, n, transB, right);
  p.b = right;
  p.panelStride = panelSize(b.dtype, depth);
  productOrOneDnn(p, context);
}

Status matmul(const OpCall& c, KernelContext& context) {
  c.in[0].dtype == DType::kF32 ? runMatmul<float>(c, context) : runMatmul<BFloat16>(c, context);
  return {};
}

}  // namespace

void registerMatmul(KernelTable& t) {
  t.set("packWeight", packWeight);
  t.set("linear", linear);
  t.set("linearBackwardInput", linearBackwardInput);
  t.set("linearBackwardWeight", linearBackwardWeight);
  t.set("columnSum", columnSum);
  t.set("matmul", matmul);
}

}  // namespace callgrad::cpu::CG_ISA
