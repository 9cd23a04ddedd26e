// The language-model head fused with log-softmax, and its gradient: shapes and checks.
#include "ops/op_table.h"
#include "ops/weight_layout.h"

namespace callgrad {
namespace {

Status checkHead(const OpCall& c, const DeviceTraits& device) {
  const TensorView &h = c.in[0], &w = c.in[1], &targets = c.in[2];
  CG_RETURN_IF_ERROR(expectRank("h", h, 2));
  CG_RETURN_IF_ERROR(expectShape("w", w, {-1, h.shape[1]}));
  CG_RETURN_IF_ERROR(expectLayout("w", w, false, device));
  CG_RETURN_IF_ERROR(expectSameDType("h", h, "w", w));
  if (w.shape[0] == 0) return error(Code::kShape, "expected w to have at least one row, got none");
  CG_RETURN_IF_ERROR(expectShape("targets", targets, {h.shape[0]}));
  if (!(c.attr[0] >= 0) || c.attr[0] > 3e38)
    return error(Code::kRange, "expected a temperature of at least 0, got %g", c.attr[0]);
  return {};
}

Status inferForward(const OpCall& c, OutputSpec* out, const DeviceTraits& device) {
  CG_RETURN_IF_ERROR(checkHead(c, device));
  for (int i = 0; i < 3; i++) out[i].set(DType::kF32, {c.in[0].shape[0]});
  return {};
}

Status inferBackward(const OpCall& c, OutputSpec* out, const DeviceTraits& device) {
  CG_RETURN_IF_ERROR(checkHead(c, device));
  const TensorView &h = c.in[0], &w = c.in[1];
  for (int i = 3; i <= 6; i++) {
    static const char* const names[] = {"lse", "entropy", "dLogprob", "dEntropy"};
    if (c.in[i].present()) CG_RETURN_IF_ERROR(expectShape(names[i - 3], c.in[i], {h.shape[0]}));
  }
  const TensorView &transposed = c.in[7], &dw = c.in[8];
  if (transposed.present()) {
    CG_RETURN_IF_ERROR(expectSameShape("w", w, "wTransposed", transposed));
    CG_RETURN_IF_ERROR(expectSameDType("w", w, "wTransposed", transposed));
    CG_RETURN_IF_ERROR(expectLayout("wTransposed", transposed, true, device));
  } else if (w.layout) {
    return error(
        Code::kType,
        "expected wTransposed (w plain, or packed with transposed) beside a packed w, got none");
  }
  if (dw.present()) CG_RETURN_IF_ERROR(expectSameShape("w", w, "dw", dw));
  out[0].set(h.dtype, {h.shape[0], h.shape[1]});
  return {};
}

double rows(const OpCall& c) { return double(c.in[0].shape[0]); }
Cost costForward(const OpCall& c) {
  return {bytesOf(c.in[0]) + bytesOf(c.in[1]) + 16 * rows(c),
          2 * rows(c) * double(c.in[1].numel())};
}
Cost costBackward(const OpCall& c) {
  const double products = c.in[8].present() ? 3 : 2;
  return {2 * bytesOf(c.in[0]) + 2 * bytesOf(c.in[1]) + 2 * bytesOf(c.in[8]) + 20 * rows(c),
          2 * products * rows(c) * double(c.in[1].numel())};
}

}  // namespace

void declareLinearLogprobOps(std::vector<OpDecl>& t) {
  t.push_back({"linearLogprob",
               "Log-softmax(h W^T / temperature) at each row's target, the row's log-sum-exp and "
               "its entropy, without "
               "ever holding a batch of logits. Temperature 0 counts as 1.",
               {{"h", kFloatBits, kStrided, "[T, D], hidden rows"},
                {"w", kFloatBits, kStrided | kPacked, "[V, D], plain or packed"},
                {"targets", kI32Bit, kPlain, "[T], each in [0, V)"}},
               {{"logprob", "[T] f32, log p(target)"},
                {"lse", "[T] f32, log-sum-exp of logits / temperature"},
                {"entropy", "[T] f32, of the whole distribution, in nats"}},
               {{"temperature", AttrKind::kFloat, 1, "divides the logits"}},
               inferForward,
               costForward});
  t.push_back({"linearLogprobBackward",
               "Gradients of linearLogprob from those of logprob and entropy; logits are "
               "recomputed. Rows whose upstream "
               "gradients are both zero are left out and get dh = 0.",
               {{"h", kFloatBits, kStrided, "[T, D]"},
                {"w", kFloatBits, kStrided | kPacked, "[V, D], plain or packed"},
                {"targets", kI32Bit, kPlain, "[T]"},
                {"lse", kF32Bit, kPlain, "[T], of linearLogprob"},
                {"entropy", kF32Bit, kPlain, "[T], of linearLogprob"},
                {"dLogprob", kF32Bit, kPlain, "[T]"},
                {"dEntropy", kF32Bit, kOptional, "[T]"},
                {"wTransposed", kFloatBits, kOptional | kStrided | kPacked,
                 "[V, D], packed with transposed or plain; needed when w is packed"},
                {"dw", kF32Bit, kOptional | kInout | kStrided,
                 "[V, D], added to; left out for a frozen head"}},
               {{"dh", "[T, D] of h's dtype"}},
               {{"temperature", AttrKind::kFloat, 1, "as in linearLogprob"}},
               inferBackward,
               costBackward});
}

}  // namespace callgrad
