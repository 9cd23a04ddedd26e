// RMSNorm forward (with a residual added first) and backward on the CPU.
//
// x, residual, y, sum: rows of D elements, dense inside a row of dimension 0, f32 or bf16; w: [D],
// f32 or bf16, widened once per call; rstd: f32, one per row. Forward: one pass over memory, the
// row stays in the L1 cache between its two reads. Backward: one pass over memory; dw is summed per
// block of rows into scratch, then over blocks in order, so its bits do not depend on threads.
#include <algorithm>
#include <cmath>

#include "cpu/kernels/families.h"
#include "cpu/kernels/pointwise.h"

namespace callgrad::cpu::CG_ISA {
namespace {

// The normalised rows of a [T, D] or [T, H, D] view.
struct NormRows {
  int64_t count, perOuter, width;
  explicit NormRows(const TensorView& x) {
    width = x.shape[x.rank - 1];
    perOuter = 1;
    for (int i = 1; i + 1 < x.rank; i++) perOuter *= x.shape[i];
    count = x.shape[0] * perOuter;
  }
  template <typename T>
  T* at(const TensorView& v, int64_t row) const {
    return v.as<T>() + row / perOuter * v.rowStride + row % perOuter * width;
  }
  int64_t grain() const { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)); }
};

const float* widened(const TensorView& w, Scratch& scratch) {
  if (w.dtype == DType::kF32) return w.as<float>();
  float* out = scratch.get<float>(size_t(w.numel()));
  const BFloat16* in = w.as<BFloat16>();
  overLanes(w.numel(), [&](int64_t i, int n) { storeLanes(out + i, loadLanes(in + i, n), n); });
  return out;
}

// Sum of term(i, n) over a row with four chains, to hide the latency of the additions.
template <typename Term>
inline float sumRow(int64_t width, Term&& term) {
  Vec sum[4] = {};
  int64_t i = 0;
  for (; i + 4 * kLanes <= width; i += 4 * kLanes)
    for (int k = 0; k < 4; k++) sum[k] = term(i + k * kLanes, kLanes, sum[k]);
  for (int k = 0; i < width; i += kLanes, k++)
    sum[k] = term(i, int(std::min<int64_t>(kLanes, width - i)), sum[k]);
  return sumLanes((sum[0] + sum[1]) + (sum[2] + sum[3]));
}

template <typename T>
Status rmsNormOf(const OpCall& c, Scratch& scratch) {
  const TensorView &x = c.in[0], &residual = c.in[2], &y = c.out[0], &sum = c.out[2];
  const NormRows rows(x);
  const float* w = widened(c.in[1], scratch);
  float* rstd = c.out[1].as<float>();
  const float eps = float(c.attr[0]), scale = 1.0f / float(rows.width);
  parallelFor(rows.count, rows.grain(), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; r++) {
      const T* s = rows.at<T>(x, r);
      float squares;
      if (residual.present()) {
        const T *px = s, *pr = rows.at<T>(residual, r);
        T* ps = rows.at<T>(sum, r);
        squares = sumRow(rows.width, [&](int64_t i, int n, Vec total) {
          storeLanes(ps + i, loadLanes(px + i, n) + loadLanes(pr + i, n), n);
          const Vec v =
              loadLanes(ps + i, n);  // rounded to T: the statistics are those of what is kept
          return fma(v, v, total);
        });
        s = ps;
      } else {
        squares = sumRow(rows.width, [&](int64_t i, int n, Vec total) {
          const Vec v = loadLanes(s + i, n);
          return fma(v, v, total);
        });
      }
      const float inverse = 1.0f / std::sqrt(squares * scale + eps);
      rstd[r] = inverse;
      T* py = rows.at<T>(y, r);
      const Vec factor = splat(inverse);
      overLanes(rows.width, [&](int64_t i, int n) {
        storeLanes(py + i, loadLanes(s + i, n) * factor * loadLanes(w + i, n), n);
      });
    }
  });
  return {};
}

Status rmsNorm(const OpCall& c, KernelContext& k) {
  return c.in[0].dtype == DType::kF32 ? rmsNormOf<float>(c, k.scratch)
                                      : rmsNormOf<BFloat16>(c, k.scratch);
}

// Rows per block of the dw sum: at most 256 blocks, so that their scratch stays small.
int64_t rowsPerBlock(int64_t rows) {
  return 64 * std::max<int64_t>(1, (rows + 64 * 256 - 1) / (64 * 256));
}

template <typename T>
Status rmsNormBackwardOf(const OpCall& c, Scratch& scratch) {
  const TensorView &dy = c.in[0], &s = c.in[1], &dw = c.in[4], &dSum = c.in[5], &dx = c.out[0];
  const NormRows rows(dy);
  const float* w = widened(c.in[2], scratch);
  const float* rstd = c.in[3].as<float>();
  const int64_t perBlock = rowsPerBlock(rows.count),
                blocks = (rows.count + perBlock - 1) / perBlock;
  const int64_t width = rows.width;
  float* partial = dw.present() ? scratch.get<float>(size_t(blocks * width)) : nullptr;
  const float scale = 1.0f / float(width);

  auto backwardRow = [&](int64_t r, float* sums) {
    const T *pdy = rows.at<T>(dy, r), *ps = rows.at<T>(s, r);
    const T* pd = dSum.present() ? rows.at<T>(dSum, r) : nullptr;
    T* pdx = rows.at<T>(dx, r);
    const float dot = sumRow(width, [&](int64_t i, int n, Vec total) {
      return fma(loadLanes(ps + i, n) * loadLanes(w + i, n), loadLanes(pdy + i, n), total);
    });
    const Vec inverse = splat(rstd[r]), along = splat(dot * rstd[r] * rstd[r] * scale);
    overLanes(width, [&](int64_t i, int n) {
      const Vec g = loadLanes(pdy + i, n), v = loadLanes(ps + i, n);
      Vec d = (loadLanes(w + i, n) * g - v * along) * inverse;
      if (sums) storeLanes(sums + i, fma(g * inverse, v, loadLanes(sums + i, n)), n);
      if (pd) d += loadLanes(pd + i, n);
      storeLanes(pdx + i, d, n);
    });
  };
  const int64_t grain = std::max<int64_t>(1, rows.grain() / perBlock);
  parallelFor(blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; b++) {
      float* sums = partial ? partial + b * width : nullptr;
      if (sums) std::fill_n(sums, width, 0.0f);
      for (int64_t r = b * perBlock; r < std::min(rows.count, (b + 1) * perBlock); r++)
        backwardRow(r, sums);
    }
  });
  if (!partial) return {};
  float* out = dw.as<float>();
  for (int64_t b = 1; b < blocks; b++)
    overLanes(width, [&](int64_t i, int n) {
      storeLanes(partial + i, loadLanes(partial + i, n) + loadLanes(partial + b * width + i, n), n);
    });
  if (blocks)
    overLanes(width, [&](int64_t i, int n) {
      storeLanes(out + i, loadLanes(out + i, n) + loadLanes(partial + i, n), n);
    });
  return {};
}

Status rmsNormBackward(const OpCall& c, KernelContext& k) {
  return c.in[0].dtype == DType::kF32 ? rmsNormBackwardOf<float>(c, k.scratch)
                                      : rmsNormBackwardOf<BFloat16>(c, k.scratch);
}

}  // namespace

void registerNorm(KernelTable& t) {
  t.set("rmsNorm", rmsNorm);
  t.set("rmsNormBackward", rmsNormBackward);
}

}  // namespace callgrad::cpu::CG_ISA
