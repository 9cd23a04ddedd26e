// Gradient norm, clipping and AdamW.
//
// sumSquares reads its tensor once, in up to kBlocks blocks of contiguous elements; squares add up
// in float64 per thread and block, and the last kernel adds the blocks in order: the cut depends on
// the tensor alone, so the bits do too. adamw reads four arrays and writes three (and the bf16
// copy) once each: 28 or 30 bytes a weight. All limited by memory.
#include <cmath>

#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr int kBlock = 256;
constexpr int64_t kBlocks = 1024;

// A view as rows that kernels walk by a flat index; a dense one is a single row.
struct Flat {
  int64_t rows, width, stride;
  explicit Flat(const TensorView& v)
      : rows(v.contiguous() ? 1 : v.shape[0]),
        width(v.contiguous() ? v.numel() : v.rowSize()),
        stride(v.rowStride) {}
};

// Sum over the block in a fixed order; thread 0 has it.
CG_DEVICE double blockSumDouble(double v) {
  CG_SHARED(double, part, [kBlock / kWarp]);
  v = warpSum(v);
  if (threadIdx.x % kWarp == 0) part[threadIdx.x / kWarp] = v;
  __syncthreads();
  double total = 0;
  if (threadIdx.x == 0)
    for (int w = 0; w < kBlock / kWarp; w++) total += part[w];
  return total;
}

// Squares of elements [begin, end) of the flat order, `begin` a multiple of kWidth.
template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    sumSquaresKernel(const T* x, Flat f, int64_t perBlock, double* partial) {
  const int64_t total = f.rows * f.width, begin = int64_t(blockIdx.x) * perBlock;
  const int64_t end = begin + perBlock < total ? begin + perBlock : total;
  double sum = 0;
  for (int64_t i = begin + int64_t(threadIdx.x) * kWidth; i < end; i += kBlock * kWidth) {
    const int64_t row = f.rows == 1 ? 0 : i / f.width;
    float v[kWidth];
    read(v, x + row * f.stride + (i - row * f.width));
    CG_UNROLL
    for (int k = 0; k < kWidth; k++) sum = fma(double(v[k]), double(v[k]), sum);
  }
  sum = blockSumDouble(sum);
  if (threadIdx.x == 0) partial[blockIdx.x] = sum;
}

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    addBlocksKernel(const double* partial, int blocks, float* into, bool accumulate) {
  double sum = 0;
  for (int i = int(threadIdx.x); i < blocks; i += kBlock) sum += partial[i];
  sum = blockSumDouble(sum);
  if (threadIdx.x == 0) *into = float((accumulate ? double(*into) : 0.0) + sum);
}

template <typename T>
Status sumSquaresOf(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &into = c.in[1];
  const Flat f(x);
  const int64_t total = f.rows * f.width;
  constexpr int64_t kUnit = kBlock * kPerVector<T>;  // what a block takes in one go
  const int64_t perBlock = kUnit * ceilDiv(total, kUnit * kBlocks);
  const int64_t blocks = total ? ceilDiv(total, perBlock) : 0;
  double* partial = context.scratch.get<double>(size_t(blocks ? blocks : 1));
  const auto start = [&]<int kWidth>() {
    return launch(*context.gpu, "sumSquares", sumSquaresKernel<T, kWidth>, dim3(unsigned(blocks)),
                  dim3(kBlock), 0, x.as<T>(), f, perBlock, partial);
  };
  CG_RETURN_IF_ERROR(wide(x, f.width, 16) ? start.template operator()<kPerVector<T>>()
                                          : start.template operator()<1>());
  return launch(*context.gpu, "addBlocks", addBlocksKernel, dim3(1), dim3(kBlock), 0, partial,
                int(blocks), into.as<float>(), c.attr[0] != 0);
}

Status sumSquares(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? sumSquaresOf<float>(c, context)
                                      : sumSquaresOf<BFloat16>(c, context);
}

__global__ void clipScaleKernel(const float* squares, float* norm, float* scale, float maxNorm) {
  const float n = sqrtf(*squares), factor = maxNorm / (n + 1e-6f);
  *norm = n;
  *scale = !isfinite(n) ? asFloat(0x7fc00000u) : factor < 1.0f ? factor : 1.0f;
}

