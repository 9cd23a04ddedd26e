// Rows of q, k and v in shared memory, as the attention cores work on them: fp32 rows for the plain
// ones, swizzled bf16 tiles for tensor cores, and the ring through which blocks of keys come.
//
// A source of rows is a function of a row's number that gives its address, or null for a row that
// is not there (zeros are loaded for it).
#pragma once
#include "cuda/attention_products.cuh"

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
  // Rows [rowBegin, rowEnd) see it, row t the first t + seenMore keys.
  int rowBegin = 0, rowEnd = INT32_MAX;
  int64_t seenMore = INT32_MAX;

  CG_DEVICE int64_t offset(int j, int64_t stride) const {
    if (!pages) return (first + j) * stride;
    const int64_t key = first + j, page = key / pageSize;
    return int64_t(pages[page]) * pageStride + (key - page * pageSize) * stride;
  }
  CG_DEVICE const T* key(int j) const { return k + offset(j, kStride); }
  CG_DEVICE const T* value(int j) const { return v + offset(j, vStride); }
};

// ---- fp32 rows ----------------------------------------------------------------------------------

// Floats from a row to the next: odd, so that rows of different threads start on different banks.
constexpr int plainStride(int dim) { return dim | 1; }

template <int kThreads, typename Source>
CG_DEVICE void loadPlain(float* to, int rows, int dim, const Source& source) {
  for (int i = int(threadIdx.x); i < rows * dim; i += kThreads) {
    const int r = i / dim, c = i - r * dim;
    const auto* from = source(r);
    to[r * plainStride(dim) + c] = from ? toFloat(from[c]) : 0.0f;
  }
}

CG_DEVICE float dotPlain(const float* a, const float* b, int dim) {
  float sum = 0;
  for (int c = 0; c < dim; c++) sum = fmaf(a[c], b[c], sum);
  return sum;
}

// ---- bf16 tiles ---------------------------------------------------------------------------------

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
  // s = 16 rows of `left` from `row`, times the first 16 kPairs rows of `right`
  template <int kPairs>
  CG_DEVICE static void products(float (&s)[1][2 * kPairs][4], SharedAddress left, int row,
                                 SharedAddress right) {
    CG_UNROLL
    for (int j = 0; j < 2 * kPairs; j++) CG_UNROLL
    for (int k = 0; k < 4; k++) s[0][j][k] = 0;
    CG_UNROLL
    for (int k16 = 0; k16 < kDim / 16; k16++) {
      uint32_t in[1][4], b[2 * kPairs][2];
      a(in[0], left, row, k16);
      bRowsOf<kPairs>(b, right, 0, k16);
      mma_tiles_bf16(s, in, b);
    }
  }
  // d += 16 rows of weights, times the first 16 kPairs rows of `tile`.
  template <int kPairs>
  CG_DEVICE static void weigh(float (&d)[1][kDim / 8][4], const float (&weights)[1][2 * kPairs][4],
                              SharedAddress tile) {
    CG_UNROLL
    for (int j = 0; j < kPairs; j++) {  // two tiles of weights are one A fragment
      uint32_t a[1][4], b[kDim / 8][2];
      packRows(a[0], weights[0][2 * j], weights[0][2 * j + 1]);
      bColumnsOf(b, tile, j * 16);
      mma_tiles_bf16(d, a, b);
    }
  }
  // The same, with care. `seen`: the rows of `tile` that rows lane / 4 and lane / 4 + 8 see.
  template <int kPairs>
  CG_DEVICE static void weighSeen(float (&d)[1][kDim / 8][4],
                                  const float (&weights)[1][2 * kPairs][4], SharedAddress tile,
                                  const int (&seen)[2]) {
    CG_UNROLL
    for (int j = 0; j < kPairs; j++) {
      const uint32_t bits[2] = {seenBits(seen[0], j * 16), seenBits(seen[1], j * 16)};
      uint32_t a[4];
      packRows(a, weights[0][2 * j], weights[0][2 * j + 1]);
      CG_UNROLL
      for (int i = 0; i < kDim / 8; i += 2) {  // all columns at once would spill
        uint32_t b[2][2];
        bColumnsOf(b, tile, j * 16, i * 8);
        mmaSeen(d[0] + i, a, b, bits);
      }
    }
  }

  // Writes 16 rows of sums that the warp holds, by way of its rows of `tile` from `row`: by 16
  // bytes a lane, while fragments would fill sectors by halves. pair(i, h): columns 8 i + lane % 4
  // * 2 of row lane / 4 + 8 h; to(r): where row r goes, or null.
  template <typename Pair, typename To>
  CG_DEVICE static void store(SharedAddress tile, int row, const Pair& pair, const To& to) {
    const int lane = laneId();
    CG_UNROLL
    for (int i = 0; i < kDim / 8; i++) CG_UNROLL
    for (int h = 0; h < 2; h++)
      st4(sharedPointer(tile + at(row + lane / 4 + h * 8, i) + lane % 4 * 4), pair(i, h));
    __syncwarp();
    CG_UNROLL
    for (int n = 0; n < kChunks / 2; n++) {
      const int i = n * kWarp + lane, r = row + i / kChunks, chunk = i % kChunks;
      if (BFloat16* out = to(r)) st16(out + chunk * 8, ld16(sharedPointer(tile + at(r, chunk))));
    }
  }
};

