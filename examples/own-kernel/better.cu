// RMSNorm by a warp a row: lanes on neighbouring elements, 16 bytes at a time where rows allow it.
// The row is read again for the scaling, from L1 or L2, so memory sees it once; the kernel of
// native/cuda/norm.cu keeps it in registers.
#include "cuda/own_kernel.h"

using namespace callgrad;
using namespace callgrad::gpu;

namespace {

constexpr int kBlock = 256, kRows = kBlock / kWarp;

template <typename T>
struct Norm {
  RowsOf<T> x, residual, y, sum;
  const void* w;
  bool half;
  float* rstd;
  int64_t rows;
  int width;
  float eps;
};

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1) normKernel(Norm<T> a) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t row = int64_t(blockIdx.x) * kRows + int(threadIdx.x) / kWarp;
  if (row >= a.rows) return;
  const T* in = a.x.at(row);
  float squares = 0;
  for (int c = lane * kWidth; c < a.width; c += kWarp * kWidth) {
    float v[kWidth];
    read(v, in + c);
    if (a.residual.data) {
      float r[kWidth];
      read(r, a.residual.at(row) + c);
      for (int i = 0; i < kWidth; i++) v[i] = toFloat(fromFloat<T>(v[i] + r[i]));
      write(a.sum.at(row) + c, v);
    }
    for (int i = 0; i < kWidth; i++) squares = fmaf(v[i], v[i], squares);
  }
  const float inverse = 1.0f / sqrtf(warpSum(squares) / float(a.width) + a.eps);
  if (lane == 0) a.rstd[row] = inverse;
  if (a.residual.data) in = a.sum.at(row);  // what this lane itself has written
  for (int c = lane * kWidth; c < a.width; c += kWarp * kWidth) {
    float v[kWidth], w[kWidth];
    read(v, in + c);
    if (a.half)
      read(w, static_cast<const BFloat16*>(a.w) + c);
    else
      read(w, static_cast<const float*>(a.w) + c);
    for (int i = 0; i < kWidth; i++) v[i] *= inverse * w[i];
    write(a.y.at(row) + c, v);
  }
}

template <typename T>
Status normOf(const OpCall& call, KernelContext& context) {
  const TensorView &x = call.in[0], &w = call.in[1], &residual = call.in[2];
  const int width = int(x.shape[x.rank - 1]);
  const Norm<T> a{
      rowsOf<T>(x), rowsOf<T>(residual),     rowsOf<T>(call.out[0]),  rowsOf<T>(call.out[2]),
      w.data,       w.dtype == DType::kBF16, call.out[1].as<float>(), rowCount(x),
      width,        float(call.attr[0])};
  const dim3 grid(unsigned(ceilDiv(a.rows, kRows)));
  const bool vectors = allWide(width, 16, x, residual, call.out[0], call.out[2]) &&
                       reinterpret_cast<uintptr_t>(w.data) % 16 == 0;
  return vectors
             ? launch(*context.gpu, "better rmsNorm", normKernel<T, kPerVector<T>>, grid,
                      dim3(kBlock), 0, a)
             : launch(*context.gpu, "better rmsNorm", normKernel<T, 1>, grid, dim3(kBlock), 0, a);
}

Status rmsNorm(const OpCall& call, KernelContext& context) {
  return call.in[0].dtype == DType::kF32 ? normOf<float>(call, context)
                                         : normOf<BFloat16>(call, context);
}

}  // namespace

CALLGRAD_KERNEL(rmsNorm, rmsNorm)
