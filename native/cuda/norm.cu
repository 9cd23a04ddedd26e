// RMSNorm with a fused residual, and its backward.
//
// Layouts: x, residual, y, sum, dy, s, dSum, dx are rows of D elements (tokens, or heads of tokens:
// [T, H, D]), f32 or bf16, strided in dimension 0; w [D]; rstd f32, one per row; dw f32 [D].
//
// A team of threads takes one row (a warp up to 512 elements, a block beyond) and keeps it in
// registers between the sum of squares and the scaling, so each element is read once and written
// once: 2 (3 with a residual, which also writes the sum) elements of traffic, the least there is.
// w is read once a row by accesses as wide as the row's, from L1 after a block's first.
// Backward: a team walks kRowsPerTeam rows and keeps its columns of dw in registers; partial sums
// go to scratch once a team and are added up from there (parts.cu). That is 8 bytes a column and
// team: 4 % of the traffic of bf16 rows at 32 rows a team. Limited by memory.
//
// Rows that do not fit a team's registers (over 16,384 aligned bf16 elements, 4,096 unaligned f32)
// are read again instead of kept, and their dw adds up in scratch.
//
// Tried: dw by a second pass over dy and s (no scratch): 2 of 4 reads twice.
#include "cuda/families.h"
#include "cuda/parts.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr int kRowsPerTeam = 32, kMostTeams = 4096;
constexpr int kBlock = 256;

// Sum over the kTeam threads (32 or kBlock) that share a row.
template <int kTeam>
CG_DEVICE float teamSum(float v) {
  if constexpr (kTeam == kWarp)
    return warpSum(v);
  else
    return blockSum<kTeam>(v);
}

template <int kWidth, typename T>
CG_DEVICE void roundTo(float (&v)[kWidth]) {
  if constexpr (sizeof(T) == 2) CG_UNROLL
  for (int i = 0; i < kWidth; i++) v[i] = toFloat(fromFloat<T>(v[i]));
}

// w is f32 or bf16 whatever the rows are.
struct Weights {
  const void* data;
  bool half;
  template <int kWidth>
  CG_DEVICE void at(float (&out)[kWidth], int i) const {
    if (half)
      read(out, static_cast<const BFloat16*>(data) + i);
    else
      read(out, static_cast<const float*>(data) + i);
  }
};

struct NormArguments {
  int64_t rows;
  int32_t width;
  float eps;
  Weights w;
  float* rstd;
};

template <typename T, int kTeam, int kWidth, int kKept>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    rmsNormKernel(RowsOf<T> x, RowsOf<T> residual, RowsOf<T> sum, RowsOf<T> y, NormArguments a) {
  constexpr int kTeams = kBlock / kTeam;
  const int team = int(threadIdx.x) / kTeam, member = int(threadIdx.x) % kTeam;
  const int64_t row = int64_t(blockIdx.x) * kTeams + team;
  if (row >= a.rows) return;  // whole teams leave: a team is a warp, or the block
  const T* from = x.at(row);
  const T* add = residual.data ? residual.at(row) : nullptr;
  T* total = add ? sum.at(row) : nullptr;

  float kept[kKept][kWidth];
  float squares = 0;
  // Elements member, member + kTeam, ... in units of kWidth; the first kKept stay in registers.
  const auto visit = [&](int c, float(&v)[kWidth]) {
    read(v, from + c);
    if (add) {
      float r[kWidth];
      read(r, add + c);
      CG_UNROLL
      for (int i = 0; i < kWidth; i++) v[i] += r[i];
      write(total + c, v);
      roundTo<kWidth, T>(v);  // the statistics are those of what is kept
    }
    CG_UNROLL
    for (int i = 0; i < kWidth; i++) squares = fmaf(v[i], v[i], squares);
  };
  CG_UNROLL
  for (int k = 0; k < kKept; k++) {
    const int c = (member + k * kTeam) * kWidth;
    if (c < a.width) visit(c, kept[k]);
  }
  for (int c = (member + kKept * kTeam) * kWidth; c < a.width; c += kTeam * kWidth) {
    float v[kWidth];
    visit(c, v);
  }
  const float inverse = 1.0f / sqrtf(teamSum<kTeam>(squares) / float(a.width) + a.eps);
  if (member == 0) a.rstd[row] = inverse;

  T* to = y.at(row);
  const auto finish = [&](int c, const float(&v)[kWidth]) {
    float out[kWidth];
    a.w.at(out, c);
    CG_UNROLL
    for (int i = 0; i < kWidth; i++) out[i] = v[i] * inverse * out[i];
    write(to + c, out);
  };
  CG_UNROLL
  for (int k = 0; k < kKept; k++) {
    const int c = (member + k * kTeam) * kWidth;
    if (c < a.width) finish(c, kept[k]);
  }
  const T* again = add ? total : from;
  for (int c = (member + kKept * kTeam) * kWidth; c < a.width; c += kTeam * kWidth) {
    float v[kWidth];
    read(v, again + c);
    finish(c, v);
  }
}