Status clipScale(const OpCall& c, KernelContext& context) {
  return launch(*context.gpu, "clipScale", clipScaleKernel, dim3(1), dim3(1), 0,
                c.in[0].as<float>(), c.out[0].as<float>(), c.out[1].as<float>(), float(c.attr[0]));
}

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    scaleKernel(T* x, Flat f, const float* by, ErrorSlot errors) {
  const int64_t i = (int64_t(blockIdx.x) * kBlock + threadIdx.x) * kWidth;
  if (i >= f.rows * f.width || faultPending(errors)) return;
  const int64_t row = f.rows == 1 ? 0 : i / f.width;
  T* at = x + row * f.stride + (i - row * f.width);
  const float factor = *by;
  float v[kWidth];
  read(v, at);
  CG_UNROLL
  for (int k = 0; k < kWidth; k++) v[k] *= factor;
  write(at, v);
}

template <typename T>
Status scaleOf(const OpCall& c, KernelContext& context) {
  const TensorView& x = c.in[0];
  const Flat f(x);
  const auto start = [&]<int kWidth>() {
    return launch(*context.gpu, "scale", scaleKernel<T, kWidth>,
                  dim3(unsigned(ceilDiv(f.rows * f.width, kBlock * kWidth))), dim3(kBlock), 0,
                  x.as<T>(), f, c.in[1].as<float>(), *context.deviceErrors);
  };
  return wide(x, f.width, 16) ? start.template operator()<kPerVector<T>>()
                              : start.template operator()<1>();
}

Status scale(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? scaleOf<float>(c, context) : scaleOf<BFloat16>(c, context);
}

struct Moments {
  float shrink, eps, keepV, newM, newV, stepSize, correction;
};

// torch.optim.AdamW's arithmetic (its single-tensor form).
CG_DEVICE void adamwElement(float& p, float& m, float& v, float g, const Moments& a) {
  m = fmaf(g - m, a.newM, m);
  v = fmaf(g * a.newV, g, v * a.keepV);
  p = p * a.shrink - m / (sqrtf(v) / a.correction + a.eps) * a.stepSize;
}

template <int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    adamwKernel(float* param, float* moment1, float* moment2, const float* grad,
                const float* gradScale, BFloat16* compute, int64_t n, Moments a, ErrorSlot errors) {
  const int64_t i = (int64_t(blockIdx.x) * kBlock + threadIdx.x) * kWidth;
  const float by = gradScale ? *gradScale : 1.0f;
  if (i >= n || !isfinite(by) || faultPending(errors)) return;
  float p[kWidth], m[kWidth], v[kWidth], g[kWidth];
  read(p, param + i);
  read(m, moment1 + i);
  read(v, moment2 + i);
  read(g, grad + i);
  CG_UNROLL
  for (int k = 0; k < kWidth; k++) adamwElement(p[k], m[k], v[k], g[k] * by, a);
  write(param + i, p);
  write(moment1 + i, m);
  write(moment2 + i, v);
  if (compute) {
    if constexpr (kWidth == 1)
      compute[i] = toBFloat16(p[0]);
    else
      store<kWidth>(compute + i, p);
  }
}

Status adamw(const OpCall& c, KernelContext& context) {
  const TensorView &param = c.in[0], &gradScale = c.in[4], &compute = c.in[5];
  const double lr = c.attr[0], beta1 = c.attr[1], beta2 = c.attr[2], step = c.attr[5];
  const Moments a{float(1 - lr * c.attr[4]),
                  float(c.attr[3]),
                  float(beta2),
                  float(1 - beta1),
                  float(1 - beta2),
                  float(lr / (1 - std::pow(beta1, step))),
                  float(std::sqrt(1 - std::pow(beta2, step)))};
  const int64_t n = param.numel();
  const auto start = [&]<int kWidth>() {
    return launch(
        *context.gpu, "adamw", adamwKernel<kWidth>, dim3(unsigned(ceilDiv(n, kBlock * kWidth))),
        dim3(kBlock), 0, param.as<float>(), c.in[1].as<float>(), c.in[2].as<float>(),
        c.in[3].as<float>(), gradScale.present() ? gradScale.as<float>() : nullptr,
        compute.present() ? compute.as<BFloat16>() : nullptr, n, a, *context.deviceErrors);
  };
  const bool vectors = allWide(n, 16, param, c.in[1], c.in[2], c.in[3]) &&
                       (!compute.present() || wide(compute, n, 8));
  return vectors ? start.template operator()<4>() : start.template operator()<1>();
}

}  // namespace

void registerOptimizer(KernelTable& t) {
  t.set("sumSquares", sumSquares);
  t.set("clipScale", clipScale);
  t.set("scale", scale);
  t.set("adamw", adamw);
}

}  // namespace callgrad::gpu
