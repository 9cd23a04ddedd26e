// The GRPO losses on the CPU: completions run in parallel, the tokens of one in order; a second
// walk over them, in the cache, where the completion's sums decide what a token counts for. The
// formulas are core/grpo_math.h's. Limited by exp: one a token, and one more with a KL term.
#include <algorithm>

#include "core/grpo_math.h"
#include "core/parallel.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kTokensPerThread = 1024;  // below, a second thread costs more than it brings

struct Vectors {
  const float *logprob, *old, *reference, *weight;
  const uint8_t* mask;
  float *loss, *dLogprob;

  explicit Vectors(const OpCall& c)
      : logprob(c.in[0].as<float>()),
        old(c.in[3].present() ? c.in[3].as<float>() : logprob),
        reference(c.in[4].present() ? c.in[4].as<float>() : logprob),
        weight(c.in[6].present() ? c.in[6].as<float>() : nullptr),
        mask(c.in[5].present() ? c.in[5].as<uint8_t>() : nullptr),
        loss(c.out[0].as<float>()),
        dLogprob(c.out[1].as<float>()) {}

  grpo::Token at(int64_t t) const {
    return {logprob[t], old[t], reference[t], weight ? weight[t] : 1.0f, !mask || mask[t] != 0};
  }
};

Status checkOffsets(const int32_t* offsets, int64_t completions, int64_t tokens) {
  for (int64_t i = 0; i <= completions; i++) {
    const int64_t at = offsets[i];
    const bool bad = at < (i ? int64_t(offsets[i - 1]) : 0) || at > tokens || (i == 0 && at != 0) ||
                     (i == completions && at != tokens);
    if (bad)
      return error(Code::kRange,
                   "[grpoLoss] expected offsets that rise from 0 to %ld, got %ld at %ld",
                   long(tokens), long(at), long(i));
  }
  return {};
}

void completionLoss(const grpo::Settings& s, const Vectors& v, int64_t begin, int64_t end,
                    float advantage, float* stats) {
  grpo::Sums sums{};
  if (grpo::needsSums(s))
    for (int64_t t = begin; t < end; t++) grpo::addToken(sums, s, v.at(t));
  const grpo::Completion c = grpo::completionOf(s, advantage, sums);
  double total[grpo::kStats] = {};
  const auto look = [&](double ratio) {
    const grpo::Clipped clipped = grpo::clippedAt(s, c.advantage, ratio);
    total[grpo::kLowClipped] += clipped.low;
    total[grpo::kHighClipped] += clipped.high;
    total[grpo::kCispoClipped] += clipped.cispo;
  };
  for (int64_t t = begin; t < end; t++) {
    const grpo::Token token = v.at(t);
    grpo::TokenResult r{};
    if (token.counts) {
      const double ratio = grpo::ratioOf(s, c, token);
      r = grpo::tokenOf(s, c, token, ratio);
      total[grpo::kLoss] += r.loss;
      total[grpo::kTokens] += 1;
      total[grpo::kKl] += r.kl;
      if (!s.sequenceLevel) look(ratio);
    }
    v.loss[t] = float(r.loss);
    v.dLogprob[t] = float(r.gradient);
  }
  if (s.sequenceLevel) look(c.ratio);
  total[grpo::kPhi] = c.phi;
  for (int i = 0; i < grpo::kStats; i++) stats[i] = float(total[i]);
}

Status grpoLoss(const OpCall& c, KernelContext&) {
  const int64_t tokens = c.in[0].shape[0], completions = c.in[2].shape[0];
  const int32_t* offsets = c.in[1].as<int32_t>();
  CG_RETURN_IF_ERROR(checkOffsets(offsets, completions, tokens));
  const grpo::Settings s = grpo::settingsOf(c.attr);
  const Vectors v(c);
  const float* advantage = c.in[2].as<float>();
  const TensorView& stats = c.out[2];
  const int64_t grain = std::max<int64_t>(1, kTokensPerThread * completions / (tokens + 1));
  parallelFor(completions, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      completionLoss(s, v, offsets[i], offsets[i + 1], advantage[i],
                     stats.as<float>() + i * stats.rowStride);
  });
  return {};
}

}  // namespace

void registerGrpoLoss(KernelTable& t) { t.set("grpoLoss", grpoLoss); }

}  // namespace callgrad::cpu::CG_ISA
