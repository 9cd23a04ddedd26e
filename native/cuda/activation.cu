// SwiGLU and its gradient.
//
// gate, up, dy, y, dGate, dUp: rows of F elements, f32 or bf16, strided in dimension 0 (gate and up
// are usually the halves of one GEMM's output). One thread takes 16 bytes of a row; every element
// is read once and written once. Limited by memory; the exponential is in fp32 and accurate, since
// its cost hides behind the loads. The gradients may be written over gate and up: a thread reads
// its elements before it writes them.
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr unsigned kBlock = 256;

struct Silu {
  float value, slope;  // of g / (1 + e^-g)
};
CG_DEVICE Silu silu(float g) {
  const float s = 1.0f / (1.0f + expf(-g));
  const float value = g * s;
  return {value, s + value * (1.0f - s)};
}
CG_DEVICE float siluOnly(float g) { return g / (1.0f + expf(-g)); }

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    swigluKernel(RowsOf<T> gate, RowsOf<T> up, RowsOf<T> y) {
  const int c = (int(blockIdx.y) * int(blockDim.x) + int(threadIdx.x)) * kWidth;
  if (c >= gate.width) return;
  const int64_t row = blockIdx.x;
  float g[kWidth], u[kWidth];
  read(g, gate.at(row) + c);
  read(u, up.at(row) + c);
  CG_UNROLL
  for (int i = 0; i < kWidth; i++) g[i] = siluOnly(g[i]) * u[i];
  write(y.at(row) + c, g);
}

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    swigluBackwardKernel(RowsOf<T> dy, RowsOf<T> gate, RowsOf<T> up, RowsOf<T> dGate,
                         RowsOf<T> dUp) {
  const int c = (int(blockIdx.y) * int(blockDim.x) + int(threadIdx.x)) * kWidth;
  if (c >= gate.width) return;
  const int64_t row = blockIdx.x;
  float d[kWidth], g[kWidth], u[kWidth];
  read(d, dy.at(row) + c);
  read(g, gate.at(row) + c);
  read(u, up.at(row) + c);
  CG_UNROLL
  for (int i = 0; i < kWidth; i++) {
    const Silu s = silu(g[i]);
    g[i] = d[i] * u[i] * s.slope;
    u[i] = d[i] * s.value;
  }
  write(dGate.at(row) + c, g);
  write(dUp.at(row) + c, u);
}

// One block row for each token, columns over grid.y.
dim3 gridOf(int64_t rows, int64_t width, int perThread, unsigned* threads) {
  const int64_t items = ceilDiv(width, perThread);
  *threads = threadsFor(items, kBlock);
  return dim3(unsigned(rows), unsigned(ceilDiv(items, *threads)));
}

template <typename T>
Status swigluOf(const OpCall& c, KernelContext& context) {
  const TensorView &gate = c.in[0], &up = c.in[1], &y = c.out[0];
  const int64_t width = gate.rank ? gate.shape[gate.rank - 1] : 1, rows = rowCount(gate);
  const auto start = [&]<int kWidth>() {
    unsigned threads;
    const dim3 grid = gridOf(rows, width, kWidth, &threads);
    return launch(*context.gpu, "swiglu", swigluKernel<T, kWidth>, grid, dim3(threads), 0,
                  rowsOf<T>(gate), rowsOf<T>(up), rowsOf<T>(y));
  };
  return allWide(width, 16, gate, up, y) ? start.template operator()<kPerVector<T>>()
                                         : start.template operator()<1>();
}

Status swiglu(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? swigluOf<float>(c, context)
                                      : swigluOf<BFloat16>(c, context);
}

template <typename T>
Status swigluBackwardOf(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &gate = c.in[1], &up = c.in[2], &dGate = c.out[0],
                   &dUp = c.out[1];
  const int64_t width = dy.rank ? dy.shape[dy.rank - 1] : 1, rows = rowCount(dy);
  const auto start = [&]<int kWidth>() {
    unsigned threads;
    const dim3 grid = gridOf(rows, width, kWidth, &threads);
    return launch(*context.gpu, "swigluBackward", swigluBackwardKernel<T, kWidth>, grid,
                  dim3(threads), 0, rowsOf<T>(dy), rowsOf<T>(gate), rowsOf<T>(up), rowsOf<T>(dGate),
                  rowsOf<T>(dUp));
  };
  return allWide(width, 16, dy, gate, up, dGate, dUp) ? start.template operator()<kPerVector<T>>()
                                                      : start.template operator()<1>();
}

Status swigluBackward(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? swigluBackwardOf<float>(c, context)
                                      : swigluBackwardOf<BFloat16>(c, context);
}

}  // namespace

void registerActivation(KernelTable& t) {
  t.set("swiglu", swiglu);
  t.set("swigluBackward", swigluBackward);
}

}  // namespace callgrad::gpu