struct NormBackwardArguments {
  int64_t rows, rowsPerTeam;
  int32_t width;
  Weights w;
  const float* rstd;
  float* partial;  // [teams, width], or null without dw
};

// Two blocks an SM where a thread keeps up to 16 elements: without a bound the compiler holds w in
// registers over all rows, and only one fits.
template <typename T, int kTeam, int kWidth, int kKept>
__global__ void CG_LAUNCH_BOUNDS(kBlock, kWidth* kKept <= 16 && kWidth > 1 ? 2 : 1)
    rmsNormBackwardKernel(RowsOf<T> dy, RowsOf<T> s, RowsOf<T> dSum, RowsOf<T> dx,
                          NormBackwardArguments a) {
  constexpr int kTeams = kBlock / kTeam;
  const int member = int(threadIdx.x) % kTeam;
  const int64_t team = int64_t(blockIdx.x) * kTeams + int(threadIdx.x) / kTeam;
  const int64_t first = team * a.rowsPerTeam;
  if (first >= a.rows) return;
  const int64_t last = first + a.rowsPerTeam < a.rows ? first + a.rowsPerTeam : a.rows;
  float* partial = a.partial ? a.partial + team * a.width : nullptr;

  float dw[kKept][kWidth];
  CG_UNROLL
  for (int k = 0; k < kKept; k++) CG_UNROLL
  for (int i = 0; i < kWidth; i++) dw[k][i] = 0;

  for (int64_t row = first; row < last; row++) {
    const T *g = dy.at(row), *v = s.at(row);
    const T* extra = dSum.data ? dSum.at(row) : nullptr;
    T* to = dx.at(row);
    float gKept[kKept][kWidth], vKept[kKept][kWidth];
    float dot = 0;
    const auto visit = [&](int c, float(&gs)[kWidth], float(&vs)[kWidth]) {
      read(gs, g + c);
      read(vs, v + c);
      float w[kWidth];
      a.w.at(w, c);
      CG_UNROLL
      for (int i = 0; i < kWidth; i++) dot = fmaf(vs[i] * w[i], gs[i], dot);
    };
    CG_UNROLL
    for (int k = 0; k < kKept; k++) {
      const int c = (member + k * kTeam) * kWidth;
      if (c < a.width) visit(c, gKept[k], vKept[k]);
    }
    for (int c = (member + kKept * kTeam) * kWidth; c < a.width; c += kTeam * kWidth) {
      float gs[kWidth], vs[kWidth];
      visit(c, gs, vs);
    }
    const float inverse = a.rstd[row];
    const float along = teamSum<kTeam>(dot) * inverse * inverse / float(a.width);

    const auto finish = [&](int c, const float(&gs)[kWidth], const float(&vs)[kWidth]) {
      float out[kWidth];
      a.w.at(out, c);
      CG_UNROLL
      for (int i = 0; i < kWidth; i++) out[i] = (out[i] * gs[i] - vs[i] * along) * inverse;
      if (extra) {
        float e[kWidth];
        read(e, extra + c);
        CG_UNROLL
        for (int i = 0; i < kWidth; i++) out[i] += e[i];
      }
      write(to + c, out);
    };
    CG_UNROLL
    for (int k = 0; k < kKept; k++) {
      const int c = (member + k * kTeam) * kWidth;
      if (c < a.width) {
        finish(c, gKept[k], vKept[k]);
        CG_UNROLL
        for (int i = 0; i < kWidth; i++)
          dw[k][i] = fmaf(gKept[k][i] * inverse, vKept[k][i], dw[k][i]);
      }
    }
    for (int c = (member + kKept * kTeam) * kWidth; c < a.width; c += kTeam * kWidth) {
      float gs[kWidth], vs[kWidth];
      read(gs, g + c);
      read(vs, v + c);
      finish(c, gs, vs);
      if (partial)
        for (int i = 0; i < kWidth; i++)  // this thread's columns alone
          partial[c + i] = fmaf(gs[i] * inverse, vs[i], row == first ? 0.0f : partial[c + i]);
    }
  }
  if (!partial) return;
  CG_UNROLL
  for (int k = 0; k < kKept; k++) {
    const int c = (member + k * kTeam) * kWidth;
    if (c < a.width)
      for (int i = 0; i < kWidth; i++) partial[c + i] = dw[k][i];
  }
}

