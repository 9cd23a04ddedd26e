// Linear layers, their gradients, and plain products: operands as gemm.cuh reads them. Weights stay
// as they are (no packed layout on a GPU), so that one copy serves forward, both gradients and the
// optimizer.
#include "cuda/families.h"
#include "cuda/gemm.cuh"
#include "cuda/parts.h"

namespace callgrad::gpu {
namespace {

constexpr int kBlock = 256;

template <typename T>
Operand<T> innerContiguous(const TensorView& x) {
  return {x.as<T>(), x.rowStride, 1};
}
template <typename T>
Operand<T> outerContiguous(const TensorView& x) {
  return {x.as<T>(), 1, x.rowStride};
}

// Calls f with a value of the element type.
template <typename F>
Status withType(DType dtype, F&& f) {
  return dtype == DType::kF32 ? f(float{}) : f(BFloat16{});
}

Status linear(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &w = c.in[1], &y = c.out[0];
  return withType(x.dtype, [&]<typename T>(T) {
    const Product<T> p{innerContiguous<T>(x), innerContiguous<T>(w), x.shape[0], w.shape[0],
                       w.shape[1]};
    return gemm(*context.gpu, "linear", p, storeTo(y, false, c.in[2], c.in[3]));
  });
}

Status linearBackwardInput(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &w = c.in[1], &dx = c.out[0];
  return withType(dy.dtype, [&]<typename T>(T) {
    const Product<T> p{innerContiguous<T>(dy), outerContiguous<T>(w), dy.shape[0], w.shape[1],
                       w.shape[0]};
    return gemm(*context.gpu, "linearBackwardInput", p, storeTo(dx));
  });
}

Status linearBackwardWeight(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &x = c.in[1], &dw = c.in[2];
  return withType(dy.dtype, [&]<typename T>(T) {
    const Product<T> p{outerContiguous<T>(dy), outerContiguous<T>(x), dy.rowSize(), x.rowSize(),
                       dy.shape[0]};
    return gemm(*context.gpu, "linearBackwardWeight", p, storeTo(dw, true));
  });
}

Status matmul(const OpCall& c, KernelContext& context) {
  const TensorView &a = c.in[0], &b = c.in[1], &out = c.out[0];
  const bool transA = c.attr[0] != 0, transB = c.attr[1] != 0;
  return withType(a.dtype, [&]<typename T>(T) {
    const Product<T> p{transA ? outerContiguous<T>(a) : innerContiguous<T>(a),
                       transB ? innerContiguous<T>(b) : outerContiguous<T>(b), out.shape[0],
                       out.shape[1], a.shape[transA ? 0 : 1]};
    return gemm(*context.gpu, "matmul", p, storeTo(out));
  });
}

// ---- sums of columns ---------------------------------------------------------------------------

constexpr int64_t kSumRows = 64, kMostParts = 1024;

// partial[part][c] = the sum of x[r][c] over the part's rows, in order.
template <typename T>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    columnSumKernel(RowsOf<T> x, int64_t rows, int64_t perPart, float* partial) {
  const int64_t c = int64_t(blockIdx.y) * kBlock + threadIdx.x, part = blockIdx.x;
  if (c >= x.width) return;
  const int64_t end = (part + 1) * perPart < rows ? (part + 1) * perPart : rows;
  float sum = 0;
  for (int64_t r = part * perPart; r < end; r++) sum += toFloat(x.data[r * x.stride + c]);
  partial[part * x.width + c] = sum;
}

Status columnSum(const OpCall& c, KernelContext& context) {
  const TensorView& x = c.in[0];
  const int64_t rows = x.shape[0], width = x.rowSize();
  if (rows == 0 || width == 0) return {};
  const int64_t perPart = kSumRows * ceilDiv(rows, kSumRows * kMostParts);
  const int64_t parts = ceilDiv(rows, perPart);
  float* partial = context.scratch.get<float>(size_t(parts * width));
  CG_RETURN_IF_ERROR(withType(x.dtype, [&]<typename T>(T) {
    return launch(*context.gpu, "columnSum", columnSumKernel<T>,
                  dim3(unsigned(parts), unsigned(ceilDiv(width, kBlock))), dim3(kBlock), 0,
                  wholeRows<T>(x), rows, perPart, partial);
  }));
  return addParts(context, partial, parts, width, c.in[1].as<float>());
}

// ---- weights as they are, rounded where asked ---------------------------------------------------

template <typename From, typename To>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1) packKernel(RowsOf<From> from, RowsOf<To> to) {
  const int64_t c = int64_t(blockIdx.y) * kBlock + threadIdx.x, r = blockIdx.x;
  if (c < from.width) to.at(r)[c] = fromFloat<To>(toFloat(from.at(r)[c]));
}

Status packWeight(const OpCall& c, KernelContext& context) {
  const TensorView &w = c.in[0], &to = c.out[0];
  return withType(w.dtype, [&]<typename From>(From) {
    return withType(to.dtype, [&]<typename To>(To) {
      return launch(*context.gpu, "packWeight", packKernel<From, To>,
                    dim3(unsigned(w.shape[0]), unsigned(ceilDiv(w.shape[1], kBlock))), dim3(kBlock),
                    0, rowsOf<From>(w), rowsOf<To>(to));
    });
  });
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

}  // namespace callgrad::gpu
