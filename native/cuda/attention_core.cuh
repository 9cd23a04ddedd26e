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
//   core.each(f)                   f(r, column, value pairs, maximum, sum) over what the thread
//   holds
//
// A block of keys is any source of rows: contiguous, or found through a page table.
#pragma once
#include <cmath>

#include "cuda/rows.cuh"

namespace callgrad::gpu {

inline constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// Keys of one run and where their rows lie.
template <typename T>
struct KeyBlock {
  const T *k = nullptr, *v = nullptr;  // row 0 of the head
  int64_t kStride = 0, vStride = 0;
  const int32_t* pages = nullptr;  // paged: row j is in pages[(first + j) / pageSize]
  int64_t pageStride = 0;
  int pageSize = 1;
  int64_t first = 0;  // of the run
  int count = 0;      // 0: no block is left
  int kind = 0;       // for visible(): which run

  CG_DEVICE int64_t offset(int j, int64_t stride) const {
    if (!pages) return (first + j) * stride;
    const int64_t key = first + j, page = key / pageSize;
    return int64_t(pages[page]) * pageStride + (key - page * pageSize) * stride;
  }
  CG_DEVICE const T* key(int j) const { return k + offset(j, kStride); }
  CG_DEVICE const T* value(int j) const { return v + offset(j, vStride); }
};

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
    return (size_t(kRows + kKeys) * size_t(rowFloats(dim)) + kRows * (kKeys + 1)) * 4;
  }

  CG_DEVICE PlainCore(float* memory, int dim, float scale)
      : q_(memory),
        kv_(memory + kRows * rowFloats(dim)),
        p_(kv_ + kKeys * rowFloats(dim)),
        dim_(dim),
        scale_(scale * kLog2E) {
    CG_UNROLL
    for (int i = 0; i < kOwn; i++) out_[i] = 0;
  }

  template <typename Query>
  CG_DEVICE void begin(const Query& query) {
    for (int i = int(threadIdx.x); i < kRows * dim_; i += kThreads) {
      const int r = i / dim_, c = i - r * dim_;
      const T* from = query(r);
      q_[r * rowFloats(dim_) + c] = from ? toFloat(from[c]) : 0.0f;
    }
    __syncthreads();
  }

  template <typename Next, typename Visible>
  CG_DEVICE void attend(Next& next, const Visible& visible) {
    const int r = row(), part = int(threadIdx.x) % kPer;
    float* p = p_ + r * (kKeys + 1);
    for (KeyBlock<T> block = next(); block.count > 0; block = next()) {
      loadRows(block, true);
      const int seen = visible(r, block);
      float most = -INFINITY;
      for (int j = part; j < seen; j += kPer) {
        const float* k = kv_ + j * rowFloats(dim_);
        const float* q = q_ + r * rowFloats(dim_);
        float dot = 0;
        for (int c = 0; c < dim_; c++) dot = fmaf(q[c], k[c], dot);
        dot *= scale_;
        p[j] = dot;
        most = dot > most || dot != dot ? dot : most;
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
      loadRows(block, false);
      CG_UNROLL
      for (int i = 0; i < kOwn; i++) out_[i] *= keep;
      for (int j = 0; j < seen; j++) {
        const float weight = p[j];
        const float* v = kv_ + j * rowFloats(dim_);
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
  // Rows of different threads start on different banks.
  static CG_DEVICE int rowFloats(int dim) { return dim | 1; }
  CG_DEVICE static int row() { return int(threadIdx.x) / kPer; }

  CG_DEVICE void loadRows(const KeyBlock<T>& block, bool keys) {
    for (int i = int(threadIdx.x); i < block.count * dim_; i += kThreads) {
      const int j = i / dim_, c = i - j * dim_;
      kv_[j * rowFloats(dim_) + c] = toFloat((keys ? block.key(j) : block.value(j))[c]);
    }
    __syncthreads();
  }

  float *q_, *kv_, *p_;
  int dim_;
  float scale_;
  float max_ = -INFINITY, sum_ = 0;
  float out_[kOwn];
};

// ---- tensor cores -------------------------------------------------------------------------------

// Tiles of bf16 rows in shared memory: 16-byte chunks, their index xor-ed with the row's low bits,
// so that the 8 rows of an ldmatrix lie on 8 bank groups. Rows of 80 and 96 elements take the place
// of 128.
template <int kDim>
struct HeadTile {
  static_assert(kDim % 16 == 0 && kDim <= 128);
  static constexpr int kChunks = kDim / 8, kPlaces = kDim <= 64 ? 8 : 16, kRowBytes = kPlaces * 16;

  CG_DEVICE static int at(int row, int chunk) { return (row * kPlaces + (chunk ^ (row & 7))) * 16; }

  // Copies rows [0, kCount) that source(r) gives; null rows become zeros. Not waited for.
  template <int kCount, int kThreads, typename Source>
  CG_DEVICE static void fill(SharedAddress to, const Source& source, const void* any) {
    CG_UNROLL
    for (int n = 0; n < (kCount * kChunks + kThreads - 1) / kThreads; n++) {
      const int i = n * kThreads + int(threadIdx.x);
      if (i >= kCount * kChunks) break;
      const int r = i / kChunks, chunk = i - r * kChunks;
      const BFloat16* from = source(r);
      cp_async_16(to + at(r, chunk), from ? static_cast<const void*>(from + chunk * 8) : any,
                  from ? 16 : 0);
    }
  }

  // A fragments: 16 rows from `row`, columns of step k16.
  CG_DEVICE static void a(uint32_t (&out)[4], SharedAddress tile, int row, int k16) {
    const int lane = laneId();
    ldmatrix_x4(out, tile + at(row + (lane & 15), k16 * 2 + (lane >> 4)));
  }
  // B fragments of 16 kPairs columns of the product, which are rows of the tile from `row`.
  template <int kPairs>
  CG_DEVICE static void bRowsOf(uint32_t (&out)[2 * kPairs][2], SharedAddress tile, int row,
                                int k16) {
    const int lane = laneId();
    SharedAddress from[kPairs];
    uint32_t r[kPairs][4];
    CG_UNROLL
    for (int j = 0; j < kPairs; j++)
      from[j] = tile + at(row + j * 16 + (lane & 7) + (lane >> 4) * 8, k16 * 2 + ((lane >> 3) & 1));
    ldmatrix_x4(r, from);
    CG_UNROLL
    for (int j = 0; j < kPairs; j++) {
      out[2 * j][0] = r[j][0], out[2 * j][1] = r[j][1];
      out[2 * j + 1][0] = r[j][2], out[2 * j + 1][1] = r[j][3];
    }
  }
  // B fragments of 8 kTiles columns of the tile from `column`, summed over its rows [row, row +
  // 16).
  template <int kTiles>
  CG_DEVICE static void bColumnsOf(uint32_t (&out)[kTiles][2], SharedAddress tile, int row,
                                   int column = 0) {
    static_assert(kTiles % 2 == 0);
    const int lane = laneId();
    SharedAddress from[kTiles / 2];
    uint32_t r[kTiles / 2][4];
    CG_UNROLL
    for (int i = 0; i < kTiles / 2; i++)
      from[i] = tile + at(row + (lane & 15), column / 8 + i * 2 + (lane >> 4));
    ldmatrix_x4_trans(r, from);
    CG_UNROLL
    for (int i = 0; i < kTiles / 2; i++) {
      out[2 * i][0] = r[i][0], out[2 * i][1] = r[i][1];
      out[2 * i + 1][0] = r[i][2], out[2 * i + 1][1] = r[i][3];
    }
  }
};

// Two tiles of fp32 fragments, side by side, as the A fragment of a product over their columns.
CG_DEVICE void packRows(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = packBf16x2(left[0], left[1]);
  a[1] = packBf16x2(left[2], left[3]);
  a[2] = packBf16x2(right[0], right[1]);
  a[3] = packBf16x2(right[2], right[3]);
}

// A warp owns 16 rows. Keys and values go through two buffers each: while a block is worked on, the
// next one is on its way.
template <int kDim>
class MmaCore {
 public:
  using T = BFloat16;
  using Tile = HeadTile<kDim>;
  static constexpr int kRows = 64, kKeys = 64, kThreads = 128;
  static constexpr int kTileBytes = kRows * Tile::kRowBytes;
  static size_t sharedBytes(int) { return size_t(5) * kTileBytes; }

  CG_DEVICE MmaCore(float* memory, int, float scale)
      : q_(sharedAddress(memory)), scale_(scale * kLog2E) {
    CG_UNROLL
    for (int i = 0; i < kDim / 8; i++) CG_UNROLL
    for (int k = 0; k < 4; k++) out_[0][i][k] = 0;
  }

  template <typename Query>
  CG_DEVICE void begin(const Query& query) {
    const void* any = nullptr;
    for (int r = 0; r < kRows && !any; r++) any = query(r);
    Tile::template fill<kRows, kThreads>(q_, query, any);
    cp_async_commit();
  }

  template <typename Next, typename Visible>
  CG_DEVICE void attend(Next& next, const Visible& visible) {
    KeyBlock<T> block = next();
    if (block.count > 0) fill(block, 0);
    for (int at = 0; block.count > 0; at ^= 1) {
      cp_async_wait_all();
      __syncthreads();  // this block is there, and the other buffers have been read
      const KeyBlock<T> following = next();
      if (following.count > 0) fill(following, at ^ 1);
      step(block, at, visible);
      block = following;
    }
    cp_async_wait_all();  // the rows of q, where there was no block
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
  CG_DEVICE SharedAddress keys(int at) const { return q_ + (1 + at) * kTileBytes; }
  CG_DEVICE SharedAddress values(int at) const { return q_ + (3 + at) * kTileBytes; }

  CG_DEVICE void fill(const KeyBlock<T>& block, int at) {
    const auto key = [&](int j) { return j < block.count ? block.key(j) : nullptr; };
    const auto value = [&](int j) { return j < block.count ? block.value(j) : nullptr; };
    Tile::template fill<kKeys, kThreads>(keys(at), key, block.k);
    Tile::template fill<kKeys, kThreads>(values(at), value, block.v);
    cp_async_commit();
  }

  template <typename Visible>
  CG_DEVICE void step(const KeyBlock<T>& block, int at, const Visible& visible) {
    constexpr int kPairs = kKeys / 16;
    float s[1][2 * kPairs][4];
    CG_UNROLL
    for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
    for (int k = 0; k < 4; k++) s[0][j][k] = 0;
    CG_UNROLL
    for (int k16 = 0; k16 < kDim / 16; k16++) {
      uint32_t a[1][4], b[2 * kPairs][2];
      Tile::a(a[0], q_, warpRow(), k16);
      Tile::template bRowsOf<kPairs>(b, keys(at), 0, k16);
      mma_tiles_bf16(s, a, b);
    }
    const int lane = laneId();
    float most[2] = {-INFINITY, -INFINITY};
    CG_UNROLL
    for (int h = 0; h < 2; h++) {
      const int seen = visible(warpRow() + lane / 4 + h * 8, block);
      CG_UNROLL
      for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
      for (int e = 0; e < 2; e++) {
        float& x = s[0][j][2 * h + e];
        x = j * 8 + lane % 4 * 2 + e < seen ? x * scale_ : -INFINITY;
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
    CG_UNROLL
    for (int j = 0; j < kPairs; j++) {  // 16 keys: two score tiles are one A fragment
      uint32_t a[1][4], b[kDim / 8][2];
      packRows(a[0], s[0][2 * j], s[0][2 * j + 1]);
      Tile::bColumnsOf(b, values(at), j * 16);
      mma_tiles_bf16(out_, a, b);
    }
  }

  SharedAddress q_;
  float scale_;
  float max_[2] = {-INFINITY, -INFINITY}, sum_[2] = {0, 0};
  float out_[1][kDim / 8][4];
};

inline float softmaxScale(double attr, int64_t dim) {
  return attr != 0 ? float(attr) : float(1.0 / std::sqrt(double(dim)));
}

// Calls f.operator()<Core>() with the core that the rows allow.
template <typename F>
Status withCore(DType dtype, int64_t dim, bool aligned, F&& f) {
  if (dtype == DType::kBF16 && aligned) {
    if (dim == 64) return f.template operator()<MmaCore<64>>();
    if (dim == 80) return f.template operator()<MmaCore<80>>();
    if (dim == 96) return f.template operator()<MmaCore<96>>();
    if (dim == 128) return f.template operator()<MmaCore<128>>();
  }
  if (dtype == DType::kBF16)
    return dim <= 256 ? f.template operator()<PlainCore<BFloat16, 32, 256>>()
                      : f.template operator()<PlainCore<BFloat16, 16, 512>>();
  return dim <= 256 ? f.template operator()<PlainCore<float, 32, 256>>()
                    : f.template operator()<PlainCore<float, 16, 512>>();
}

}  // namespace callgrad::gpu
