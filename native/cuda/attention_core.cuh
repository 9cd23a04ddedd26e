// Softmax attention of a tile of query rows over blocks of keys: what training, prefill and decode
// share. Two cores with one interface:
//
//   PlainCore<T, kRows>  fp32 arithmetic, f32 or bf16 inputs, any head dimension to 512
//   MmaCore<kDim>        bf16 on tensor cores, head dimensions 64, 80, 96, 128 in aligned rows
//
// A block of threads owns kRows rows (tokens x query heads of one kv head) and walks blocks of up
// to kKeys keys. Scores are never stored in global memory. Sums are kept in base 2: a row's state
// is its maximum of scores * log2(e), the sum of 2^(score - maximum), and the weighted values.
//
//   core.begin(query)              query(r) -> const T* of row r, or null
//   core.attend(next, visible)     blocks from next(), until it says there is none;
//                                  visible(r, block) -> keys of the block that row r sees
//   core.again()                   whether the same blocks have to be attended once more, because
//                                  some row may have met what it does not see; for all threads
//   core.write(to, state)          values over sums to where to(r) says, if not null, and
//                                  state(r, maximum, sum) once a row; where again() was asked
//   core.each(f)                   f(r, column, values, maximum, sum) over what the thread holds
//
// A block of keys is any source of rows: contiguous, or found through a page table.
#pragma once
#include <cmath>

#include "cuda/attention_rows.cuh"

namespace callgrad::gpu {

// What weighted values are multiplied with: 0 for a row that sees nothing.
CG_DEVICE float overSum(float sum) { return sum > 0 || sum != sum ? 1.0f / sum : 0.0f; }

// ---- fp32 arithmetic ----------------------------------------------------------------------------

// kPer threads share a row: each holds every kPer-th column of the output and scores every kPer-th
// key.
template <typename T_, int kRows_, int kMaxDim>
class PlainCore {
 public:
  using T = T_;
  static constexpr int kRows = kRows_, kKeys = 32, kThreads = 128, kPer = kThreads / kRows;
  static constexpr int kOwn = kMaxDim / kPer;
  static size_t sharedBytes(int dim) {
    return (size_t(kRows + kKeys) * size_t(plainStride(dim)) + kRows * (kKeys + 1)) * 4;
  }

  CG_DEVICE PlainCore(float* memory, int dim, float scale)
      : q_(memory),
        kv_(q_ + kRows * plainStride(dim)),
        p_(kv_ + kKeys * plainStride(dim)),
        dim_(dim),
        stride_(plainStride(dim)),
        scale_(scale * kLog2E) {
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) out_[i] = 0;
  }

  template <typename Query>
  CG_DEVICE void begin(const Query& query) {
    loadPlain<kThreads>(q_, kRows, dim_, query);  // behind the barrier of the first block of keys
  }

  template <typename Next, typename Visible>
  CG_DEVICE void attend(Next& next, const Visible& visible) {
    const int r = row(), part = int(threadIdx.x) % kPer;
    float* p = p_ + r * (kKeys + 1);
    for (KeyBlock<T> block = next(); block.count > 0; block = next()) {
      loadPlain<kThreads>(kv_, block.count, dim_, [&](int j) { return block.key(j); });
      __syncthreads();
      const int seen = visible(r, block);
      float most = -INFINITY;
      for (int j = part; j < seen; j += kPer) {
        const float score = dotPlain(q_ + r * stride_, kv_ + j * stride_, dim_) * scale_;
        p[j] = score;
        most = score > most || score != score ? score : most;
      }
      CG_UNROLL
      for (int o = kPer / 2; o; o >>= 1) {
        const float other = __shfl_xor_sync(0xffffffffu, most, o);
        most = other > most || other != other ? other : most;
      }
      const float before = max_;
      max_ = most > max_ || most != most ? most : max_;
      const float keep = before == -INFINITY ? 0.0f : exp2f(before - max_);
      float sum = 0;
      for (int j = part; j < seen; j += kPer) {
        const float e = max_ == -INFINITY ? 0.0f : exp2f(p[j] - max_);
        p[j] = e;
        sum += e;
      }
      CG_UNROLL
      for (int o = kPer / 2; o; o >>= 1) sum += __shfl_xor_sync(0xffffffffu, sum, o);
      sum_ = sum_ * keep + sum;
      __syncthreads();  // keys have been read, and p is written
      loadPlain<kThreads>(kv_, block.count, dim_, [&](int j) { return block.value(j); });
      __syncthreads();
      CG_UNROLL
      for (int i = 0; i < kOwn; i++) out_[i] *= keep;
      for (int j = 0; j < seen; j++) {
        const float weight = p[j];
        const float* v = kv_ + j * stride_;
        CG_UNROLL
        for (int i = 0; i < kOwn; i++) {
          const int c = part + i * kPer;
          if (c >= dim_) break;
          out_[i] = fmaf(weight, v[c], out_[i]);
        }
      }
      __syncthreads();  // values have been read
    }
  }

