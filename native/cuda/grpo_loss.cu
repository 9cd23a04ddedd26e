// The GRPO losses on per-token log-probs: loss, gradient and what the metrics need, in one launch.
//
// logprob, old, reference, weight, loss, dLogprob f32 [T], mask u8 [T]; offsets i32 [S + 1];
// advantage f32 [S]; stats f32 [S, 7]. The formulas are core/grpo_math.h's, in float64.
//
// A block takes a completion, a thread every kBlock-th of its tokens. Losses whose token weight or
// ratio is the completion's (grpo, sapo, vespo, anything at sequence level) walk its tokens twice:
// sums first, in float64 and in an order that depends on the completion's length alone, then each
// token. Where a completion lies, and what else is in the launch, changes no bit, so the
// microbatches of an update have the bits of the whole; there are no atomics.
//
// Traffic: each input that is given once, 8 bytes written a token and 28 a completion. Between two
// walks the first kKept tokens stay in shared memory; those beyond are read again, from L2. Limited
// by latency at the sizes of an update: the bytes of 32,768 tokens, less than a megabyte, move in
// less time than a launch takes, and a block walks 1,024 tokens in four steps. On GPUs with few
// float64 units (sm_120: 1 in 64) by exp, about 40 float64 operations each, one a token and another
// with a KL term.
//
// Tried: tokens in registers between the walks (each formula is then inlined once for every one of
// them). Not taken: float32 with expm1 (k3 of a KL of 1e-5 has two digits left); several short
// completions a block (the order of a sum would depend on how they are packed).
#include "core/grpo_math.h"
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr int kBlock = 256, kWarps = kBlock / kWarp;
constexpr int kKept = 2048;  // tokens in shared memory between the two walks: 40 KB

// Sums over the block in a fixed order; every thread gets them. Ends with a barrier.
template <int kCount>
CG_DEVICE void blockSums(double (&v)[kCount]) {
  CG_SHARED(double, part, [kCount][kWarps]);
  const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
  for (int i = 0; i < kCount; i++) {
    v[i] = warpSum(v[i]);
    if (lane == 0) part[i][warp] = v[i];
  }
  __syncthreads();
  for (int i = 0; i < kCount; i++) v[i] = warpSum(lane < kWarps ? part[i][lane] : 0.0);
  __syncthreads();
}

// Whether entries i and i + 1 of the offsets are those of a completion; reports the first that
// is not.
CG_DEVICE bool offsetsFit(const int32_t* offsets, int64_t i, int64_t completions, int64_t tokens,
                          const ErrorSlot& errors) {
  const int32_t begin = offsets[i], end = completions ? offsets[i + 1] : begin;
  const bool badBegin = i == 0 && begin != 0;
  const bool badEnd = end < begin || end > tokens || (i + 1 >= completions && end != tokens);
  if (threadIdx.x == 0 && badBegin) reportFault(errors, Fault::kOffset, 0, begin, tokens);
  if (threadIdx.x == 0 && badEnd && completions)
    reportFault(errors, Fault::kOffset, i + 1, end, tokens);
  return !badBegin && !badEnd && begin >= 0;
}

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    grpoLossKernel(grpo::Vectors v, const float* advantage, RowsOf<float> stats,
                   const int32_t* offsets, int64_t completions, int64_t tokens, grpo::Settings s,
                   ErrorSlot errors) {
  const int64_t i = blockIdx.x;
  if (!offsetsFit(offsets, i, completions, tokens, errors) || completions == 0) return;
  const int64_t begin = offsets[i], end = offsets[i + 1], first = begin + threadIdx.x;

  // A thread writes and reads entries of its own alone.
  CG_SHARED(grpo::Token, kept, [kKept]);
  const bool twice = grpo::needsSums(s);
  grpo::Sums sums{};
  if (twice) {
    for (int64_t t = first; t < end; t += kBlock) {
      const grpo::Token token = v.at(t);
      if (t - begin < kKept) kept[t - begin] = token;
      grpo::addToken(sums, s, token);
    }
    double all[] = {sums.tokens, sums.logRatio,   sums.weight,
                    sums.k3,     sums.vespoRatio, sums.logWeight};
    blockSums(all);
    sums = {all[0], all[1], all[2], all[3], all[4], all[5]};
  }
  const grpo::Completion c = grpo::completionOf(s, advantage[i], sums);

  double total[grpo::kPhi] = {};
  for (int64_t t = first; t < end; t += kBlock)
    grpo::finishToken(total, s, c, v, t, twice && t - begin < kKept ? kept[t - begin] : v.at(t));
  if (s.sequenceLevel && threadIdx.x == 0) grpo::countClipped(total, s, c, c.ratio);
  blockSums(total);
  if (threadIdx.x != 0) return;
  float* row = stats.at(i);
  for (int k = 0; k < grpo::kPhi; k++) row[k] = float(total[k]);
  row[grpo::kPhi] = float(c.phi);
}

Status grpoLoss(const OpCall& c, KernelContext& context) {
  const int64_t tokens = c.in[0].shape[0], completions = c.in[2].shape[0];
  return launch(*context.gpu, "grpoLoss", grpoLossKernel,
                dim3(unsigned(completions ? completions : 1)), dim3(kBlock), 0, grpo::vectorsOf(c),
                c.in[2].as<float>(), wholeRows<float>(c.out[2]), c.in[1].as<int32_t>(), completions,
                tokens, grpo::settingsOf(c.attr), *context.deviceErrors);
}

}  // namespace

void registerGrpoLoss(KernelTable& t) { t.set("grpoLoss", grpoLoss); }

}  // namespace callgrad::gpu
