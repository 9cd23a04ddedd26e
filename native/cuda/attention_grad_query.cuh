// dQ of a tile of query rows: recomputes weights block of keys by block of keys.
//
//   P = 2^(c q k^T - log2(e) lse)   dP = dOut v^T   dS = P (dP - delta)   dQ = scale dS k
//
// Two cores with one interface, as in attention_core.cuh: begin(query, dOut, state), attend(next,
// visible), again(), write(to). state(r) gives lse in base 2 and delta = rowsum(dOut * out).
#pragma once
#include "cuda/attention_core.cuh"

namespace callgrad::gpu {

struct RowState {
  float lse2, delta;
};

// lse in base 2; +inf where a row sees nothing, so that its weights are 0.
CG_DEVICE RowState rowState(float lse, float delta) {
  return {lse == -INFINITY ? INFINITY : lse * kLog2E, delta};
}

template <typename T_, int kRows_, int kKeys_, int kMaxDim>
class PlainGradQuery {
 public:
  using T = T_;
  static constexpr int kRows = kRows_, kKeys = kKeys_, kThreads = 128, kPer = kThreads / kRows;
  static constexpr int kOwn = kMaxDim / kPer;
  static size_t sharedBytes(int dim) {
    return (size_t(2 * kRows + kKeys) * size_t(plainStride(dim)) + kRows * (kKeys + 1)) * 4;
  }

  CG_DEVICE PlainGradQuery(float* memory, int dim, float scale)
      : q_(memory),
        dOut_(q_ + kRows * plainStride(dim)),
        kv_(dOut_ + kRows * plainStride(dim)),
        s_(kv_ + kKeys * plainStride(dim)),
        dim_(dim),
        stride_(plainStride(dim)),
        scale_(scale) {
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) dq_[i] = 0;
  }

  template <typename Query, typename Gradient, typename State>
  CG_DEVICE void begin(const Query& query, const Gradient& gradient, const State& state) {
    loadPlain<kThreads>(q_, kRows, dim_, query);
    loadPlain<kThreads>(dOut_, kRows, dim_, gradient);
    state_ = state(row());
  }

  template <typename Next, typename Visible>
  CG_DEVICE void attend(Next& next, const Visible& visible) {
    const int r = row(), part = int(threadIdx.x) % kPer;
    float* s = s_ + r * (kKeys + 1);
    for (KeyBlock<T> block = next(); block.count > 0; block = next()) {
      const int seen = visible(r, block);
      loadPlain<kThreads>(kv_, block.count, dim_, [&](int j) { return block.value(j); });
      __syncthreads();
      for (int j = part; j < seen; j += kPer)
        s[j] = dotPlain(dOut_ + r * stride_, kv_ + j * stride_, dim_);
      __syncthreads();  // values have been read
      loadPlain<kThreads>(kv_, block.count, dim_, [&](int j) { return block.key(j); });
      __syncthreads();
      for (int j = part; j < seen; j += kPer) {
        const float x = dotPlain(q_ + r * stride_, kv_ + j * stride_, dim_) * scale_ * kLog2E;
        s[j] = exp2f(x - state_.lse2) * (s[j] - state_.delta);
      }
      __syncwarp();
      for (int j = 0; j < seen; j++) {
        const float slope = s[j];
        const float* k = kv_ + j * stride_;
        CG_UNROLL
        for (int i = 0; i < kOwn; i++) {
          const int c = part + i * kPer;
          if (c >= dim_) break;
          dq_[i] = fmaf(slope, k[c], dq_[i]);
        }
      }
      __syncthreads();  // keys have been read
    }
  }

  CG_DEVICE bool again() { return false; }

  template <typename To>
  CG_DEVICE void write(const To& to) const {
    T* out = to(row());
    if (!out) return;
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) {
      const int c = int(threadIdx.x) % kPer + i * kPer;
      if (c < dim_) out[c] = fromFloat<T>(dq_[i] * scale_);
    }
  }

 private:
  CG_DEVICE static int row() { return int(threadIdx.x) / kPer; }

  float *q_, *dOut_, *kv_, *s_;
  int dim_, stride_;
  float scale_;
  RowState state_{};
  float dq_[kOwn];
};