// Blocks of keys and values go through two buffers each: while a block is worked on, the next one
// is on its way. One wait for all copies a block: they need no groups.
template <int kDim, int kKeys, int kThreads>
class KeyRing {
 public:
  using Tile = HeadTile<kDim>;
  static constexpr int kTileBytes = kKeys * Tile::kRowBytes, kBytes = 4 * kTileBytes;

  CG_DEVICE explicit KeyRing(SharedAddress memory) : memory_(memory) {}

  // step(block, keys, values) for each block that next() gives. What was on its way before is there
  // at the first step, and after the last.
  template <typename Next, typename Step>
  CG_DEVICE void walk(Next& next, const Step& step) {
    KeyBlock<BFloat16> block = next();
    if (block.count > 0) fill(block, 0);
    for (int at = 0; block.count > 0; at ^= 1) {
      cp_async_wait_all();
      __syncthreads();  // this block is there, and the other buffers have been read
      const KeyBlock<BFloat16> following = next();
      if (following.count > 0) fill(following, at ^ 1);
      step(block, keys(at), values(at));
      block = following;
    }
    cp_async_wait_all();  // the rows of the tile itself, where there was no block
  }

 private:
  CG_DEVICE SharedAddress keys(int at) const { return memory_ + at * kTileBytes; }
  CG_DEVICE SharedAddress values(int at) const { return memory_ + (2 + at) * kTileBytes; }

  CG_DEVICE void fill(const KeyBlock<BFloat16>& block, int at) {
    const auto key = [&](int j) { return j < block.count ? block.key(j) : nullptr; };
    const auto value = [&](int j) { return j < block.count ? block.value(j) : nullptr; };
    Tile::template fill<kKeys, kThreads>(keys(at), key, block.k);
    Tile::template fill<kKeys, kThreads>(values(at), value, block.v);
  }

  SharedAddress memory_;
};

// ---- host side ----------------------------------------------------------------------------------

// Calls f.operator()<Core>() with the tensor-core core of bf16 rows that allow it, otherwise what
// plain(T{}) chooses.
template <template <int> typename Mma, typename Plain, typename F>
Status withHeadDim(DType dtype, int64_t dim, bool aligned, const Plain& plain, const F& f) {
  if (dtype == DType::kBF16 && aligned) {
    if (dim == 64) return f.template operator()<Mma<64>>();
    if (dim == 80) return f.template operator()<Mma<80>>();
    if (dim == 96) return f.template operator()<Mma<96>>();
    if (dim == 128) return f.template operator()<Mma<128>>();
  }
  return dtype == DType::kBF16 ? plain(BFloat16{}) : plain(float{});
}

}  // namespace callgrad::gpu
