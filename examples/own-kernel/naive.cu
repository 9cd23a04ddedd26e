// RMSNorm as one would first write it: a thread takes a row, an element at a time, in three passes.
// Lanes of a warp are on different rows, so each asks for a sector of its own for every element.
#include "cuda/own_kernel.h"

using namespace callgrad;
using namespace callgrad::gpu;

namespace {

CG_DEVICE float weight(const void* w, bool half, int i) {
  return half ? toFloat(static_cast<const BFloat16*>(w)[i]) : static_cast<const float*>(w)[i];
}

// s = x + residual, y = s / rms(s) * w, rstd = 1 / rms(s). `residual` and `sum` may be absent.
template <typename T>
__global__ void normKernel(RowsOf<T> x, RowsOf<T> residual, const void* w, bool half, RowsOf<T> y,
                           float* rstd, RowsOf<T> sum, int64_t rows, int width, float eps) {
  const int64_t row = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (row >= rows) return;
  const T* in = x.at(row);
  if (residual.data) {
    for (int i = 0; i < width; i++)
      sum.at(row)[i] = fromFloat<T>(toFloat(in[i]) + toFloat(residual.at(row)[i]));
    in = sum.at(row);
  }
  float squares = 0;
  for (int i = 0; i < width; i++) squares = fmaf(toFloat(in[i]), toFloat(in[i]), squares);
  const float inverse = 1.0f / sqrtf(squares / float(width) + eps);
  for (int i = 0; i < width; i++)
    y.at(row)[i] = fromFloat<T>(toFloat(in[i]) * inverse * weight(w, half, i));
  rstd[row] = inverse;
}

template <typename T>
Status normOf(const OpCall& call, KernelContext& context) {
  const TensorView &x = call.in[0], &w = call.in[1], &residual = call.in[2];
  const int64_t rows = rowCount(x);
  return launch(*context.gpu, "naive rmsNorm", normKernel<T>, dim3(unsigned(ceilDiv(rows, 128))),
                dim3(128), 0, rowsOf<T>(x), rowsOf<T>(residual), w.data, w.dtype == DType::kBF16,
                rowsOf<T>(call.out[0]), call.out[1].as<float>(), rowsOf<T>(call.out[2]), rows,
                int(x.shape[x.rank - 1]), float(call.attr[0]));
}

Status rmsNorm(const OpCall& call, KernelContext& context) {
  return call.in[0].dtype == DType::kF32 ? normOf<float>(call, context)
                                         : normOf<BFloat16>(call, context);
}

}  // namespace

CALLGRAD_KERNEL(rmsNorm, rmsNorm)
