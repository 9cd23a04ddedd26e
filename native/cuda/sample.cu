// Drawing tokens from logits without sorting the vocabulary.
//
// logits f32 [B, V], strided; one block of threads takes a row (1,024, or 128 where the row is no
// longer than 1,024), which stays in L2 between the passes: maximum and argmax, sum of
// exponentials, then only what the settings need. All filters keep a prefix of one ranking (logit
// descending, index ascending), so together they are one cut: a logit and an index. A prefix of
// given count (top-k) or mass (top-p) is found by bisecting a threshold on the logit, one counting
// pass a step, until at most kFew elements lie between the bounds; those alone are put in order, in
// shared memory. Sums are taken per thread in index order, then in float64 over the block in a
// fixed tree, so a draw depends on the row, its key and its position only. The token is where the
// cumulative mass, in index order, passes a uniform number from Philox.
//
// Limited by L2 latency at few rows (one block a row), by L2 bandwidth at many: 4 V bytes a pass; 3
// passes greedy or unfiltered, about 12 more for each of top-k and top-p.
//
// Tried: a radix histogram with shared-memory atomics (most logits share an exponent: the atomics
// of a warp fall on one or two bins).
#include <cmath>

#include "core/sampling.h"
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr int kLargeBlock = 1024, kSmallBlock = 128;
constexpr int kMostWarps = kLargeBlock / kWarp;
constexpr int kMostTiles = 1024;  // of kLargeBlock logits: a million
constexpr int kFew = 1024;        // elements that one round in shared memory puts in order
constexpr int kShortRow = 1024;   // most logits that a small block takes
constexpr int kStepsByDistance = 16;
constexpr int kNoIndex = 0x7fffffff;

struct Settings {
  float scale;
  bool greedy;
  int64_t topK;
  double topP, logMinP;  // logMinP -inf: no limit
};

// The last element that is kept: all of a higher logit, and those of equal logit up to this index.
struct Cut {
  float logit;
  int index;
};
// Whether (logit, index) ranks at or before the cut.
CG_DEVICE bool within(float logit, int index, const Cut& cut) {
  return logit > cut.logit || (logit == cut.logit && index <= cut.index);
}
CG_DEVICE bool earlier(const Cut& a, const Cut& b) {
  return a.logit > b.logit || (a.logit == b.logit && a.index < b.index);
}

struct Shared {
  double mass[kMostWarps];
  int count[kMostWarps];
  float value[kMostWarps];
  double tileMass[kMostTiles];
  Cut few[kFew];
  int fewCount;
  int chosen;
};

struct Measure {
  int64_t count;
  double mass;
};

// One row, seen by all threads of its block. Every method is called by all of them.
template <int kBlock>
class Row {
  static constexpr int kWarps = kBlock / kWarp;

 public:
  CG_DEVICE Row(const float* logits, int n, float scale, Shared& shared)
      : logits_(logits), n_(n), scale_(scale), shared_(shared) {}

  // Largest logit and the first index that has it; NaN where any is NaN.
  CG_DEVICE Cut first() {
    Cut best{-INFINITY, kNoIndex};
    bool bad = false;
    for (int i = int(threadIdx.x); i < n_; i += kBlock) {
      const float x = logits_[i];
      bad = bad || x != x;
      if (x > best.logit || best.index == kNoIndex) best = {x, i};
    }
    CG_UNROLL
    for (int o = 16; o; o >>= 1) {
      const Cut other{__shfl_xor_sync(0xffffffffu, best.logit, o),
                      __shfl_xor_sync(0xffffffffu, best.index, o)};
      if (earlier(other, best)) best = other;
    }
    if (laneOf() == 0) shared_.value[warpOf()] = best.logit, shared_.count[warpOf()] = best.index;
    bad = __syncthreads_or(bad) != 0;
    for (int w = 0; w < kWarps; w++) {
      const Cut other{shared_.value[w], shared_.count[w]};
      if (earlier(other, best)) best = other;
    }
    __syncthreads();
    if (bad) best.logit = asFloat(0x7fc00000u);
    max_ = best.logit * scale_;
    return best;
  }

