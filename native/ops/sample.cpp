// Drawing tokens from logits: shapes and checks.
#include "ops/op_table.h"

namespace callgrad {
namespace {

Status inferSample(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &logits = c.in[0], &keys = c.in[1], &positions = c.in[2];
  CG_RETURN_IF_ERROR(expectRank("logits", logits, 2));
  const int64_t rows = logits.shape[0];
  if (logits.shape[1] == 0)
    return error(Code::kShape, "expected logits of at least one token, got none");
  CG_RETURN_IF_ERROR(expectShape("keys", keys, {rows, 4}));
  CG_RETURN_IF_ERROR(expectShape("positions", positions, {rows}));
  const double temperature = c.attr[0], topK = c.attr[1], topP = c.attr[2], minP = c.attr[3];
  if (!(temperature >= 0) || temperature > 3e38)
    return error(Code::kRange, "expected a temperature of at least 0, got %g", temperature);
  if (topK < 0)
    return error(Code::kRange, "expected topK of at least 0 (0: no limit), got %g", topK);
  if (!(topP > 0 && topP <= 1)) return error(Code::kRange, "expected topP in (0, 1], got %g", topP);
  if (!(minP >= 0 && minP <= 1))
    return error(Code::kRange, "expected minP in [0, 1], got %g", minP);
  out[0].set(DType::kI32, {rows});
  out[1].set(DType::kF32, {rows});
  return {};
}

Cost costSample(const OpCall& c) { return {bytesOf(c.in[0]), 0}; }

}  // namespace

void declareSampleOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"sample",
       "Draws a token per row by inverse CDF from one Philox uniform, after temperature, topK, "
       "topP and minP in "
       "this order (equal probabilities rank by lower index; topP keeps the shortest ranked prefix "
       "whose mass "
       "reaches it; minP is relative to the largest probability). Temperature 0 takes the largest "
       "logit, the "
       "lowest index of equals. A row with a NaN, with +inf, or with nothing finite is an error.",
       {{"logits", kF32Bit, kStrided, "[B, V]"},
        {"keys", kI32Bit, kPlain,
         "[B, 4]: two words of the seed, then two that tell rows apart (prompt, sample)"},
        {"positions", kI32Bit, kPlain,
         "[B], the token's position: a draw depends on (key, position) only"}},
       {{"token", "[B] i32"},
        {"logprob",
         "[B] f32, log-softmax(logits / temperature) of the token before any filter (temperature "
         "0: "
         "of temperature 1), bit for bit linearLogprob's"}},
       {{"temperature", AttrKind::kFloat, 1, "divides the logits; 0 is greedy"},
        {"topK", AttrKind::kInt, 0, "keep the K most probable tokens; 0 keeps all"},
        {"topP", AttrKind::kFloat, 1, "keep the smallest set of this mass"},
        {"minP", AttrKind::kFloat, 0,
         "keep tokens of at least this share of the largest probability"}},
       inferSample,
       costSample});
}

}  // namespace callgrad
