// Rotary position embedding: the table of angles, and the rotation in place.
//
// x: [T, H, D], f32 or bf16, strided in dimension 0; table: [P, D] f32, D/2 cosines then D/2 sines.
// One block takes a token: its row of the table is read once and serves all heads from L1. A thread
// rotates 16 bytes of the lower and 16 of the upper half of a head. Every element is read and
// written once; limited by memory. The table is made in float64, once a model.
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr unsigned kBlock = 256;

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    ropeTableKernel(const float* frequencies, float* table, int64_t stride, int half) {
  const int64_t position = blockIdx.x;
  float* row = table + position * stride;
  for (int j = int(threadIdx.x); j < half; j += int(blockDim.x)) {
    const double angle =
        double(position) * (double(frequencies[j]) + double(frequencies[half + j]));
    row[j] = float(cos(angle));
    row[half + j] = float(sin(angle));
  }
}

Status ropeTable(const OpCall& c, KernelContext& context) {
  const TensorView &f = c.in[0], &table = c.out[0];
  const int64_t half = f.shape[1];
  if (half == 0) return {};
  return launch(*context.gpu, "ropeTable", ropeTableKernel, dim3(unsigned(table.shape[0])),
                dim3(threadsFor(half, kBlock)), 0, f.as<float>(), table.as<float>(),
                table.rowStride, int(half));
}

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    ropeKernel(T* x, int64_t stride, int heads, int half, const int32_t* positions,
               const float* table, int64_t rows, float sign, ErrorSlot errors) {
  const int64_t token = blockIdx.x;
  const int32_t position = positions[token];
  if (position < 0 || position >= rows) {
    if (threadIdx.x == 0) reportFault(errors, Fault::kPosition, token, position, rows);
    return;
  }
  const float* cosine = table + int64_t(position) * 2 * half;
  const int perHead = half / kWidth;
  for (int i = int(threadIdx.x); i < heads * perHead; i += int(blockDim.x)) {
    const int head = i / perHead, j = (i - head * perHead) * kWidth;
    T* low = x + token * stride + int64_t(head) * 2 * half + j;
    float a[kWidth], b[kWidth], cs[kWidth], sn[kWidth];
    read(a, low);
    read(b, low + half);
    read(cs, cosine + j);
    read(sn, cosine + half + j);
    CG_UNROLL
    for (int k = 0; k < kWidth; k++) {
      const float s = sn[k] * sign, u = a[k], v = b[k];
      a[k] = u * cs[k] - v * s;
      b[k] = v * cs[k] + u * s;
    }
    write(low, a);
    write(low + half, b);
  }
}

template <typename T>
Status ropeOf(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &table = c.in[2];
  const int64_t heads = x.shape[1], half = x.shape[2] / 2;
  if (heads * half == 0) return {};
  const auto start = [&]<int kWidth>() {
    return launch(*context.gpu, "rope", ropeKernel<T, kWidth>, dim3(unsigned(x.shape[0])),
                  dim3(threadsFor(heads * half / kWidth, kBlock)), 0, x.as<T>(), x.rowStride,
                  int(heads), int(half), c.in[1].as<int32_t>(), table.as<float>(), table.shape[0],
                  c.attr[0] != 0 ? -1.0f : 1.0f, *context.deviceErrors);
  };
  const bool vectors = wide(x, half, 16) && half % kPerVector<T> == 0 && wide(table, half, 16);
  return vectors ? start.template operator()<kPerVector<T>>() : start.template operator()<1>();
}

Status rope(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? ropeOf<float>(c, context) : ropeOf<BFloat16>(c, context);
}

}  // namespace

void registerRope(KernelTable& t) {
  t.set("ropeTable", ropeTable);
  t.set("rope", rope);
}

}  // namespace callgrad::gpu