  CG_DEVICE float max() const { return max_; }
  CG_DEVICE float mass(float logit) const { return expf(logit * scale_ - max_); }

  // Of the elements whose logit is above `threshold` and that rank at or before `cut`.
  CG_DEVICE Measure above(float threshold, const Cut& cut) {
    int count = 0;
    float mass_ = 0;
    for (int i = int(threadIdx.x); i < n_; i += kBlock) {
      const float x = logits_[i];
      if (x > threshold && within(x, i, cut)) {
        count++;
        mass_ += mass(x);
      }
    }
    return total({count, double(mass_)});
  }

  // The shortest prefix within `cut` that holds `count` elements, or that reaches `mass`.
  CG_DEVICE Cut prefix(int64_t count, double mass_, const Cut& cut, float largest) {
    const auto reached = [&](const Measure& m) { return m.count >= count || m.mass >= mass_; };
    if (!reached(above(-INFINITY, cut))) return cut;
    // The elements with low < logit <= high hold the end of the prefix; most of what matters lies
    // close to the top.
    float high = largest, low = largest - 32.0f / scale_;
    Measure atLow = above(low, cut), atHigh{0, 0};
    if (!reached(atLow)) {
      high = low, atHigh = atLow;
      low = -INFINITY, atLow = above(low, cut);
    }
    bool ties = false;  // one logit is left, of more than kFew elements
    for (int step = 0; atLow.count - atHigh.count > kFew; step++) {
      const float middle = floatBetween(low, high, step >= kStepsByDistance);
      if (middle == low) {
        ties = true;
        break;
      }
      const Measure m = above(middle, cut);
      if (reached(m))
        low = middle, atLow = m;
      else
        high = middle, atHigh = m;
    }
    return ties ? amongTies(count, mass_, atHigh, high, cut)
                : amongFew(count, mass_, atHigh, low, high, cut);
  }

  // The element at which the mass of those within the cut, in index order, passes `uniform` of the
  // whole. A warp sums a tile of kBlock elements, so that no barrier stands between tiles.
  CG_DEVICE int draw(double uniform, const Cut& cut) {
    const int tiles = (n_ + kBlock - 1) / kBlock;
    for (int t = warpOf(); t < tiles; t += kWarps) {
      double sum = 0;
      for (int i = t * kBlock + laneOf(); i < (t + 1) * kBlock; i += kWarp)
        sum += double(masked(i, cut));
      sum = warpSum(sum);
      if (laneOf() == 0) shared_.tileMass[t] = sum;
    }
    __syncthreads();
    double whole = 0;
    for (int t = 0; t < tiles; t++) whole += shared_.tileMass[t];
    double left = uniform * whole;
    int last = -1;  // rounding may leave a remainder behind the last tile that has mass
    for (int t = 0; t < tiles; t++) {
      const double mass_ = shared_.tileMass[t];
      if (mass_ > 0) last = t;
      if (left < mass_) break;
      left -= mass_;
    }
    return inTile(last * kBlock, left, cut);
  }

 private:
  CG_DEVICE static int laneOf() { return int(threadIdx.x) % kWarp; }
  CG_DEVICE static int warpOf() { return int(threadIdx.x) / kWarp; }

  CG_DEVICE Measure total(Measure m) {
    m.mass = warpSum(m.mass);
    const int count = warpSum(int(m.count));
    if (laneOf() == 0) shared_.mass[warpOf()] = m.mass, shared_.count[warpOf()] = count;
    __syncthreads();
    Measure all{0, 0};
    for (int w = 0; w < kWarps; w++) {
      all.mass += shared_.mass[w];
      all.count += shared_.count[w];
    }
    __syncthreads();
    return all;
  }

