// Drawing tokens from logits. Rows run in parallel; a row makes a few vector passes over its
// logits.
//
// Every filter keeps a prefix of one ranking (logit descending, index ascending), so the filters
// together are one cut: the shortest of three prefixes. A prefix of given count (topK) or mass
// (topP) is found by bisecting a threshold on the logit, one vector pass a step, until few elements
// lie between the bounds; only those are sorted. The token is the one where the cumulative mass, in
// index order, passes a uniform number from Philox keyed by (seed; row key, position).
#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "core/sampling.h"
#include "cpu/kernels/families.h"
#include "cpu/kernels/row_stats.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
// Elements between the bounds at which bisecting stops and sorting starts.
constexpr int64_t kFewEnough = 256;
constexpr int kStepsByDistance = 16;

struct Settings {
  float scale;
  bool greedy;
  int64_t topK;
  double topP, minP;
};

// The last element that is kept: all with a higher logit, and those of equal logit up to this
// index.
struct Cut {
  float logit = -kInf;
  int64_t index = std::numeric_limits<int64_t>::max();
  bool operator<(const Cut& o) const {
    return logit > o.logit || (logit == o.logit && index < o.index);
  }
};

// Any lane set.
bool any(IVec mask) {
  uint64_t words[8], all = 0;
  memcpy(words, &mask, sizeof words);
  for (uint64_t w : words) all |= w;
  return all != 0;
}

class Row {
 public:
  // `mass` receives e^(logit * scale - max) of each element, padded to whole vectors with zeros.
  Row(const float* logits, int64_t n, float scale, float max, float* mass)
      : logits_(logits), n_(n), scale_(scale), mass_(mass) {
    int64_t i = 0;
    for (; i + kLanes <= n; i += kLanes)
      store(mass + i, exp(load(logits + i) * splat(scale) - splat(max)));
    if (i < n)
      store(mass + i, exp(loadPartial(logits + i, int(n - i), -kInf) * splat(scale) - splat(max)));
  }

  struct Measure {
    int64_t count;
    double mass;
  };

  // Of the elements whose logit is above `threshold` and ranks at or before `cut`.
  Measure above(float threshold, const Cut& cut) const {
    Measure total{0, 0};
    for (int64_t b = 0; b < n_; b += kStatsBlock) {
      const Measure m = aboveInBlock(b, std::min(n_, b + kStatsBlock), threshold, cut);
      total.count += m.count;
      total.mass += m.mass;
    }
    return total;
  }

  // The shortest prefix within `within` that holds `count` elements, or that reaches `mass`;
  // `largest` is the first element's logit.
  Cut prefix(int64_t count, double mass, const Cut& within, float largest) const {
    auto reached = [&](const Measure& m) { return m.count >= count || m.mass >= mass; };
    if (!reached(above(-kInf, within))) return within;
    // The elements with low < logit <= high hold the end of the prefix. Most of what matters lies
    // close to the top.
    float high = largest, low = largest - 32.0f / scale_;
    Measure atLow = above(low, within), atHigh{0, 0};
    if (!reached(atLow)) {
      high = low, atHigh = atLow;
      low = -kInf, atLow = above(low, within);
    }
    for (int step = 0; atLow.count - atHigh.count > kFewEnough; step++) {
      const float middle = floatBetween(low, high, step >= kStepsByDistance);
      if (middle == low) break;
      const Measure m = above(middle, within);
      if (reached(m))
        low = middle, atLow = m;
      else
        high = middle, atHigh = m;
    }
    std::vector<Cut> few;
    const auto take = [&](int64_t i) {
      const Cut c{logits_[i], i};
      if (c.logit > low && c.logit <= high && !(within < c)) few.push_back(c);
    };
    int64_t i = 0;
    for (; i + kLanes <= n_; i += kLanes) {
      const Vec x = load(logits_ + i);
      if (!any((x > splat(low)) & (x <= splat(high)))) continue;
      for (int64_t k = i; k < i + kLanes; k++) take(k);
    }
    for (; i < n_; i++) take(i);
    if (!std::is_sorted(few.begin(), few.end())) std::sort(few.begin(), few.end());
    Measure m = atHigh;
    for (const Cut& c : few) {
      m.count++;
      m.mass += double(mass_[c.index]);
      if (reached(m)) return c;
    }
    return few.empty() ? within : few.back();
  }

  // The element at which the mass of those within the cut, summed in index order, passes `uniform`
  // of the whole.
  int64_t draw(double uniform, const Cut& cut) const {
    const int64_t blocks = statsBlocks(n_);
    double total = 0;
    for (int64_t b = 0; b < blocks; b++) total += blockMass(b, cut);
    double left = uniform * total;
    int64_t last = -1;  // the last block that has mass: rounding may leave a remainder past the end
    for (int64_t b = 0; b < blocks; b++) {
      const double mass = blockMass(b, cut);
      if (mass > 0) last = b;
      if (left < mass) break;
      left -= mass;
    }
    int64_t token = -1;
    for (int64_t i = last * kStatsBlock; i < std::min(n_, (last + 1) * kStatsBlock); i++) {
      if (!(mass_[i] > 0) || cut < Cut{logits_[i], i}) continue;
      token = i;
      left -= double(mass_[i]);
      if (left < 0) break;
    }
    return token;
  }

