// Rotary position embedding on the CPU: angles from a table, rotation in place.
//
// x: [T, H, D], f32 or bf16, rows of dimension 0 strided; table: [P, D] f32, cosines then sines.
// The table makes a rotation two multiplications and an addition: a row of it serves all heads of a
// token from the L1 cache, while sines in the kernel would cost more than the rest of the op and
// need float64 at large positions.
#include <cmath>

#include "cpu/kernels/families.h"
#include "cpu/kernels/pointwise.h"

namespace callgrad::cpu::CG_ISA {
namespace {

Status ropeTable(const OpCall& c, KernelContext&) {
  const TensorView &f = c.in[0], &table = c.out[0];
  const int64_t half = f.shape[1];
  const float *high = f.as<float>(), *low = high + half;
  parallelFor(table.shape[0], std::max<int64_t>(1, 512 / std::max<int64_t>(1, half)),
              [&](int64_t begin, int64_t end) {
                for (int64_t p = begin; p < end; p++) {
                  float* row = table.as<float>() + p * table.rowStride;
                  for (int64_t j = 0; j < half; j++) {
                    const double angle = double(p) * (double(high[j]) + double(low[j]));
                    row[j] = float(std::cos(angle));
                    row[half + j] = float(std::sin(angle));
                  }
                }
              });
  return {};
}

template <typename T>
void rotate(const TensorView& x, const int32_t* positions, const TensorView& table, float sign) {
  const int64_t heads = x.shape[1], width = x.shape[2], half = width / 2;
  parallelFor(x.shape[0], std::max<int64_t>(1, kGrain / std::max<int64_t>(1, heads * width)),
              [&](int64_t begin, int64_t end) {
                for (int64_t t = begin; t < end; t++) {
                  const float* cosine = table.as<float>() + positions[t] * width;
                  const float* sine = cosine + half;
                  T* row = x.as<T>() + t * x.rowStride;
                  for (int64_t h = 0; h < heads; h++, row += width) {
                    overLanes(half, [&](int64_t i, int n) {
                      const Vec cs = loadLanes(cosine + i, n), sn = loadLanes(sine + i, n) * sign;
                      const Vec a = loadLanes(row + i, n), b = loadLanes(row + half + i, n);
                      storeLanes(row + i, a * cs - b * sn, n);
                      storeLanes(row + half + i, b * cs + a * sn, n);
                    });
                  }
                }
              });
}

Status rope(const OpCall& c, KernelContext&) {
  const TensorView &x = c.in[0], &table = c.in[2];
  const int32_t* positions = c.in[1].as<int32_t>();
  for (int64_t t = 0; t < x.shape[0]; t++)
    if (positions[t] < 0 || positions[t] >= table.shape[0])
      return error(Code::kRange, "[rope] expected positions in [0, %ld), got %d at row %ld",
                   long(table.shape[0]), positions[t], long(t));
  const float sign = c.attr[0] != 0 ? -1.0f : 1.0f;
  x.dtype == DType::kF32 ? rotate<float>(x, positions, table, sign)
                         : rotate<BFloat16>(x, positions, table, sign);
  return {};
}

}  // namespace

void registerRope(KernelTable& t) {
  t.set("ropeTable", ropeTable);
  t.set("rope", rope);
}

}  // namespace callgrad::cpu::CG_ISA