  CG_DEVICE float masked(int i, const Cut& cut) const {
    if (i >= n_) return 0;
    const float x = logits_[i];
    return within(x, i, cut) ? mass(x) : 0.0f;
  }

  // The element of a tile at which the cumulative mass passes `left`, or the last that has mass.
  CG_DEVICE int inTile(int begin, double left, const Cut& cut) {
    const int i = begin + int(threadIdx.x);
    const double own = double(masked(i, cut));
    double sum = own;  // inclusive over the warp
    CG_UNROLL
    for (int o = 1; o < kWarp; o <<= 1) {
      const double below = __shfl_up_sync(0xffffffffu, sum, o);
      if (laneOf() >= o) sum += below;
    }
    if (laneOf() == kWarp - 1) shared_.mass[warpOf()] = sum;
    if (threadIdx.x == 0) shared_.chosen = kNoIndex, shared_.count[0] = -1;
    __syncthreads();
    for (int w = 0; w < warpOf(); w++) sum += shared_.mass[w];
    if (own > 0) {
      if (sum > left) atomicMin(&shared_.chosen, i);
      atomicMax(&shared_.count[0], i);
    }
    __syncthreads();
    const int chosen = shared_.chosen != kNoIndex ? shared_.chosen : shared_.count[0];
    __syncthreads();
    return chosen;
  }

  // Puts the elements with low < logit <= high in order and walks them.
  CG_DEVICE Cut amongFew(int64_t count, double mass_, Measure m, float low, float high,
                         const Cut& cut) {
    if (threadIdx.x == 0) shared_.fewCount = 0;
    for (int i = int(threadIdx.x); i < kFew; i += kBlock) shared_.few[i] = {-INFINITY, kNoIndex};
    __syncthreads();
    for (int i = int(threadIdx.x); i < n_; i += kBlock) {
      const float x = logits_[i];
      if (x > low && x <= high && within(x, i, cut))
        shared_.few[atomicAdd(&shared_.fewCount, 1)] = {x, i};  // any order: sorted next
    }
    __syncthreads();
    sortFew();
    if (threadIdx.x == 0) {
      int at = 0;
      for (; at < shared_.fewCount; at++) {
        m.count++;
        m.mass += double(mass(shared_.few[at].logit));
        if (m.count >= count || m.mass >= mass_) break;
      }
      shared_.chosen = at < shared_.fewCount ? at : shared_.fewCount - 1;
    }
    __syncthreads();
    const Cut found = shared_.chosen >= 0 ? shared_.few[shared_.chosen] : cut;
    __syncthreads();
    return found;
  }

  // Bitonic, by rank; unused places rank last.
  CG_DEVICE void sortFew() {
    int size = 1;
    while (size < shared_.fewCount) size *= 2;
    for (int run = 2; run <= size; run *= 2) {
      for (int distance = run / 2; distance; distance /= 2) {
        for (int k = int(threadIdx.x); k < size / 2; k += kBlock) {
          const int i = 2 * k - (k & (distance - 1));
          const Cut a = shared_.few[i], b = shared_.few[i + distance];
          if (earlier(b, a) == ((i & run) == 0)) shared_.few[i] = b, shared_.few[i + distance] = a;
        }
        __syncthreads();
      }
    }
  }

  // All elements of logit `value` weigh the same: how many of them are needed, and which index that
  // is in their order.
  CG_DEVICE Cut amongTies(int64_t count, double mass_, const Measure& m, float value,
                          const Cut& cut) {
    int64_t needed = count - m.count;
    const double each = double(mass(value));
    if (each > 0) {
      const double byMass = ceil((mass_ - m.mass) / each);
      if (byMass < double(needed)) needed = byMass > 1 ? int64_t(byMass) : 1;
    }
    for (int begin = 0; begin < n_; begin += kBlock) {
      const int i = begin + int(threadIdx.x);
      const bool tie = i < n_ && logits_[i] == value && within(value, i, cut);
      const int here = __syncthreads_count(tie);
      if (needed > here) {
        needed -= here;
        continue;
      }
      const unsigned mates = __ballot_sync(0xffffffffu, tie);
      if (laneOf() == 0) shared_.count[warpOf()] = __popc(mates);
      __syncthreads();
      int rank = __popc(mates & ((2u << laneOf()) - 1));  // inclusive
      for (int w = 0; w < warpOf(); w++) rank += shared_.count[w];
      if (tie && rank == int(needed)) shared_.chosen = i;
      __syncthreads();
      const int index = shared_.chosen;
      __syncthreads();
      return {value, index};
    }
    return cut;
  }

