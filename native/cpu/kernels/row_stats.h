// Log-softmax of a row of logits, in one definition for the sampler and the trainer: their
// log-probs of a token are equal bit for bit because the same blocks of the vocabulary go through
// the same lanes in the same order.
#pragma once
#include <cmath>

#include "core/sampling.h"
#include "cpu/kernels/simd.h"

namespace callgrad::cpu::CG_ISA {

// Vocabulary columns whose maximum and sums are taken together; a multiple of the lanes and of GEMM
// panels.
inline constexpr int64_t kStatsBlock = 512;

constexpr int64_t statsBlocks(int64_t vocabulary) {
  return (vocabulary + kStatsBlock - 1) / kStatsBlock;
}

// Of z = logits * scale: the maximum m, the sum of e^(z - m) and the sum of e^(z - m) (z - m).
struct BlockStats {
  float max, sum, dot;
};

inline BlockStats blockStats(const float* logits, int64_t n, float scale) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const int64_t whole = n / kLanes * kLanes;
  const int rest = int(n - whole);
  const Vec s = splat(scale);
  const Vec tail = rest ? loadPartial(logits + whole, rest, -kInf) * s : Vec{};
  Vec m = rest ? tail : splat(-kInf);
  for (int64_t i = 0; i < whole; i += kLanes) m = vmax(m, load(logits + i) * s);
  const float max = maxLanes(m);
  if (max == -kInf) {
    // Nothing finite; a NaN may still hide behind a maximum that ignores it.
    Vec sum = rest ? tail : splat(-kInf);
    for (int64_t i = 0; i < whole; i += kLanes) sum += load(logits + i) * s;
    const float total = sumLanes(sum);
    return {-kInf, total == total ? 0.0f : total, 0.0f};
  }
  Vec sum{}, dot{};
  auto add = [&](Vec z) {
    const Vec d = z - splat(max), e = exp(d);
    sum += e;
    dot = fma(e, vmax(d, splat(-128.0f)), dot);  // e is 0 there; keeps 0 * -inf out
  };
  for (int64_t i = 0; i < whole; i += kLanes) add(load(logits + i) * s);
  if (rest) add(tail);
  return {max, sumLanes(sum), sumLanes(dot)};
}

struct RowStats {
  float max;     // of z
  float logSum;  // log of the sum of e^(z - max): lse = max + logSum
  float entropy;
  float lse() const { return max + logSum; }
  float logprob(float z) const { return (z - max) - logSum; }
};

inline RowStats mergeStats(const BlockStats* blocks, int64_t count) {
  double max = -std::numeric_limits<double>::infinity(), sum = 0, dot = 0;
  for (int64_t i = 0; i < count; i++) max = blocks[i].max > max ? blocks[i].max : max;
  for (int64_t i = 0; i < count; i++) {
    const BlockStats& b = blocks[i];
    if (b.sum == 0) continue;
    const double below = double(b.max) - max, weight = std::exp(below);
    sum += weight * b.sum;
    dot += weight > 0 ? weight * (b.dot + below * b.sum) : 0;
  }
  const double logSum = std::log(sum);
  return {float(max), float(logSum), float(logSum - dot / sum)};
}

}  // namespace callgrad::cpu::CG_ISA
