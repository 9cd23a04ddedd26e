// Gradient norm, clipping and AdamW on the CPU. Bandwidth-bound: AdamW reads four arrays and writes
// three (and the bf16 copy) once each.
#include <cmath>
#include <limits>

#include "cpu/kernels/families.h"
#include "cpu/kernels/pointwise.h"

namespace callgrad::cpu::CG_ISA {
namespace {

typedef float Half __attribute__((vector_size(32)));
typedef double Wide __attribute__((vector_size(64)));

// Squares of floats are exact in double; the sum of one piece in a fixed order.
template <typename T>
double squaresOf(const T* x, int64_t count) {
  Wide sum[4] = {};
  int64_t step = 0;
  overLanes(count, [&](int64_t i, int n) {
    const Vec v = loadLanes(x + i, n);
    Half half[2];
    memcpy(half, &v, sizeof v);
    Wide* s = sum + 2 * (step++ & 1);
    for (int k = 0; k < 2; k++) {
      const Wide w = __builtin_convertvector(half[k], Wide);
      s[k] += w * w;
    }
  });
  const Wide total = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  double all = 0;
  for (int k = 0; k < 8; k++) all += total[k];
  return all;
}

Status sumSquares(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &into = c.in[1];
  const Pieces pieces({&x});
  double* partial = context.scratch.get<double>(size_t(pieces.count));
  pieces.run([&](int64_t piece, int64_t row, int64_t column, int64_t n) {
    partial[piece] = x.dtype == DType::kF32 ? squaresOf(at<float>(x, row, column), n)
                                            : squaresOf(at<BFloat16>(x, row, column), n);
  });
  double total = c.attr[0] != 0 ? double(*into.as<float>()) : 0.0;
  for (int64_t i = 0; i < pieces.count; i++) total += partial[i];
  *into.as<float>() = float(total);
  return {};
}

Status clipScale(const OpCall& c, KernelContext&) {
  const float norm = std::sqrt(*c.in[0].as<float>());
  *c.out[0].as<float>() = norm;
  const float factor = float(c.attr[0]) / (norm + 1e-6f);
  *c.out[1].as<float>() = !std::isfinite(norm) ? std::numeric_limits<float>::quiet_NaN()
                          : factor < 1.0f      ? factor
                                               : 1.0f;
  return {};
}

template <typename T>
void scaleOf(const TensorView& x, float by) {
  Pieces({&x}).run([&](int64_t, int64_t row, int64_t column, int64_t count) {
    T* p = at<T>(x, row, column);
    overLanes(count, [&](int64_t i, int n) { storeLanes(p + i, loadLanes(p + i, n) * by, n); });
  });
}

Status scale(const OpCall& c, KernelContext&) {
  const float by = *c.in[1].as<float>();
  c.in[0].dtype == DType::kF32 ? scaleOf<float>(c.in[0], by) : scaleOf<BFloat16>(c.in[0], by);
  return {};
}

Status adamw(const OpCall& c, KernelContext&) {
  const TensorView &param = c.in[0], &compute = c.in[5];
  const float gradScale = c.in[4].present() ? *c.in[4].as<float>() : 1.0f;
  if (!std::isfinite(gradScale)) return {};
  const double lr = c.attr[0], beta1 = c.attr[1], beta2 = c.attr[2], step = c.attr[5];
  const float shrink = float(1 - lr * c.attr[4]), eps = float(c.attr[3]);
  const float keepV = float(beta2), newM = float(1 - beta1), newV = float(1 - beta2);
  const float stepSize = float(lr / (1 - std::pow(beta1, step)));
  const float correction = float(std::sqrt(1 - std::pow(beta2, step)));
  float *p = param.as<float>(), *m = c.in[1].as<float>(), *v = c.in[2].as<float>();
  const float* g = c.in[3].as<float>();
  BFloat16* copy = compute.present() ? compute.as<BFloat16>() : nullptr;
  Pieces({&param}).run([&](int64_t, int64_t, int64_t column, int64_t count) {
    overLanes(count, [&](int64_t i, int n) {
      i += column;
      const Vec grad = loadLanes(g + i, n) * gradScale, m0 = loadLanes(m + i, n);
      const Vec m1 = fma(grad - m0, splat(newM), m0);
      const Vec v1 = fma(grad * newV, grad, loadLanes(v + i, n) * keepV);
      const Vec p1 = loadLanes(p + i, n) * shrink - m1 / (sqrt(v1) / correction + eps) * stepSize;
      storeLanes(m + i, m1, n);
      storeLanes(v + i, v1, n);
      storeLanes(p + i, p1, n);
      if (copy) storeLanes(copy + i, p1, n);
    });
  });
  return {};
}

}  // namespace

void registerOptimizer(KernelTable& t) {
  t.set("sumSquares", sumSquares);
  t.set("clipScale", clipScale);
  t.set("scale", scale);
  t.set("adamw", adamw);
}

}  // namespace callgrad::cpu::CG_ISA
