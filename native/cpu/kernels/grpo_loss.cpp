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

void completionLoss(const grpo::Settings& s, const grpo::Vectors& v, int64_t begin, int64_t end,
                    float advantage, float* stats) {
  grpo::Sums sums{};
  if (grpo::needsSums(s))
    for (int64_t t = begin; t < end; t++) grpo::addToken(sums, s, v.at(t));
  const grpo::Completion c = grpo::completionOf(s, advantage, sums);
  double total[grpo::kStats] = {};
  for (int64_t t = begin; t < end; t++) grpo::finishToken(total, s, c, v, t, v.at(t));
  if (s.sequenceLevel) grpo::countClipped(total, s, c, c.ratio);
  total[grpo::kPhi] = c.phi;
  for (int i = 0; i < grpo::kStats; i++) stats[i] = float(total[i]);
}

Status grpoLoss(const OpCall& c, KernelContext&) {
  const int64_t tokens = c.in[0].shape[0], completions = c.in[2].shape[0];
  const int32_t* offsets = c.in[1].as<int32_t>();
  CG_RETURN_IF_ERROR(checkOffsets(offsets, completions, tokens));
  const grpo::Settings s = grpo::settingsOf(c.attr);
  const grpo::Vectors v = grpo::vectorsOf(c);
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
