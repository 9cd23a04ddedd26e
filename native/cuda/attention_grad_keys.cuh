// dK and dV of a block of keys: walks the tiles of query rows that see them, in the order of the
// segments, and keeps both sums in registers, so that no two blocks add to one element.
//
//   P = 2^(c q k^T - log2(e) lse)   dV = P^T dOut   dS = P (dOut v^T - delta)   dK = scale dS^T q
//
// Cores: begin(key, value), then add(source, visible) for each tile of rows, then again() (whether
// all tiles have to be added once more), then write(toKey, toValue). A source gives rows of q and
// dOut and their states; visible(key, row) says whether the row sees the key.
#pragma once
#include "cuda/attention_grad_query.cuh"

namespace callgrad::gpu {

template <typename T_, int kKeys_, int kRows_, int kMaxDim>
class PlainGradKeys {
 public:
  using T = T_;
  static constexpr int kKeys = kKeys_, kRows = kRows_, kThreads = 128, kPer = kThreads / kKeys;
  static constexpr int kOwn = kMaxDim / kPer;
  static size_t sharedBytes(int dim) {
    return (size_t(2 * kKeys + 2 * kRows) * size_t(plainStride(dim)) + 2 * kKeys * (kRows + 1)) * 4;
  }

  CG_DEVICE PlainGradKeys(float* memory, int dim, float scale)
      : k_(memory),
        v_(k_ + kKeys * plainStride(dim)),
        q_(v_ + kKeys * plainStride(dim)),
        dOut_(q_ + kRows * plainStride(dim)),
        p_(dOut_ + kRows * plainStride(dim)),
        ds_(p_ + kKeys * (kRows + 1)),
        dim_(dim),
        stride_(plainStride(dim)),
        scale_(scale) {
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) dk_[i] = dv_[i] = 0;
  }

  template <typename Key, typename Value>
  CG_DEVICE void begin(const Key& key, const Value& value) {
    loadPlain<kThreads>(k_, kKeys, dim_, key);
    loadPlain<kThreads>(v_, kKeys, dim_, value);
  }

  template <typename Query, typename Gradient, typename State, typename Visible>
  CG_DEVICE void add(const Query& query, const Gradient& gradient, const State& state,
                     const Visible& visible) {
    const int key = row(), part = int(threadIdx.x) % kPer;
    __syncthreads();  // the last tile has been read
    loadPlain<kThreads>(q_, kRows, dim_, query);
    loadPlain<kThreads>(dOut_, kRows, dim_, gradient);
    __syncthreads();
    float *p = p_ + key * (kRows + 1), *ds = ds_ + key * (kRows + 1);
    for (int r = part; r < kRows; r += kPer) {
      p[r] = ds[r] = 0;
      if (!visible(key, r)) continue;
      const RowState s = state(r);
      const float x = dotPlain(q_ + r * stride_, k_ + key * stride_, dim_) * scale_ * kLog2E;
      p[r] = exp2f(x - s.lse2);
      ds[r] = p[r] * (dotPlain(dOut_ + r * stride_, v_ + key * stride_, dim_) - s.delta);
    }
    __syncwarp();
    for (int r = 0; r < kRows; r++) {
      if (!visible(key, r)) continue;  // 0 times what is not finite is not 0
      const float weight = p[r], slope = ds[r];
      const float *q = q_ + r * stride_, *g = dOut_ + r * stride_;
      CG_UNROLL
      for (int i = 0; i < kOwn; i++) {
        const int c = part + i * kPer;
        if (c >= dim_) break;
        dv_[i] = fmaf(weight, g[c], dv_[i]);
        dk_[i] = fmaf(slope, q[c], dk_[i]);
      }
    }
  }

  CG_DEVICE bool again() { return false; }

  // dK of key j to where toKey(j) says, dV to where toValue(j) does; null for no key
  template <typename ToKey, typename ToValue>
  CG_DEVICE void write(const ToKey& toKey, const ToValue& toValue) const {
    T *dk = toKey(row()), *dv = toValue(row());
    if (!dk) return;
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) {
      const int c = int(threadIdx.x) % kPer + i * kPer;
      if (c >= dim_) break;
      dk[c] = fromFloat<T>(dk_[i] * scale_);
      dv[c] = fromFloat<T>(dv_[i]);
    }
  }

 private:
  CG_DEVICE static int row() { return int(threadIdx.x) / kPer; }

  float *k_, *v_, *q_, *dOut_, *p_, *ds_;
  int dim_, stride_;
  float scale_;
  float dk_[kOwn], dv_[kOwn];
};

// Scores are computed transposed, keys down the rows of the fragments, so that P^T and dS^T are A
// fragments of the next products without leaving registers. A warp owns 16 keys.
template <int kDim>
class MmaGradKeys {
 public:
  using T = BFloat16;
  using Tile = HeadTile<kDim>;
  static constexpr int kKeys = 64, kRows = kDim > 64 ? 16 : 32, kThreads = 128;  // 255 registers
  static constexpr int kKeyBytes = kKeys * Tile::kRowBytes, kRowBytes = kRows * Tile::kRowBytes;
  static size_t sharedBytes(int) { return size_t(2) * kKeyBytes + size_t(2) * kRowBytes; }

  CG_DEVICE MmaGradKeys(float* memory, int, float scale)
      : k_(sharedAddress(memory)), scale_(scale) {
    reset();
  }

