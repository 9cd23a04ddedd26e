// The arithmetic of the GRPO losses, for every device: what one token of a completion contributes
// to the completion's sums, what follows from the sums for the completion, and a token's loss and
// gradient. In float64 on float32 inputs: exp(x) - x - 1 loses all digits of a small KL in float32,
// and vectors of a number a token are too short for the width to matter.
//
// A new loss is a case in surrogateOf(); how tokens are averaged is the caller's (`tokenWeight`).
// The same formulas stand in lib/train/losses, in TypeScript, where the trainer uses them;
// test/train/losses/on-device.test.ts compares the two.
#pragma once
#include <cmath>
#include <cstdint>

#include "ops/op_table.h"

// Inlined always: these functions are compiled for several instruction sets of one program.
#ifdef __CUDACC__
#define CG_GRPO __host__ __device__ __forceinline__
#else
#define CG_GRPO inline __attribute__((always_inline))
#endif

namespace callgrad::grpo {

enum class Surrogate : int32_t { kClip, kCispo, kSapo, kVespo, kCount };

struct Settings {
  Surrogate surrogate;
  bool completionMean;  // tokenWeight is divided by the completion's tokens
  bool sequenceLevel;   // one importance ratio for all tokens of a completion
  bool klRatio;         // KL is multiplied by the ratio
  double tokenWeight;
  double low, high;  // 1 - epsilon, 1 + epsilonHigh
  double bound;      // epsilonHigh: cispo's bound on the ratio
  double cap;        // delta
  double beta;
  double temperaturePos, temperatureNeg;    // sapo
  double kPos, lambdaPos, kNeg, lambdaNeg;  // vespo
};

struct Token {
  float logprob, old, reference, weight;
  bool counts;
};

// Over the tokens of a completion that count; `logWeight` over all of them.
struct Sums {
  double tokens, logRatio, weight, k3;  // for an importance ratio of the completion
  double vespoRatio, logWeight;         // vespo's
};

struct Completion {
  double advantage, tokenWeight;
  double ratio;   // at sequence level
  double shared;  // what each token's gradient gets through that ratio
  double phi;     // vespo's weight, else 1
};

struct TokenResult {
  double loss, gradient, kl;
};

struct Clipped {
  bool low, high, cispo;
};

struct Terms {
  double loss, viaRatio, direct;  // d loss / d log ratio, d loss / d log-prob at a constant ratio
};

// Minimum and maximum that are NaN where either side is.
CG_GRPO double least(double a, double b) { return a < b || a != a ? a : b; }
CG_GRPO double most(double a, double b) { return a > b || a != a ? a : b; }
CG_GRPO double within(double x, double low, double high) { return least(most(x, low), high); }

CG_GRPO double logRatioOf(const Token& t) { return double(t.logprob) - double(t.old); }

// k3 of Schulman's estimators of KL(policy || reference): exp(x) - x - 1 at x = reference -
// logprob.
CG_GRPO double gapOf(const Token& t) { return double(t.reference) - double(t.logprob); }

// Whether a completion needs its sums before the first of its tokens has a result.
CG_GRPO bool needsSums(const Settings& s) {
  return s.sequenceLevel || s.completionMean || s.surrogate == Surrogate::kVespo;
}

CG_GRPO void addToken(Sums& sums, const Settings& s, const Token& t) {
  constexpr double kLogLeast = -18.420680743952367, kLogMost = 20;  // ln 1e-8
  if (s.surrogate == Surrogate::kVespo)
    sums.logWeight += within(log(double(t.weight)), kLogLeast, kLogMost);
  if (!t.counts) return;
  const double logRatio = logRatioOf(t);
  sums.tokens += 1;
  sums.logRatio += logRatio;
  sums.weight += double(t.weight);
  sums.vespoRatio += within(logRatio, -20, 20);
  if (s.sequenceLevel && s.klRatio && s.beta > 0) {
    const double gap = gapOf(t);
    sums.k3 += exp(gap) - gap - 1;
  }
}

// exp(lambda + k ln W - lambda W): 1 at W = 1. What is not finite becomes 0.
CG_GRPO double vespoPhi(const Settings& s, double advantage, const Sums& sums) {
  const double k = advantage >= 0 ? s.kPos : s.kNeg;
  const double lambda = most(advantage >= 0 ? s.lambdaPos : s.lambdaNeg, 1e-4);
  const double logW = within(sums.vespoRatio + sums.logWeight, -18.420680743952367, 20);
  const double phi = exp(lambda + k * logW - lambda * exp(logW));
  return phi - phi == 0 ? phi : 0;
}

CG_GRPO Terms surrogateOf(const Settings& s, double ratio, double advantage, double logprob,
                          double phi) {
  switch (s.surrogate) {
    case Surrogate::kCispo: {
      const double direct = -least(ratio, s.bound) * advantage;
      return {direct * logprob, 0, direct};
    }
    case Surrogate::kSapo: {
      const double temperature = advantage > 0 ? s.temperaturePos : s.temperatureNeg;
      const double gate = 1 / (1 + exp(-temperature * (ratio - 1)));
      return {-(4 * gate / temperature) * advantage, -4 * gate * (1 - gate) * ratio * advantage, 0};
    }
    case Surrogate::kVespo: {
      const double direct = -phi * advantage;
      return {direct * logprob, 0, direct};
    }
    default: {
      // where both branches are equal each has half of the gradient; a bound itself still has one
      const double open = least(ratio, s.cap) * advantage;
      const double shut = within(ratio, s.low, s.high) * advantage;
      const double openSlope = ratio <= s.cap ? ratio * advantage : 0;
      const double shutSlope = ratio >= s.low && ratio <= s.high ? ratio * advantage : 0;
      const double slope = open < shut   ? openSlope
                           : open > shut ? shutSlope
                                         : (openSlope + shutSlope) / 2;
      return {-least(open, shut), -slope, 0};
    }
  }
}

CG_GRPO Completion completionOf(const Settings& s, float advantage, const Sums& sums) {
  const double tokens = most(sums.tokens, 1);
  Completion c{double(advantage), s.tokenWeight, 1, 0, 1};
  if (s.completionMean) c.tokenWeight = s.tokenWeight / tokens;
  if (s.surrogate == Surrogate::kVespo) c.phi = vespoPhi(s, c.advantage, sums);
  if (!s.sequenceLevel) return c;
  c.ratio = exp(sums.logRatio / tokens);
  // every token moves the one ratio by 1 / tokens; vespo's surrogate does not depend on it
  double moved = s.surrogate == Surrogate::kVespo
                     ? 0
                     : surrogateOf(s, c.ratio, c.advantage, 0, c.phi).viaRatio * sums.weight;
  if (s.beta > 0 && s.klRatio) moved += s.beta * c.ratio * sums.k3;
  c.shared = c.tokenWeight * moved / tokens;
  return c;
}

CG_GRPO double ratioOf(const Settings& s, const Completion& c, const Token& t) {
  return s.sequenceLevel ? c.ratio : exp(logRatioOf(t));
}

// Of a token that counts.
CG_GRPO TokenResult tokenOf(const Settings& s, const Completion& c, const Token& t, double ratio) {
  const Terms terms = surrogateOf(s, ratio, c.advantage, double(t.logprob), c.phi);
  const double weight = s.surrogate == Surrogate::kVespo ? 1 : double(t.weight);
  double value = weight * terms.loss, viaRatio = weight * terms.viaRatio;
  double viaLogprob = weight * terms.direct, kl = 0;
  if (s.beta > 0) {
    const double gap = gapOf(t), e = exp(gap), k3 = e - gap - 1;
    const double factor = s.klRatio ? ratio : 1;
    kl = factor * k3;
    value += s.beta * factor * k3;
    viaLogprob += s.beta * factor * (1 - e);
    if (s.klRatio) viaRatio += s.beta * factor * k3;
  }
  const double gradient = s.sequenceLevel ? c.tokenWeight * viaLogprob + c.shared
                                          : c.tokenWeight * (viaLogprob + viaRatio);
  return {c.tokenWeight * value, gradient, kl};
}

// Whether a ratio lies where the clip, or cispo's bound, takes effect.
CG_GRPO Clipped clippedAt(const Settings& s, double advantage, double ratio) {
  const double capped = least(ratio, s.cap);
  return {capped < s.low && advantage<0, capped> s.high && advantage > 0,
          ratio > s.bound && advantage > 0};
}

// A completion's row of `stats`.
enum Stat { kLoss, kTokens, kKl, kLowClipped, kHighClipped, kCispoClipped, kPhi, kStats };

// An update's vectors, a number a token. Null where not given: the ratio is then 1, KL 0, the
// weight 1, and every token counts.
struct Vectors {
  const float *logprob, *old, *reference, *weight;
  const uint8_t* mask;
  float *loss, *dLogprob;

