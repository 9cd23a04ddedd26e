// The GRPO losses on log-probs: shapes and checks.
#include <cmath>

#include "core/grpo_math.h"
#include "ops/op_table.h"

namespace callgrad {
namespace {

Status inferGrpoLoss(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &logprob = c.in[0], &offsets = c.in[1];
  CG_RETURN_IF_ERROR(expectRank("logprob", logprob, 1));
  CG_RETURN_IF_ERROR(expectRank("offsets", offsets, 1));
  const int64_t tokens = logprob.shape[0], completions = offsets.shape[0] - 1;
  if (completions < 0)
    return error(Code::kShape, "expected offsets of at least one element, got none");
  if (completions == 0 && tokens > 0)
    return error(Code::kShape, "expected offsets of two elements or more for %ld tokens, got one",
                 long(tokens));
  CG_RETURN_IF_ERROR(expectShape("advantage", c.in[2], {completions}));
  static const char* const names[] = {"old", "reference", "mask", "weight"};
  for (int i = 3; i < 7; i++)
    if (c.in[i].present()) CG_RETURN_IF_ERROR(expectShape(names[i - 3], c.in[i], {tokens}));
  const double* a = c.attr;
  if (!(a[grpo::kSurrogate] >= 0 && a[grpo::kSurrogate] < int(grpo::Surrogate::kCount)))
    return error(Code::kRange, "expected surrogate in [0, %d), got %g",
                 int(grpo::Surrogate::kCount), a[grpo::kSurrogate]);
  if (!std::isfinite(a[grpo::kTokenWeight]))
    return error(Code::kRange, "expected a finite tokenWeight, got %g", a[grpo::kTokenWeight]);
  if (!(a[grpo::kBeta] >= 0) || std::isinf(a[grpo::kBeta]))
    return error(Code::kRange, "expected beta to be a finite number of at least 0, got %g",
                 a[grpo::kBeta]);
  for (int i = 0; i < grpo::kAttrs; i++)
    if (std::isnan(a[i])) return error(Code::kRange, "expected numbers as settings, got NaN");
  if (a[grpo::kBeta] > 0 && !c.in[4].present())
    return error(Code::kType, "expected reference because beta is above 0, got none");
  out[0].set(DType::kF32, {tokens});
  out[1].set(DType::kF32, {tokens});
  out[2].set(DType::kF32, {completions, grpo::kStats});
  return {};
}

}  // namespace

void declareGrpoLossOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"grpoLoss",
       "Every GRPO loss and its gradient from per-token log-probs. Completion i owns tokens "
       "[offsets[i], offsets[i + 1]). Arithmetic in float64; a completion's results depend on its "
       "own tokens and tokenWeight only, so the parts of an update that was cut between "
       "completions have the bits of the whole. NaN in a token that counts reaches its loss; what "
       "a masked token holds is ignored, but for vespo's weight.",
       {{"logprob", kF32Bit, kPlain, "[T], under the weights that are being updated"},
        {"offsets", kI32Bit, kPlain, "[S + 1], rising from 0 to T; completions may be empty"},
        {"advantage", kF32Bit, kPlain, "[S]"},
        {"old", kF32Bit, kOptional,
         "[T], under the weights that drew the completions; default: logprob itself, every ratio "
         "is 1"},
        {"reference", kF32Bit, kOptional, "[T], under the frozen reference; needed for beta > 0"},
        {"mask", kU8Bit, kOptional, "[T], 0 takes a token out"},
        {"weight", kF32Bit, kOptional,
         "[T], correction for the mismatch of sampler and trainer, 1 at masked tokens"}},
       {{"loss", "[T] f32, each token's part of the loss, 0 where masked; their sum is the loss"},
        {"dLogprob", "[T] f32, d loss / d logprob, 0 where masked"},
        {"stats",
         "[S, 7] f32, of each completion: loss, tokens that count, sum of KL, ratios clipped "
         "below, ratios clipped above, ratios over cispo's bound, vespo's weight"}},
       {{"tokenWeight", AttrKind::kFloat, 1,
         "what each token counts for: 1 over the tokens, or completions, of the whole update",
         true},
        {"surrogate", AttrKind::kInt, 0, "0 clip, 1 cispo, 2 sapo, 3 vespo"},
        {"completionMean", AttrKind::kBool, 0, "divide tokenWeight by the completion's tokens"},
        {"sequenceLevel", AttrKind::kBool, 0,
         "one importance ratio a completion: the geometric mean of its tokens'"},
        {"epsilon", AttrKind::kFloat, 0.2, "ratios are clipped at 1 - epsilon"},
        {"epsilonHigh", AttrKind::kFloat, 0.2,
         "ratios are clipped at 1 + epsilonHigh; for cispo the bound itself"},
        {"delta", AttrKind::kFloat, HUGE_VAL, "bound on the ratio of the unclipped branch"},
        {"beta", AttrKind::kFloat, 0, "weight of k3 = exp(reference - logprob) - ... - 1"},
        {"useBiasCorrectionKl", AttrKind::kBool, 1, "multiply k3 by the importance ratio"},
        {"sapoTemperaturePos", AttrKind::kFloat, 1, "for advantages above 0"},
        {"sapoTemperatureNeg", AttrKind::kFloat, 1.05, "for the others"},
        {"vespoKPos", AttrKind::kFloat, 2, "for advantages of at least 0"},
        {"vespoLambdaPos", AttrKind::kFloat, 3, "for advantages of at least 0"},
        {"vespoKNeg", AttrKind::kFloat, 3, "for the others"},
        {"vespoLambdaNeg", AttrKind::kFloat, 2, "for the others"}},
       inferGrpoLoss,
       [](const OpCall& c) -> Cost {
         const double tokens = double(c.in[0].numel());
         double bytes = 8 * tokens + 4.0 * int(grpo::kStats) * double(c.in[2].numel());
         for (int i = 0; i < 7; i++) bytes += bytesOf(c.in[i]);
         return {bytes, 20 * tokens};
       }});
}

}  // namespace callgrad