 private:
  double blockMass(int64_t b, const Cut& cut) const {
    return aboveInBlock(b * kStatsBlock, std::min(n_, (b + 1) * kStatsBlock), -kInf, cut).mass;
  }

  Measure aboveInBlock(int64_t begin, int64_t end, float threshold, const Cut& cut) const {
    const Vec t = splat(std::max(threshold, cut.logit));
    // Elements equal to the cut's logit count up to its index, and only where the threshold lies
    // below it.
    const bool ties = threshold < cut.logit;
    const Vec tie = splat(cut.logit);
    Vec mass{};
    IVec count{};
    for (int64_t i = begin; i < end; i += kLanes) {
      const int lanes = int(std::min<int64_t>(kLanes, end - i));
      const Vec x = lanes == kLanes ? load(logits_ + i) : loadPartial(logits_ + i, lanes, -kInf);
      IVec keep = x > t;
      if (ties) {
        const int64_t last = cut.index - i;
        if (last >= 0) {
          const IVec lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
          keep |= (x == tie) & (lane <= int32_t(std::min<int64_t>(last, kLanes)));
        }
      }
      count -= keep;
      mass += select(keep, load(mass_ + i), Vec{});
    }
    int64_t n = 0;
    for (int i = 0; i < kLanes; i++) n += count[i];
    return {n, double(sumLanes(mass))};
  }

  const float* logits_;
  int64_t n_;
  float scale_;
  float* mass_;
};

int64_t argmax(const float* logits, int64_t n) {
  Vec m = splat(-kInf);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) m = vmax(m, load(logits + i));
  float best = maxLanes(m);
  for (; i < n; i++) best = logits[i] > best ? logits[i] : best;
  for (i = 0; i < n && logits[i] != best; i++) {
  }
  return i;
}

Cut cutOf(const Row& row, int64_t n, const float* logits, float max, const Settings& s) {
  Cut cut;
  const bool byCount = s.topK > 0 && s.topK < n;
  if (!byCount && s.topP >= 1 && s.minP <= 0) return cut;
  const int64_t best = argmax(logits, n);
  const Cut first{logits[best], best};
  if (byCount) cut = row.prefix(s.topK, kInf, cut, first.logit);
  if (s.topP < 1) cut = row.prefix(n + 1, s.topP * row.above(-kInf, cut).mass, cut, first.logit);
  if (s.minP > 0) {
    const float threshold = minPThreshold(max, std::log(s.minP), s.scale);
    cut = std::min(cut, std::max(Cut{threshold, std::numeric_limits<int64_t>::max()}, first));
  }
  return cut;
}

Status sample(const OpCall& c, KernelContext& context) {
  const TensorView &logits = c.in[0], &token = c.out[0], &logprob = c.out[1];
  const int32_t *keys = c.in[1].as<int32_t>(), *positions = c.in[2].as<int32_t>();
  const int64_t rows = logits.shape[0], n = logits.shape[1], blocks = statsBlocks(n);
  const Settings s{temperatureScale(c.attr[0]), c.attr[0] == 0, int64_t(c.attr[1]), c.attr[2],
                   c.attr[3]};
  const int64_t padded = (n + kLanes - 1) / kLanes * kLanes, threads = threadCount();
  BlockStats* stats = context.scratch.get<BlockStats>(size_t(threads * blocks));
  float* masses = context.scratch.get<float>(size_t(threads * padded));
  bool* bad = context.scratch.get<bool>(size_t(std::max<int64_t>(1, rows)));

  parallelTasks(rows, [&](int64_t r, int thread) {
    const float* x = logits.as<float>() + r * logits.rowStride;
    BlockStats* mine = stats + thread * blocks;
    for (int64_t b = 0; b < blocks; b++)
      mine[b] =
          blockStats(x + b * kStatsBlock, std::min(kStatsBlock, n - b * kStatsBlock), s.scale);
    const RowStats row = mergeStats(mine, blocks);
    bad[r] = !(std::fabs(row.max) < kInf && std::fabs(row.logSum) < kInf);
    if (bad[r]) return;
    int64_t chosen;
    if (s.greedy) {
      chosen = argmax(x, n);
    } else {
      const Row masked(x, n, s.scale, row.max, masses + thread * padded);
      chosen =
          masked.draw(samplingUniform(keys + r * 4, positions[r]), cutOf(masked, n, x, row.max, s));
    }
    token.as<int32_t>()[r * token.rowStride] = int32_t(chosen);
    logprob.as<float>()[r * logprob.rowStride] = row.logprob(x[chosen] * s.scale);
  });
  for (int64_t r = 0; r < rows; r++)
    if (bad[r])
      return error(Code::kRange,
                   "[sample] expected logits with a finite maximum, got NaN or infinity in row %ld",
                   long(r));
  return {};
}

}  // namespace

void registerSample(KernelTable& t) { t.set("sample", sample); }

}  // namespace callgrad::cpu::CG_ISA
