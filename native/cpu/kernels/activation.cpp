// SwiGLU forward and backward on the CPU: one pass, exp by simd.h's polynomial, arithmetic in fp32.
#include "cpu/kernels/families.h"
#include "cpu/kernels/pointwise.h"

namespace callgrad::cpu::CG_ISA {
namespace {

template <typename T>
void swigluOf(const OpCall& c) {
  const TensorView &gate = c.in[0], &up = c.in[1], &y = c.out[0];
  Pieces({&gate, &up, &y}).run([&](int64_t, int64_t row, int64_t column, int64_t count) {
    const T *pg = at<T>(gate, row, column), *pu = at<T>(up, row, column);
    T* py = at<T>(y, row, column);
    overLanes(count, [&](int64_t i, int n) {
      const Vec g = loadLanes(pg + i, n);
      storeLanes(py + i, g / (exp(-g) + 1.0f) * loadLanes(pu + i, n), n);
    });
  });
}

Status swiglu(const OpCall& c, KernelContext&) {
  c.in[0].dtype == DType::kF32 ? swigluOf<float>(c) : swigluOf<BFloat16>(c);
  return {};
}

// With s = sigmoid(g): d/dg (g s u) = u s (1 + g (1 - s)), d/du = g s.
template <typename T>
void swigluBackwardOf(const OpCall& c) {
  const TensorView &dy = c.in[0], &gate = c.in[1], &up = c.in[2], &dGate = c.out[0],
                   &dUp = c.out[1];
  Pieces({&dy, &gate, &up, &dGate, &dUp})
      .run([&](int64_t, int64_t row, int64_t column, int64_t count) {
        const T *pd = at<T>(dy, row, column), *pg = at<T>(gate, row, column),
                *pu = at<T>(up, row, column);
        T *pdg = at<T>(dGate, row, column), *pdu = at<T>(dUp, row, column);
        overLanes(count, [&](int64_t i, int n) {
          const Vec d = loadLanes(pd + i, n), g = loadLanes(pg + i, n), u = loadLanes(pu + i, n);
          const Vec s = 1.0f / (exp(-g) + 1.0f);
          storeLanes(pdg + i, d * u * s * fma(g, 1.0f - s, splat(1.0f)), n);
          storeLanes(pdu + i, d * g * s, n);
        });
      });
}

Status swigluBackward(const OpCall& c, KernelContext&) {
  c.in[0].dtype == DType::kF32 ? swigluBackwardOf<float>(c) : swigluBackwardOf<BFloat16>(c);
  return {};
}

}  // namespace

void registerActivation(KernelTable& t) {
  t.set("swiglu", swiglu);
  t.set("swigluBackward", swigluBackward);
}

}  // namespace callgrad::cpu::CG_ISA