  CG_DEVICE bool again() { return false; }  // a row's loops end with the keys that it sees

  template <typename To, typename State>
  CG_DEVICE void write(const To& to, const State& state) const {
    T* out = to(row());
    if (!out) return;
    const float inverse = overSum(sum_);
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) {
      const int c = int(threadIdx.x) % kPer + i * kPer;
      if (c < dim_) out[c] = fromFloat<T>(out_[i] * inverse);
    }
    if (threadIdx.x % kPer == 0) state(row(), max_, sum_);
  }

  // f(row, column, values, maximum in base 2, sum); one column a call
  template <typename F>
  CG_DEVICE void each(const F& f) const {
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) {
      const int c = int(threadIdx.x) % kPer + i * kPer;
      const float value[1] = {out_[i]};
      if (c < dim_) f(row(), c, value, max_, sum_);
    }
  }

 private:
  CG_DEVICE static int row() { return int(threadIdx.x) / kPer; }

  float *q_, *kv_, *p_;
  int dim_, stride_;
  float scale_;
  float max_ = -INFINITY, sum_ = 0;
  float out_[kOwn];
};

// ---- tensor cores -------------------------------------------------------------------------------

// A warp owns 16 rows; keys and values come through a ring.
template <int kDim>
class MmaCore {
 public:
  using T = BFloat16;
  using Tile = HeadTile<kDim>;
  static constexpr int kRows = 64, kKeys = 64, kThreads = 128;
  using Ring = KeyRing<kDim, kKeys, kThreads>;
  static constexpr int kTileBytes = kRows * Tile::kRowBytes;
  static size_t sharedBytes(int) { return size_t(kTileBytes) + Ring::kBytes; }

  CG_DEVICE MmaCore(float* memory, int, float scale)
      : q_(sharedAddress(memory)), ring_(q_ + kTileBytes), scale_(scale * kLog2E) {
    clear(out_);
  }

  template <typename Query>
  CG_DEVICE void begin(const Query& query) {
    Tile::template fill<kRows, kThreads>(q_, query, query(0));
  }

  template <typename Next, typename Visible>
  CG_DEVICE void attend(Next& next, const Visible& visible) {
    ring_.walk(next, [&](const KeyBlock<T>& block, SharedAddress keys, SharedAddress values) {
      step(block, keys, values, visible);
    });
  }

  CG_DEVICE bool again() {
    const bool spoiled = __syncthreads_or(anyNan(out_));
    if (careful_ || !spoiled) return false;
    careful_ = true;
    clear(out_);
    max_[0] = max_[1] = -INFINITY, sum_[0] = sum_[1] = 0;
    return true;
  }

  template <typename To, typename State>
  CG_DEVICE void write(const To& to, const State& state) const {
    const float inverse[2] = {overSum(sum_[0]), overSum(sum_[1])};
    const auto pair = [&](int i, int h) { return scaledPair(out_[0][i], h, inverse[h]); };
    Tile::store(q_, warpRow(), pair, to);
    const int lane = laneId(), first = warpRow() + lane / 4;
    if (lane % 4 != 0) return;
    for (int h = 0; h < 2; h++)
      if (to(first + h * 8)) state(first + h * 8, max_[h], sum_[h]);
  }