  CG_GRPO Token at(int64_t t) const {
    const float now = logprob[t];
    return {now, old ? old[t] : now, reference ? reference[t] : now, weight ? weight[t] : 1.0f,
            !mask || mask[t] != 0};
  }
};

CG_GRPO void countClipped(double* total, const Settings& s, const Completion& c, double ratio) {
  const Clipped clipped = clippedAt(s, c.advantage, ratio);
  total[kLowClipped] += clipped.low;
  total[kHighClipped] += clipped.high;
  total[kCispoClipped] += clipped.cispo;
}

// Writes the loss and the gradient of token t, and adds it to the completion's totals, which are in
// the order of Stat.
CG_GRPO void finishToken(double* total, const Settings& s, const Completion& c, const Vectors& v,
                         int64_t t, const Token& token) {
  TokenResult r{};
  if (token.counts) {
    const double ratio = ratioOf(s, c, token);
    r = tokenOf(s, c, token, ratio);
    total[kLoss] += r.loss;
    total[kTokens] += 1;
    total[kKl] += r.kl;
    if (!s.sequenceLevel) countClipped(total, s, c, ratio);
  }
  v.loss[t] = float(r.loss);
  v.dLogprob[t] = float(r.gradient);
}

// Attributes of the op, in declared order.
enum Attr {
  kTokenWeight,
  kSurrogate,
  kCompletionMean,
  kSequenceLevel,
  kEpsilon,
  kEpsilonHigh,
  kDelta,
  kBeta,
  kKlRatio,
  kTemperaturePos,
  kTemperatureNeg,
  kKPos,
  kLambdaPos,
  kKNeg,
  kLambdaNeg,
  kAttrs
};

inline Settings settingsOf(const double* attr) {
  Settings s;
  s.surrogate = Surrogate(int32_t(attr[kSurrogate]));
  s.completionMean = attr[kCompletionMean] != 0;
  s.sequenceLevel = attr[kSequenceLevel] != 0;
  s.klRatio = attr[kKlRatio] != 0;
  s.tokenWeight = attr[kTokenWeight];
  s.low = 1 - attr[kEpsilon];
  s.high = 1 + attr[kEpsilonHigh];
  s.bound = attr[kEpsilonHigh];
  s.cap = attr[kDelta];
  s.beta = attr[kBeta];
  s.temperaturePos = attr[kTemperaturePos];
  s.temperatureNeg = attr[kTemperatureNeg];
  s.kPos = attr[kKPos];
  s.lambdaPos = attr[kLambdaPos];
  s.kNeg = attr[kKNeg];
  s.lambdaNeg = attr[kLambdaNeg];
  return s;
}

// Of the op's inputs and outputs, in declared order. Without a KL term the reference is not read.
inline Vectors vectorsOf(const OpCall& call) {
  const auto given = [&](int i) { return call.in[i].present() ? call.in[i].as<float>() : nullptr; };
  return {given(0),
          given(3),
          call.attr[kBeta] > 0 ? given(4) : nullptr,
          given(6),
          call.in[5].present() ? call.in[5].as<uint8_t>() : nullptr,
          call.out[0].as<float>(),
          call.out[1].as<float>()};
}

}  // namespace callgrad::grpo