  const float* logits_;
  int n_;
  float scale_, max_ = 0;
  Shared& shared_;
};

template <int kBlock>
CG_DEVICE Cut cutOf(Row<kBlock>& row, int n, const Cut& first, const Settings& s) {
  Cut cut{-INFINITY, kNoIndex};
  if (s.topK > 0 && s.topK < n) cut = row.prefix(s.topK, INFINITY, cut, first.logit);
  if (s.topP < 1)
    cut = row.prefix(int64_t(n) + 1, s.topP * row.above(-INFINITY, cut).mass, cut, first.logit);
  if (s.logMinP > -INFINITY) {
    Cut byShare{minPThreshold(row.max(), s.logMinP, s.scale), kNoIndex};
    if (earlier(byShare, first)) byShare = first;
    if (earlier(byShare, cut)) cut = byShare;
  }
  return cut;
}

template <int kBlock>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    sampleKernel(const float* logits, int64_t stride, int n, const int32_t* keys,
                 const int32_t* positions, Settings s, int32_t* token, float* logprob,
                 ErrorSlot errors) {
  CG_SHARED(Shared, shared);
  const int64_t r = blockIdx.x;
  const float* x = logits + r * stride;
  Row<kBlock> row(x, n, s.scale, shared);
  const Cut first = row.first();
  if (!(fabsf(row.max()) < INFINITY)) {  // NaN, +inf, or nothing finite
    if (threadIdx.x == 0) {
      reportFault(errors, Fault::kLogits, r, 0, 0);
      token[r] = 0;
      logprob[r] = asFloat(0x7fc00000u);
    }
    return;
  }
  const Cut everything{-INFINITY, kNoIndex};
  const double logSum = log(row.above(-INFINITY, everything).mass);
  int chosen = first.index;
  if (!s.greedy) {
    chosen = row.draw(samplingUniform(keys + r * 4, positions[r]), cutOf(row, n, first, s));
  }
  if (threadIdx.x == 0) {
    token[r] = chosen;
    logprob[r] = (x[chosen] * s.scale - row.max()) - float(logSum);
  }
}

Status sample(const OpCall& c, KernelContext& context) {
  const TensorView& logits = c.in[0];
  const int64_t n = logits.shape[1];
  if (n > int64_t(kMostTiles) * kLargeBlock)
    return error(Code::kShape, "expected at most %d logits a row, got %ld",
                 kMostTiles * kLargeBlock, long(n));
  const double temperature = c.attr[0], minP = c.attr[3];
  const Settings s{temperatureScale(temperature), temperature == 0, int64_t(c.attr[1]), c.attr[2],
                   minP > 0 ? std::log(minP) : -HUGE_VAL};
  const bool small = n <= kShortRow;
  return launch(
      *context.gpu, "sample", small ? sampleKernel<kSmallBlock> : sampleKernel<kLargeBlock>,
      dim3(unsigned(logits.shape[0])), dim3(small ? kSmallBlock : kLargeBlock), 0,
      logits.as<float>(), logits.rowStride, int(n), c.in[1].as<int32_t>(), c.in[2].as<int32_t>(), s,
      c.out[0].as<int32_t>(), c.out[1].as<float>(), *context.deviceErrors);
}

}  // namespace

void registerSample(KernelTable& t) { t.set("sample", sample); }

}  // namespace callgrad::gpu