  // f(row, column, pair of values, maximum in base 2, sum)
  template <typename F>
  CG_DEVICE void each(const F& f) const {
    const int lane = laneId(), first = warpRow() + lane / 4;
    CG_UNROLL
    for (int i = 0; i < kDim / 8; i++) CG_UNROLL
    for (int h = 0; h < 2; h++) {
      const float pair[2] = {out_[0][i][2 * h], out_[0][i][2 * h + 1]};
      f(first + h * 8, i * 8 + lane % 4 * 2, pair, max_[h], sum_[h]);
    }
  }

 private:
  CG_DEVICE static int warpRow() { return int(threadIdx.x) / kWarp * 16; }

  template <typename Visible>
  CG_DEVICE void step(const KeyBlock<T>& block, SharedAddress keys, SharedAddress values,
                      const Visible& visible) {
    constexpr int kPairs = kKeys / 16;
    const int lane = laneId(), row = warpRow() + lane / 4;
    const int seen[2] = {visible(row, block), visible(row + 8, block)};
    if (!__any_sync(0xffffffffu, (seen[0] | seen[1]) != 0)) return;  // another sample's keys
    float s[1][2 * kPairs][4];
    Tile::template products<kPairs>(s, q_, warpRow(), keys);
    float most[2] = {-INFINITY, -INFINITY};
    CG_UNROLL
    for (int h = 0; h < 2; h++) {
      CG_UNROLL
      for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
      for (int e = 0; e < 2; e++) {
        float& x = s[0][j][2 * h + e];
        x = j * 8 + lane % 4 * 2 + e < seen[h] ? x * scale_ : -INFINITY;
        most[h] = x > most[h] || x != x ? x : most[h];
      }
    }
    quadMax(most);
    float keep[2], sum[2];
    CG_UNROLL
    for (int h = 0; h < 2; h++) {
      const float before = max_[h];
      max_[h] = most[h] > before || most[h] != most[h] ? most[h] : before;
      keep[h] = before == -INFINITY ? 0.0f : ex2(before - max_[h]);
      sum[h] = 0;
      CG_UNROLL
      for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
      for (int e = 0; e < 2; e++) {
        float& x = s[0][j][2 * h + e];
        x = max_[h] == -INFINITY ? 0.0f : ex2(x - max_[h]);
        sum[h] += x;
      }
    }
    quadSum(sum);
    CG_UNROLL
    for (int h = 0; h < 2; h++) sum_[h] = sum_[h] * keep[h] + sum[h];
    CG_UNROLL
    for (int i = 0; i < kDim / 8; i++) CG_UNROLL
    for (int k = 0; k < 4; k++) out_[0][i][k] *= keep[k / 2];
    if (careful_)
      Tile::template weighSeen<kPairs>(out_, s, values, seen);
    else
      Tile::template weigh<kPairs>(out_, s, values);
  }

  SharedAddress q_;
  Ring ring_;
  float scale_;
  bool careful_ = false;
  float max_[2] = {-INFINITY, -INFINITY}, sum_[2] = {0, 0};
  float out_[1][kDim / 8][4];
};

inline float softmaxScale(double attr, int64_t dim) {
  return attr != 0 ? float(attr) : float(1.0 / std::sqrt(double(dim)));
}

// Calls f.operator()<Core>() with the core that the rows allow.
template <typename F>
Status withCore(DType dtype, int64_t dim, bool aligned, const F& f) {
  const auto plain = [&]<typename T>(T) -> Status {
    if (dim <= 256) return f.template operator()<PlainCore<T, 32, 256>>();
    return f.template operator()<PlainCore<T, 16, 512>>();
  };
  return withHeadDim<MmaCore>(dtype, dim, aligned, plain, f);
}

}  // namespace callgrad::gpu
