// Gradient norm, clipping and AdamW: shapes and checks.
#include <cmath>

#include "ops/op_table.h"

namespace callgrad {
namespace {

Status expectScalar(const char* where, const TensorView& t) {
  if (t.numel() == 1) return {};
  return error(Code::kShape, "expected %s of shape [1], got %s", where, t.shapeText().c_str());
}

Status inferSumSquares(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  return expectScalar("into", c.in[1]);
}

Status inferClipScale(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectScalar("sumSquares", c.in[0]));
  if (!(c.attr[0] > 0))
    return error(Code::kRange, "expected maxNorm above 0 (Infinity to clip nothing), got %g",
                 c.attr[0]);
  out[0].set(DType::kF32, {1});
  out[1].set(DType::kF32, {1});
  return {};
}

Status inferScale(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  return expectScalar("by", c.in[1]);
}

enum AdamWAttr { kLr, kBeta1, kBeta2, kEps, kWeightDecay, kStep };

Status inferAdamW(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  const char* const names[] = {"param", "m", "v", "grad", "gradScale", "compute"};
  for (int i = 1; i < 6; i++)
    if (i != 4 && c.in[i].present())
      CG_RETURN_IF_ERROR(expectSameShape("param", c.in[0], names[i], c.in[i]));
  if (c.in[4].present()) CG_RETURN_IF_ERROR(expectScalar("gradScale", c.in[4]));
  const double* a = c.attr;
  if (!std::isfinite(a[kLr])) return error(Code::kRange, "expected a finite lr, got %g", a[kLr]);
  if (!std::isfinite(a[kWeightDecay]))
    return error(Code::kRange, "expected a finite weightDecay, got %g", a[kWeightDecay]);
  if (!(a[kEps] >= 0) || std::isinf(a[kEps]))
    return error(Code::kRange, "expected eps to be a finite number of at least 0, got %g", a[kEps]);
  for (int i : {kBeta1, kBeta2})
    if (!(a[i] >= 0 && a[i] < 1))
      return error(Code::kRange, "expected beta%d in [0, 1), got %g", i, a[i]);
  if (!(a[kStep] >= 1))
    return error(Code::kRange, "expected step to count from 1, got %g", a[kStep]);
  return {};
}

}  // namespace

void declareOptimizerOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"sumSquares",
       "Sum of squares in float64 and in an order that threads do not change; NaN and infinity "
       "come through.",
       {{"x", kFloatBits, kStrided, "any shape"}, {"into", kF32Bit, kInout, "[1], written"}},
       {},
       {{"accumulate", AttrKind::kBool, 0, "add to `into` instead of overwriting it"}},
       inferSumSquares,
       [](const OpCall& c) -> Cost {
         return {bytesOf(c.in[0]), 2.0 * double(c.in[0].numel())};
       }});
  t.push_back({"clipScale",
               "Norm and the factor that clips it, by torch.nn.utils.clip_grad_norm_'s formula: "
               "min(1, maxNorm / (norm + 1e-6)). A norm that is not finite makes the scale NaN, on "
               "which adamw "
               "changes nothing.",
               {{"sumSquares", kF32Bit, kPlain, "[1]"}},
               {{"norm", "f32 [1], before clipping"}, {"scale", "f32 [1]"}},
               {{"maxNorm", AttrKind::kFloat, 1, "Infinity clips nothing", true}},
               inferClipScale,
               [](const OpCall&) -> Cost {
                 return {12, 3};
               }});
  t.push_back({"scale",
               "Multiplies every element by a factor that lies on the device.",
               {{"x", kFloatBits, kInout | kStrided, "any shape"}, {"by", kF32Bit, kPlain, "[1]"}},
               {},
               {},
               inferScale,
               [](const OpCall& c) -> Cost {
                 return {2 * bytesOf(c.in[0]), double(c.in[0].numel())};
               }});
  t.push_back(
      {"adamw",
       "One AdamW step with torch.optim.AdamW's arithmetic, in place. Nothing changes when "
       "gradScale is NaN "
       "or infinite, as clipScale makes it for a gradient that is not finite.",
       {{"param", kF32Bit, kInout, "master weights, any shape"},
        {"m", kF32Bit, kInout, "first moment, like param"},
        {"v", kF32Bit, kInout, "second moment, like param"},
        {"grad", kF32Bit, kPlain, "like param"},
        {"gradScale", kF32Bit, kOptional, "[1], multiplies the gradient"},
        {"compute", kBF16Bit, kOptional | kInout, "like param, receives the new weights rounded"}},
       {},
       {{"lr", AttrKind::kFloat, 1e-3, "learning rate", true},
        {"beta1", AttrKind::kFloat, 0.9, "decay of the first moment"},
        {"beta2", AttrKind::kFloat, 0.999, "decay of the second moment"},
        {"eps", AttrKind::kFloat, 1e-8, "added to the root of the second moment"},
        {"weightDecay", AttrKind::kFloat, 0, "decoupled: weights shrink by lr * weightDecay first"},
        {"step", AttrKind::kInt, 1, "number of this step, from 1", true}},
       inferAdamW,
       [](const OpCall& c) -> Cost {
         double bytes = bytesOf(c.in[3]) + bytesOf(c.in[5]);
         for (int i = 0; i < 3; i++) bytes += 2 * bytesOf(c.in[i]);
         return {bytes, 15.0 * double(c.in[0].numel())};
       }});
}

}  // namespace callgrad