  template <typename Key, typename Value>
  CG_DEVICE void begin(const Key& key, const Value& value) {
    any_ = key(0);
    Tile::template fill<kKeys, kThreads>(k_, key, any_);
    Tile::template fill<kKeys, kThreads>(v(), value, any_);
  }

  template <typename Query, typename Gradient, typename State, typename Visible>
  CG_DEVICE void add(const Query& query, const Gradient& gradient, const State& state,
                     const Visible& visible) {
    __syncthreads();  // the last tile has been read
    Tile::template fill<kRows, kThreads>(q(), query, any_);
    Tile::template fill<kRows, kThreads>(dOut(), gradient, any_);
    const int lane = laneId();
    cp_async_wait_all();
    __syncthreads();

    float s[1][2 * kPairs][4], d[1][2 * kPairs][4];
    Tile::template products<kPairs>(s, k_, warpKey(), q());
    Tile::template products<kPairs>(d, v(), warpKey(), dOut());
    CG_UNROLL
    for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
    for (int e = 0; e < 2; e++) {
      const int row = j * 8 + lane % 4 * 2 + e;
      const RowState of = state(row);
      CG_UNROLL
      for (int h = 0; h < 2; h++) {
        const bool sees = visible(warpKey() + lane / 4 + h * 8, row);
        float &x = s[0][j][2 * h + e], &y = d[0][j][2 * h + e];
        x = sees ? ex2(x * (scale_ * kLog2E) - of.lse2) : 0.0f;
        y = sees ? x * (y - of.delta) : 0.0f;
      }
    }
    if (careful_) {
      CG_UNROLL
      for (int j = 0; j < kPairs; j++) {
        uint32_t seen[2] = {0, 0};
        for (int i = 0; i < 16; i++) CG_UNROLL
        for (int h = 0; h < 2; h++)
          seen[h] |= uint32_t(visible(warpKey() + lane / 4 + h * 8, j * 16 + i)) << i;
        step(j, s, d,
             [&](auto& sum, const auto& a, const auto& b) { mmaSeen(sum[0], a[0], b, seen); });
      }
    } else {
      CG_UNROLL
      for (int j = 0; j < kPairs; j++)
        step(j, s, d, [](auto& sum, const auto& a, const auto& b) { mma_tiles_bf16(sum, a, b); });
    }
  }

  CG_DEVICE bool again() {
    bool nan = false;
    CG_UNROLL
    for (int part = 0; part < kParts; part++) nan |= anyNan(dk_[part]) || anyNan(dv_[part]);
    cp_async_wait_all();  // the keys themselves, where no row saw them
    const bool spoiled = __syncthreads_or(nan);
    if (careful_ || !spoiled) return false;
    careful_ = true;
    reset();
    return true;
  }

  template <typename ToKey, typename ToValue>
  CG_DEVICE void write(const ToKey& toKey, const ToValue& toValue) const {
    const auto pair = [](const Sums& sums, float by) {
      return [&sums, by](int i, int h) { return scaledPair(sums[i / kPart][0][i % kPart], h, by); };
    };
    Tile::store(k_, warpKey(), pair(dk_, scale_), toKey);
    Tile::store(v(), warpKey(), pair(dv_, 1.0f), toValue);
  }

 private:
  static constexpr int kPairs = kRows / 16;
  // Columns are taken in parts: the fragments of all of them at once would spill.
  static constexpr int kPart = kDim <= 64 ? 4 : 2, kParts = kDim / 8 / kPart;
  using Sums = float[kParts][1][kPart][4];

  // Adds 16 rows' share: P^T dOut and dS^T q.
  template <typename Product>
  CG_DEVICE void step(int j, const float (&s)[1][2 * kPairs][4], const float (&d)[1][2 * kPairs][4],
                      const Product& product) {
    uint32_t p[1][4], ds[1][4], b[kPart][2];
    packRows(p[0], s[0][2 * j], s[0][2 * j + 1]);
    packRows(ds[0], d[0][2 * j], d[0][2 * j + 1]);
    CG_UNROLL
    for (int part = 0; part < kParts; part++) {
      Tile::bColumnsOf(b, dOut(), j * 16, part * kPart * 8);
      product(dv_[part], p, b);
      Tile::bColumnsOf(b, q(), j * 16, part * kPart * 8);
      product(dk_[part], ds, b);
    }
  }
  CG_DEVICE void reset() {
    CG_UNROLL
    for (int part = 0; part < kParts; part++) clear(dk_[part]), clear(dv_[part]);
  }

  CG_DEVICE static int warpKey() { return int(threadIdx.x) / kWarp * 16; }
  CG_DEVICE SharedAddress v() const { return k_ + kKeyBytes; }
  CG_DEVICE SharedAddress q() const { return k_ + 2 * kKeyBytes; }
  CG_DEVICE SharedAddress dOut() const { return q() + kRowBytes; }

  SharedAddress k_;
  const void* any_ = nullptr;
  float scale_;
  bool careful_ = false;
  Sums dk_, dv_;
};

template <typename F>
Status withGradKeys(DType dtype, int64_t dim, bool aligned, const F& f) {
  const auto plain = [&]<typename T>(T) -> Status {
    if (dim <= 128) return f.template operator()<PlainGradKeys<T, 32, 16, 128>>();
    if (dim <= 256) return f.template operator()<PlainGradKeys<T, 16, 16, 256>>();
    return f.template operator()<PlainGradKeys<T, 8, 8, 512>>();
  };
  return withHeadDim<MmaGradKeys>(dtype, dim, aligned, plain, f);
}

}  // namespace callgrad::gpu