// Calls f(team, width, kept) with the shape that holds a row of `width` elements of T in registers.
template <typename T, typename F>
Status withShape(int64_t width, bool vectors, F&& f) {
  constexpr int kVector = kPerVector<T>;
  if (!vectors) {
    if (width <= 8 * kWarp) return f.template operator()<kWarp, 1, 8>();
    return f.template operator()<kBlock, 1, 16>();
  }
  if (width <= 1 * kWarp * kVector) return f.template operator()<kWarp, kVector, 1>();
  if (width <= 2 * kWarp * kVector) return f.template operator()<kWarp, kVector, 2>();
  if (width <= 1 * kBlock * kVector) return f.template operator()<kBlock, kVector, 1>();
  if (width <= 2 * kBlock * kVector) return f.template operator()<kBlock, kVector, 2>();
  return f.template operator()<kBlock, kVector, 4>();
}

Weights weights(const TensorView& w) { return {w.data, w.dtype == DType::kBF16}; }

// Whether w can be read kElements at a time, by accesses of at most 16 bytes.
template <int kElements>
bool wideWeights(const TensorView& w) {
  const size_t bytes = size_t(kElements) * dtypeSize(w.dtype);
  return reinterpret_cast<uintptr_t>(w.data) % (bytes < 16 ? bytes : 16) == 0;
}

template <typename T>
Status rmsNormOf(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &residual = c.in[2], &y = c.out[0], &sum = c.out[2];
  const int64_t width = x.shape[x.rank - 1], rows = rowCount(x);
  const NormArguments a{rows, int32_t(width), float(c.attr[0]), weights(c.in[1]),
                        c.out[1].as<float>()};
  return withShape<T>(
      width, wideWeights<kPerVector<T>>(c.in[1]) && allWide(width, 16, x, residual, y, sum),
      [&]<int kTeam, int kWidth, int kKept>() {
        return launch(*context.gpu, "rmsNorm", rmsNormKernel<T, kTeam, kWidth, kKept>,
                      dim3(unsigned(ceilDiv(rows, kBlock / kTeam))), dim3(kBlock), 0, rowsOf<T>(x),
                      rowsOf<T>(residual), rowsOf<T>(sum), rowsOf<T>(y), a);
      });
}

Status rmsNorm(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? rmsNormOf<float>(c, context)
                                      : rmsNormOf<BFloat16>(c, context);
}

template <typename T>
Status rmsNormBackwardOf(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &s = c.in[1], &dw = c.in[4], &dSum = c.in[5], &dx = c.out[0];
  const int64_t width = dy.shape[dy.rank - 1], rows = rowCount(dy);
  if (rows == 0 || width == 0) return {};
  const int64_t perTeam = kRowsPerTeam * ceilDiv(rows, int64_t(kRowsPerTeam) * kMostTeams);
  const int64_t teams = ceilDiv(rows, perTeam);
  float* partial =
      dw.present() ? context.scratch.get<float>(size_t(teams) * size_t(width)) : nullptr;
  const NormBackwardArguments a{
      rows, perTeam, int32_t(width), weights(c.in[2]), c.in[3].as<float>(), partial};
  CG_RETURN_IF_ERROR(withShape<T>(
      width, wideWeights<kPerVector<T>>(c.in[2]) && allWide(width, 16, dy, s, dSum, dx),
      [&]<int kTeam, int kWidth, int kKept>() {
        return launch(*context.gpu, "rmsNormBackward",
                      rmsNormBackwardKernel<T, kTeam, kWidth, kKept>,
                      dim3(unsigned(ceilDiv(teams, kBlock / kTeam))), dim3(kBlock), 0,
                      rowsOf<T>(dy), rowsOf<T>(s), rowsOf<T>(dSum), rowsOf<T>(dx), a);
      }));
  if (!partial) return {};
  return addParts(context, partial, teams, width, dw.as<float>());
}

Status rmsNormBackward(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? rmsNormBackwardOf<float>(c, context)
                                      : rmsNormBackwardOf<BFloat16>(c, context);
}

}  // namespace

void registerNorm(KernelTable& t) {
  t.set("rmsNorm", rmsNorm);
  t.set("rmsNormBackward", rmsNormBackward);
}

}  // namespace callgrad::gpu
