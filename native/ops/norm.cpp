// RMSNorm: shapes and checks. Rows may be heads too: x [T, H, D] is normalised over D (Qwen3's
// query and key norm).
#include <cmath>

#include "ops/op_table.h"

namespace callgrad {
namespace {

int64_t lastDim(const TensorView& t) { return t.rank ? t.shape[t.rank - 1] : 0; }

void like(const TensorView& t, OutputSpec* out) {
  out->dtype = t.dtype;
  out->rank = t.rank;
  for (int i = 0; i < t.rank; i++) out->shape[i] = t.shape[i];
}

// Statistics have one element per normalised row.
int64_t rowsOf(const TensorView& x) {
  int64_t n = 1;
  for (int i = 0; i + 1 < x.rank; i++) n *= x.shape[i];
  return n;
}

Status inferRmsNorm(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &x = c.in[0], &w = c.in[1], &residual = c.in[2];
  if (x.rank < 2)
    return error(Code::kShape, "expected x of shape [T, D] or [T, H, D], got %s",
                 x.shapeText().c_str());
  CG_RETURN_IF_ERROR(expectShape("w", w, {lastDim(x)}));
  if (!(c.attr[0] >= 0) || std::isinf(c.attr[0]))
    return error(Code::kRange, "expected eps to be a finite number of at least 0, got %g",
                 c.attr[0]);
  if (residual.present()) {
    CG_RETURN_IF_ERROR(expectSameShape("x", x, "residual", residual));
    CG_RETURN_IF_ERROR(expectSameDType("x", x, "residual", residual));
    like(x, &out[2]);
  }
  like(x, &out[0]);
  out[1].set(DType::kF32, {rowsOf(x)});
  return {};
}

Status inferRmsNormBackward(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &dy = c.in[0], &s = c.in[1], &w = c.in[2], &rstd = c.in[3], &dw = c.in[4],
                   &dSum = c.in[5];
  if (dy.rank < 2)
    return error(Code::kShape, "expected dy of shape [T, D] or [T, H, D], got %s",
                 dy.shapeText().c_str());
  CG_RETURN_IF_ERROR(expectSameShape("dy", dy, "s", s));
  CG_RETURN_IF_ERROR(expectSameDType("dy", dy, "s", s));
  CG_RETURN_IF_ERROR(expectShape("w", w, {lastDim(dy)}));
  CG_RETURN_IF_ERROR(expectShape("rstd", rstd, {rowsOf(dy)}));
  if (dw.present()) CG_RETURN_IF_ERROR(expectShape("dw", dw, {lastDim(dy)}));
  if (dSum.present()) {
    CG_RETURN_IF_ERROR(expectSameShape("dy", dy, "dSum", dSum));
    CG_RETURN_IF_ERROR(expectSameDType("dy", dy, "dSum", dSum));
  }
  like(dy, &out[0]);
  return {};
}

Cost costRmsNorm(const OpCall& c) {
  double bytes = 0;
  for (int i = 0; i < 3; i++) bytes += bytesOf(c.in[i]) + bytesOf(c.out[i]);
  return {bytes, double(c.in[0].numel()) * (c.in[2].present() ? 5 : 4)};
}

Cost costRmsNormBackward(const OpCall& c) {
  double bytes = bytesOf(c.out[0]) + bytesOf(c.in[4]);  // dw is read and written
  for (int i = 0; i < 6; i++) bytes += bytesOf(c.in[i]);
  return {bytes, double(c.in[0].numel()) * (c.in[4].present() ? 11 : 8)};
}

}  // namespace

void declareNormOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"rmsNorm",
       "RMSNorm over the last dimension, after adding a residual if one is given: s = x + "
       "residual, "
       "y = s / sqrt(mean(s^2) + eps) * w. Statistics are taken in fp32 from the rounded sum.",
       {{"x", kFloatBits, kStrided, "[T, D] or [T, H, D]"},
        {"w", kFloatBits, kPlain, "[D]"},
        {"residual", kFloatBits, kOptional | kStrided, "like x"}},
       {{"y", "like x"},
        {"rstd", "1 / rms of each row, f32 [T] or [T * H]"},
        {"sum", "x + residual, like x; absent without a residual"}},
       {{"eps", AttrKind::kFloat, 1e-6, "added to the mean square"}},
       inferRmsNorm,
       costRmsNorm});
  t.push_back({"rmsNormBackward",
               "Gradient of rmsNorm: dx = rstd * (w dy - s rstd^2 mean(s w dy)) + dSum, which is "
               "the gradient of x "
               "and of the residual. dw gains the sum over rows of dy s rstd.",
               {{"dy", kFloatBits, kStrided, "[T, D] or [T, H, D]"},
                {"s", kFloatBits, kStrided, "what was normalised: x, or the forward's sum"},
                {"w", kFloatBits, kPlain, "[D]"},
                {"rstd", kF32Bit, kPlain, "the forward's, [T] or [T * H]"},
                {"dw", kF32Bit, kOptional | kInout,
                 "[D], accumulated into, in an order that threads do not change"},
                {"dSum", kFloatBits, kOptional | kStrided,
                 "gradient that reaches the sum directly, like dy"}},
               {{"dx", "like dy"}},
               {},
               inferRmsNormBackward,
               costRmsNormBackward});
}

}  // namespace callgrad