template <int kDim>
class MmaGradQuery {
 public:
  using T = BFloat16;
  using Tile = HeadTile<kDim>;
  static constexpr int kRows = 64, kKeys = 64, kThreads = 128;
  using Ring = KeyRing<kDim, kKeys, kThreads>;
  static constexpr int kTileBytes = kRows * Tile::kRowBytes;
  static size_t sharedBytes(int) { return size_t(2) * kTileBytes + Ring::kBytes; }

  CG_DEVICE MmaGradQuery(float* memory, int, float scale)
      : q_(sharedAddress(memory)), ring_(q_ + 2 * kTileBytes), scale_(scale) {
    clear(dq_);
  }

  template <typename Query, typename Gradient, typename State>
  CG_DEVICE void begin(const Query& query, const Gradient& gradient, const State& state) {
    const void* any = query(0);
    Tile::template fill<kRows, kThreads>(q_, query, any);
    Tile::template fill<kRows, kThreads>(q_ + kTileBytes, gradient, any);
    for (int h = 0; h < 2; h++) state_[h] = state(warpRow() + laneId() / 4 + h * 8);
  }

  template <typename Next, typename Visible>
  CG_DEVICE void attend(Next& next, const Visible& visible) {
    ring_.walk(next, [&](const KeyBlock<T>& block, SharedAddress keys, SharedAddress values) {
      step(block, keys, values, visible);
    });
  }

  CG_DEVICE bool again() {
    const bool spoiled = __syncthreads_or(anyNan(dq_));
    if (careful_ || !spoiled) return false;
    careful_ = true;
    clear(dq_);
    return true;
  }

  template <typename To>
  CG_DEVICE void write(const To& to) const {
    Tile::store(
        q_, warpRow(), [&](int i, int h) { return scaledPair(dq_[0][i], h, scale_); }, to);
  }

 private:
  static constexpr int kPairs = kKeys / 16;

  CG_DEVICE static int warpRow() { return int(threadIdx.x) / kWarp * 16; }

  template <typename Visible>
  CG_DEVICE void step(const KeyBlock<T>& block, SharedAddress keys, SharedAddress values,
                      const Visible& visible) {
    const int lane = laneId(), row = warpRow() + lane / 4;
    const int seen[2] = {visible(row, block), visible(row + 8, block)};
    if (!__any_sync(0xffffffffu, (seen[0] | seen[1]) != 0)) return;  // another sample's keys
    float s[1][2 * kPairs][4], d[1][2 * kPairs][4];
    Tile::template products<kPairs>(s, q_, warpRow(), keys);
    Tile::template products<kPairs>(d, q_ + kTileBytes, warpRow(), values);
    CG_UNROLL
    for (int h = 0; h < 2; h++) {
      CG_UNROLL
      for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
      for (int e = 0; e < 2; e++) {
        const bool sees = j * 8 + lane % 4 * 2 + e < seen[h];
        float& x = s[0][j][2 * h + e];
        const float p = ex2(x * (scale_ * kLog2E) - state_[h].lse2);
        x = sees ? p * (d[0][j][2 * h + e] - state_[h].delta) : 0.0f;
      }
    }
    if (careful_)
      Tile::template weighSeen<kPairs>(dq_, s, keys, seen);
    else
      Tile::template weigh<kPairs>(dq_, s, keys);
  }

  SharedAddress q_;
  Ring ring_;
  float scale_;
  bool careful_ = false;
  RowState state_[2];
  float dq_[1][kDim / 8][4];
};

// Calls f.operator()<Core>() with the core that the rows allow.
template <typename F>
Status withGradQuery(DType dtype, int64_t dim, bool aligned, const F& f) {
  const auto plain = [&]<typename T>(T) -> Status {
    if (dim <= 128) return f.template operator()<PlainGradQuery<T, 32, 32, 128>>();
    if (dim <= 256) return f.template operator()<PlainGradQuery<T, 16, 32, 256>>();
    return f.template operator()<PlainGradQuery<T, 8, 16, 512>>();
  };
  return withHeadDim<MmaGradQuery>(dtype, dim, aligned, plain, f);
}

}  // namespace callgrad::gpu
