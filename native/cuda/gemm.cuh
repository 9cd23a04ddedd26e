// Matrix products C [M, N] = A B with fp32 sums, and what is done with a tile of them.
//
// bf16: tensor cores (mma m16n8k16). A block computes a kM x kN tile; operand tiles of kDepth
// columns go through a ring of kStages buffers filled by cp.async. Operands may lie with the inner
// (summed) dimension contiguous or with the outer one: the first are read by ldmatrix, the second
// by ldmatrix.trans, so no operand is ever transposed in memory. Rows of a buffer are 16-byte
// chunks whose index is xor-ed with the row's low bits: the 8 rows of an ldmatrix fall on 8
// different bank groups. fp32: FFMA, since tensor cores would round operands to 11 bits (f32
// products are for parity and small models).
//
// Every element of C is one chain over the inner dimension in steps of 16 (1 in fp32), in order, in
// every tile shape: a row's bits do not depend on M or on the shape chosen. There is no split of
// the inner dimension, which would be faster at few rows and short outputs and would break that.
//
// The finished tile is put into shared memory (over the buffers) and an Epilogue walks it there: it
// stores, adds to fp32 gradients, reduces logits to statistics, or turns them into gradients,
// always with coalesced accesses.
//
// Traffic: A is read N / kN times and B M / kM times, from L2 but for the first time. Limits: the
// tensor cores at thousands of rows, memory (the weights, once) up to about 64 rows.
#pragma once
#include "cuda/rows.cuh"

namespace callgrad::gpu {

// Element (i, k), k summed over: data[i * outer + k * inner]; one of the two is 1 unless kAny.
template <typename T>
struct Operand {
  const T* data;
  int64_t outer, inner;
};

// How an operand's tile is read: kInner and kOuter want 16-byte aligned rows along that dimension.
enum class Walk { kInner, kOuter, kAny };

template <typename T>
struct Product {
  Operand<T> a, b;
  int64_t m, n, depth;
};

// Tile shapes of the bf16 kernel; a warp computes kWarpM x kWarpN.
template <int kM_, int kN_, int kWarpM_, int kWarpN_, int kStages_>
struct Shape {
  static constexpr int kM = kM_, kN = kN_, kWarpM = kWarpM_, kWarpN = kWarpN_, kStages = kStages_;
  static constexpr int kDepth = 64;
  static constexpr int kThreads = kM / kWarpM * (kN / kWarpN) * kWarp;
  static constexpr int kTileStride = kN + 8;  // floats: fragment rows fall on different banks
  static constexpr size_t kRing = size_t(kM + kN) * kDepth * 2 * kStages;
  static constexpr size_t kTile = size_t(kM) * kTileStride * 4;
  static constexpr size_t kShared = kRing > kTile ? kRing : kTile;
};
// 96 KiB and over 128 registers a thread: one block an SM. Two would need 64 accumulators, the
// fragments and all addresses in 128 registers.
using Large = Shape<128, 128, 64, 32, 3>;
using Medium = Shape<64, 64, 32, 32, 4>;
using Small = Shape<16, 32, 16, 16, 6>;  // decode: many blocks, each with its weights in flight

// The fp32 kernel's shape.
struct Plain {
  static constexpr int kM = 64, kN = 64, kDepth = 16, kThreads = 256, kStages = 3;
  // Floats between rows of a buffer [kDepth][64]: 2 mod 32, so that a store down a column and reads
  // of pairs along a row both touch every bank once.
  static constexpr int kRow = 66;
  static constexpr int kTileStride = kN + 8;
  static constexpr size_t kRing = size_t(2) * kDepth * kRow * 4 * kStages;
  static constexpr size_t kTile = size_t(kM) * kTileStride * 4;
  static constexpr size_t kShared = kRing > kTile ? kRing : kTile;
};

// A finished tile, in shared memory, as an Epilogue sees it.
struct TileView {
  const float* data;
  int stride;           // floats
  int64_t row, column;  // of C
  int rows, columns;    // that lie inside C
  CG_DEVICE const float* at(int r) const { return data + r * stride; }
};

// The tile of shape S at (row, column), as far as the product reaches.
template <typename S, typename T>
CG_DEVICE TileView tileOf(const Product<T>& p, const float* tile, int64_t row, int64_t column) {
  return {tile,
          S::kTileStride,
          row,
          column,
          p.m - row < S::kM ? int(p.m - row) : S::kM,
          p.n - column < S::kN ? int(p.n - column) : S::kN};
}

namespace tensorcore {

// Bytes from the start of a buffer to a 16-byte chunk of a row of kChunks chunks.
template <int kChunks>
CG_DEVICE int chunkAt(int row, int chunk) {
  return (row * kChunks + (chunk ^ (row & 7))) * 16;
}

// Fills the buffer of one operand: kRows outer indices from `first`, kDepth inner ones from `k0`.
template <typename S, Walk kWalk, int kRows>
CG_DEVICE void fill(SharedAddress buffer, const Operand<BFloat16>& x, int64_t first, int64_t rows,
                    int64_t k0, int64_t depth) {
  constexpr bool kInner = kWalk == Walk::kInner;
  constexpr int kChunks = (kInner ? S::kDepth : kRows) / 8;
  constexpr int kLines = kInner ? kRows : S::kDepth;
  static_assert(kLines * kChunks % S::kThreads == 0);
  CG_UNROLL
  for (int n = 0; n < kLines * kChunks / S::kThreads; n++) {
    const int i = n * S::kThreads + int(threadIdx.x), line = i / kChunks, chunk = i % kChunks;
    const int64_t outer = first + (kInner ? line : chunk * 8), k = k0 + (kInner ? chunk * 8 : line);
    const int64_t left = kInner ? depth - k : rows - outer;  // elements of the chunk that exist
    const bool there = left > 0 && (kInner ? outer < rows : k < depth);
    const BFloat16* from = there ? x.data + outer * x.outer + k * x.inner : x.data;
    cp_async_16(buffer + chunkAt<kChunks>(line, chunk), from,
                !there     ? 0
                : left < 8 ? int(left) * 2
                           : 16);
  }
}

// The same element by element, for operands of any strides: stored as kInner stores them.
template <typename S, int kRows>
CG_DEVICE void fillAny(unsigned char* buffer, const Operand<BFloat16>& x, int64_t first,
                       int64_t rows, int64_t k0, int64_t depth) {
  constexpr int kChunks = S::kDepth / 8;
  for (int i = int(threadIdx.x); i < kRows * S::kDepth; i += S::kThreads) {
    // Neighbouring threads take neighbouring elements of memory.
    const bool along = x.inner == 1;
    const int row = along ? i / S::kDepth : i % kRows, k = along ? i % S::kDepth : i / kRows;
    const bool there = first + row < rows && k0 + k < depth;
    const BFloat16 v = there ? x.data[(first + row) * x.outer + (k0 + k) * x.inner] : BFloat16{0};
    *reinterpret_cast<BFloat16*>(buffer + chunkAt<kChunks>(row, k / 8) + k % 8 * 2) = v;
  }
}

// Fragments of kCount 16-row blocks of A from row `row`, inner step k16.
template <typename S, Walk kWalk, int kRows, int kCount>
CG_DEVICE void loadA(uint32_t (&a)[kCount][4], SharedAddress buffer, int row, int k16) {
  const int lane = laneId(), low = lane & 7, middle = (lane >> 3) & 1, high = lane >> 4;
  SharedAddress at[kCount];
  CG_UNROLL
  for (int i = 0; i < kCount; i++) {
    if constexpr (kWalk == Walk::kOuter)
      at[i] = buffer + chunkAt<kRows / 8>(k16 * 16 + low + high * 8, (row + i * 16) / 8 + middle);
    else
      at[i] = buffer + chunkAt<S::kDepth / 8>(row + i * 16 + low + middle * 8, k16 * 2 + high);
  }
  if constexpr (kWalk == Walk::kOuter)
    ldmatrix_x4_trans(a, at);
  else
    ldmatrix_x4(a, at);
}

// Fragments of 2 kCount 8-column blocks of B from column `column`.
template <typename S, Walk kWalk, int kColumns, int kCount>
CG_DEVICE void loadB(uint32_t (&b)[2 * kCount][2], SharedAddress buffer, int column, int k16) {
  const int lane = laneId(), low = lane & 7, middle = (lane >> 3) & 1, high = lane >> 4;
  SharedAddress at[kCount];
  uint32_t pairs[kCount][4];
  CG_UNROLL
  for (int i = 0; i < kCount; i++) {
    if constexpr (kWalk == Walk::kOuter)
      at[i] =
          buffer + chunkAt<kColumns / 8>(k16 * 16 + low + middle * 8, (column + i * 16) / 8 + high);
    else
      at[i] = buffer + chunkAt<S::kDepth / 8>(column + i * 16 + low + high * 8, k16 * 2 + middle);
  }
  if constexpr (kWalk == Walk::kOuter)
    ldmatrix_x4_trans(pairs, at);
  else
    ldmatrix_x4(pairs, at);
  CG_UNROLL
  for (int i = 0; i < kCount; i++) {
    b[2 * i][0] = pairs[i][0], b[2 * i][1] = pairs[i][1];
    b[2 * i + 1][0] = pairs[i][2], b[2 * i + 1][1] = pairs[i][3];
  }
}

}  // namespace tensorcore

// grid: tiles of rows on x, of columns on y.
template <typename S, Walk kA, Walk kB, typename Epilogue>
__global__ void CG_LAUNCH_BOUNDS(S::kThreads, 1)
    gemmBf16Kernel(Product<BFloat16> p, Epilogue epilogue) {
  static_assert((kA == Walk::kAny) == (kB == Walk::kAny));
  constexpr bool kAny = kA == Walk::kAny;
  constexpr int kStages = kAny ? 1 : S::kStages;
  constexpr int kMBlocks = S::kWarpM / 16, kNPairs = S::kWarpN / 16;
  constexpr int kBytesA = S::kM * S::kDepth * 2, kBytes = (S::kM + S::kN) * S::kDepth * 2;
  CG_DYNAMIC_SHARED(unsigned char, memory);
  const int64_t row = int64_t(blockIdx.x) * S::kM, column = int64_t(blockIdx.y) * S::kN;
  const int warp = int(threadIdx.x) / kWarp;
  const int warpRow = warp / (S::kN / S::kWarpN) * S::kWarpM;
  const int warpColumn = warp % (S::kN / S::kWarpN) * S::kWarpN;
  const SharedAddress ring = sharedAddress(memory);
  const int steps = int((p.depth + S::kDepth - 1) / S::kDepth);

  float sum[kMBlocks][2 * kNPairs][4];
  CG_UNROLL
  for (int i = 0; i < kMBlocks; i++) CG_UNROLL
  for (int j = 0; j < 2 * kNPairs; j++) CG_UNROLL
  for (int k = 0; k < 4; k++) sum[i][j][k] = 0;

  const auto fillStep = [&](int step) {
    if constexpr (!kAny) {
      if (step < steps) {
        const SharedAddress buffer = ring + step % kStages * kBytes;
        const int64_t k0 = int64_t(step) * S::kDepth;
        tensorcore::fill<S, kA, S::kM>(buffer, p.a, row, p.m, k0, p.depth);
        tensorcore::fill<S, kB, S::kN>(buffer + kBytesA, p.b, column, p.n, k0, p.depth);
      }
      cp_async_commit();  // empty groups keep the count of those under way
    }
  };
  CG_UNROLL
  for (int s = 0; s < kStages - 1; s++) fillStep(s);
  for (int step = 0; step < steps; step++) {
    if constexpr (kAny) {
      __syncthreads();  // the last step's fragments have been read
      const int64_t k0 = int64_t(step) * S::kDepth;
      tensorcore::fillAny<S, S::kM>(memory, p.a, row, p.m, k0, p.depth);
      tensorcore::fillAny<S, S::kN>(memory + kBytesA, p.b, column, p.n, k0, p.depth);
      __syncthreads();
    } else {
      cp_async_wait<kStages - 2>();
      __syncthreads();  // this step's buffer is full, and the last step's has been read
      fillStep(step + kStages - 1);
    }
    const SharedAddress buffer = ring + step % kStages * kBytes;
    CG_UNROLL
    for (int k16 = 0; k16 < S::kDepth / 16; k16++) {
      uint32_t a[kMBlocks][4], b[2 * kNPairs][2];
      tensorcore::loadA<S, kA, S::kM>(a, buffer, warpRow, k16);
      tensorcore::loadB<S, kB, S::kN, kNPairs>(b, buffer + kBytesA, warpColumn, k16);
      mma_tiles_bf16(sum, a, b);
    }
  }
  __syncthreads();  // the fragments of the last step have been read; no copy is under way

  float* tile = reinterpret_cast<float*>(memory);
  const int lane = laneId(), g = lane / 4, t = lane % 4;
  CG_UNROLL
  for (int i = 0; i < kMBlocks; i++) CG_UNROLL
  for (int j = 0; j < 2 * kNPairs; j++) {
    float* to = tile + (warpRow + i * 16 + g) * S::kTileStride + warpColumn + j * 8 + 2 * t;
    st8(to, make_uint2(asBits(sum[i][j][0]), asBits(sum[i][j][1])));
    st8(to + 8 * S::kTileStride, make_uint2(asBits(sum[i][j][2]), asBits(sum[i][j][3])));
  }
  __syncthreads();
  epilogue.template apply<S>(tileOf<S>(p, tile, row, column));
}

namespace plain {

// Fills a buffer [kDepth][kRow] with 64 outer indices; 4 bytes a copy, so any strides will do.
CG_DEVICE void fill(SharedAddress buffer, const Operand<float>& x, int64_t first, int64_t rows,
                    int64_t k0, int64_t depth) {
  const bool along = x.inner == 1;  // neighbouring threads take neighbouring elements of memory
  CG_UNROLL
  for (int n = 0; n < 64 * Plain::kDepth / Plain::kThreads; n++) {
    const int i = n * Plain::kThreads + int(threadIdx.x);
    const int row = along ? i / Plain::kDepth : i % 64, k = along ? i % Plain::kDepth : i / 64;
    const bool there = first + row < rows && k0 + k < depth;
    const float* from = there ? x.data + (first + row) * x.outer + (k0 + k) * x.inner : x.data;
    cp_async_4(buffer + (k * Plain::kRow + row) * 4, from, there ? 4 : 0);
  }
}

// Four values at pairs p and p + 32 of a buffer's row.
CG_DEVICE void pairs(float (&v)[4], const float* row, int p) {
  float low[2], high[2];
  load<2>(low, row + p);
  load<2>(high, row + 32 + p);
  v[0] = low[0], v[1] = low[1], v[2] = high[0], v[3] = high[1];
}

}  // namespace plain

// A thread computes rows 2y, 2y + 1 and 32 more of each, and columns likewise.
template <typename Epilogue>
__global__ void CG_LAUNCH_BOUNDS(Plain::kThreads, 1)
    gemmF32Kernel(Product<float> p, Epilogue epilogue) {
  constexpr int kStages = Plain::kStages, kFloats = 2 * Plain::kDepth * Plain::kRow;
  CG_DYNAMIC_SHARED(float, memory);
  const int64_t row = int64_t(blockIdx.x) * Plain::kM, column = int64_t(blockIdx.y) * Plain::kN;
  const int x = int(threadIdx.x) % 16 * 2, y = int(threadIdx.x) / 16 * 2;
  const SharedAddress ring = sharedAddress(memory);
  const int steps = int((p.depth + Plain::kDepth - 1) / Plain::kDepth);
  float sum[4][4];
  CG_UNROLL
  for (int i = 0; i < 4; i++) CG_UNROLL
  for (int j = 0; j < 4; j++) sum[i][j] = 0;

  const auto fillStep = [&](int step) {
    if (step < steps) {
      const SharedAddress buffer = ring + step % kStages * kFloats * 4;
      const int64_t k0 = int64_t(step) * Plain::kDepth;
      plain::fill(buffer, p.a, row, p.m, k0, p.depth);
      plain::fill(buffer + kFloats * 2, p.b, column, p.n, k0, p.depth);
    }
    cp_async_commit();
  };
  CG_UNROLL
  for (int s = 0; s < kStages - 1; s++) fillStep(s);
  for (int step = 0; step < steps; step++) {
    cp_async_wait<kStages - 2>();
    __syncthreads();
    fillStep(step + kStages - 1);
    const float* buffer = memory + step % kStages * kFloats;
    CG_UNROLL
    for (int k = 0; k < Plain::kDepth; k++) {
      float a[4], b[4];
      plain::pairs(a, buffer + k * Plain::kRow, y);
      plain::pairs(b, buffer + kFloats / 2 + k * Plain::kRow, x);
      CG_UNROLL
      for (int i = 0; i < 4; i++) CG_UNROLL
      for (int j = 0; j < 4; j++) sum[i][j] = fmaf(a[i], b[j], sum[i][j]);
    }
  }
  __syncthreads();  // the last buffer has been read; no copy is under way
  CG_UNROLL
  for (int i = 0; i < 4; i++) {
    float* to = memory + (y + i % 2 + i / 2 * 32) * Plain::kTileStride + x;
    st8(to, make_uint2(asBits(sum[i][0]), asBits(sum[i][1])));
    st8(to + 32, make_uint2(asBits(sum[i][2]), asBits(sum[i][3])));
  }
  __syncthreads();
  epilogue.template apply<Plain>(tileOf<Plain>(p, memory, row, column));
}

// ---- host side --------------------------------------------------------------------------------

template <typename S, typename Kernel, typename T, typename Epilogue>
Status launchTiles(Gpu& gpu, const char* name, Kernel kernel, const Product<T>& p,
                   const Epilogue& epilogue) {
  if (p.m == 0 || p.n == 0) return {};
  const dim3 grid(unsigned(ceilDiv(p.m, S::kM)), unsigned(ceilDiv(p.n, S::kN)));
  return launch(gpu, name, kernel, grid, dim3(S::kThreads), S::kShared, p, epilogue);
}

// How the bf16 kernel can read an operand.
inline Walk walkOf(const Operand<BFloat16>& x) {
  if (reinterpret_cast<uintptr_t>(x.data) % 16) return Walk::kAny;
  if (x.inner == 1 && x.outer % 8 == 0) return Walk::kInner;
  if (x.outer == 1 && x.inner % 8 == 0) return Walk::kOuter;
  return Walk::kAny;
}

// The product by the element-wise loader, for operands that the others cannot read.
template <typename Epilogue>
Status gemmAny(Gpu& gpu, const char* name, const Product<BFloat16>& p, const Epilogue& e) {
  return launchTiles<Medium>(gpu, name, gemmBf16Kernel<Medium, Walk::kAny, Walk::kAny, Epilogue>, p,
                             e);
}

// Whether tiles of shape S fill the device.
template <typename S>
bool fills(const Gpu& gpu, int64_t m, int64_t n) {
  return ceilDiv(m, S::kM) * ceilDiv(n, S::kN) >= gpu.properties->multiprocessors;
}

template <Walk kA, Walk kB, bool kSmall, typename Epilogue>
Status gemmShaped(Gpu& gpu, const char* name, const Product<BFloat16>& p, const Epilogue& e) {
  if constexpr (kSmall) {
    if (p.m <= 64 && (p.m <= 16 || !fills<Medium>(gpu, p.m, p.n)))
      return launchTiles<Small>(gpu, name, gemmBf16Kernel<Small, kA, kB, Epilogue>, p, e);
  }
  if (fills<Large>(gpu, p.m, p.n))
    return launchTiles<Large>(gpu, name, gemmBf16Kernel<Large, kA, kB, Epilogue>, p, e);
  return launchTiles<Medium>(gpu, name, gemmBf16Kernel<Medium, kA, kB, Epilogue>, p, e);
}

// C = A B for the operand layouts of forward (inner, inner), input gradients (inner, outer) and
// weight gradients (outer, outer); others go element by element.
template <typename Epilogue>
Status gemm(Gpu& gpu, const char* name, const Product<BFloat16>& p, const Epilogue& e) {
  const Walk a = walkOf(p.a), b = walkOf(p.b);
  if (a == Walk::kInner && b == Walk::kInner)
    return gemmShaped<Walk::kInner, Walk::kInner, true>(gpu, name, p, e);
  if (a == Walk::kInner && b == Walk::kOuter)
    return gemmShaped<Walk::kInner, Walk::kOuter, false>(gpu, name, p, e);
  if (a == Walk::kOuter && b == Walk::kOuter)
    return gemmShaped<Walk::kOuter, Walk::kOuter, false>(gpu, name, p, e);
  return gemmAny(gpu, name, p, e);
}

template <typename Epilogue>
Status gemm(Gpu& gpu, const char* name, const Product<float>& p, const Epilogue& e) {
  return launchTiles<Plain>(gpu, name, gemmF32Kernel<Epilogue>, p, e);
}

// ---- the epilogue of plain products -------------------------------------------------------------

// C = tile + bias + residual, or C += tile; f32 or bf16.
struct StoreTile {
  void* c;
  int64_t stride;
  const void* bias;      // [N] of C's operands' dtype, or null
  const void* residual;  // [M, N] of the same, or null; may be C
  int64_t residualStride;
  bool half;  // bias and residual are bf16
  bool halfC, accumulate;
  bool wide;  // rows of C and residual can be accessed 4 elements at a time

  CG_DEVICE float biasAt(int64_t column) const {
    if (!bias) return 0;
    return half ? toFloat(static_cast<const BFloat16*>(bias)[column])
                : static_cast<const float*>(bias)[column];
  }

  template <int kCount, typename T>
  CG_DEVICE static void add(float (&v)[kCount], const T* p) {
    float old[kCount];
    if constexpr (kCount == 1)
      old[0] = toFloat(*p);
    else
      load<kCount>(old, p);
    CG_UNROLL
    for (int i = 0; i < kCount; i++) v[i] += old[i];
  }

  template <typename T, int kCount>
  CG_DEVICE void put(T* to, const float* from, int64_t row, int64_t column) const {
    float v[kCount];
    CG_UNROLL
    for (int i = 0; i < kCount; i++) v[i] = from[i] + biasAt(column + i);
    if (residual) {
      const int64_t at = row * residualStride + column;
      half ? add(v, static_cast<const BFloat16*>(residual) + at)
           : add(v, static_cast<const float*>(residual) + at);
    }
    if (accumulate) add(v, to);
    if constexpr (kCount == 1)
      *to = fromFloat<T>(v[0]);
    else
      store<kCount>(to, v);
  }

  template <typename S, typename T>
  CG_DEVICE void walk(const TileView& tile) const {
    constexpr int kQuads = S::kN / 4;
    for (int i = int(threadIdx.x); i < S::kM * kQuads; i += S::kThreads) {
      const int r = i / kQuads, q = i % kQuads * 4;
      if (r >= tile.rows || q >= tile.columns) continue;
      T* to = static_cast<T*>(c) + (tile.row + r) * stride + tile.column + q;
      const float* from = tile.at(r) + q;
      if (wide && q + 4 <= tile.columns) {
        put<T, 4>(to, from, tile.row + r, tile.column + q);
      } else {
        for (int k = 0; k < 4 && q + k < tile.columns; k++)
          put<T, 1>(to + k, from + k, tile.row + r, tile.column + q + k);
      }
    }
  }

  template <typename S>
  CG_DEVICE void apply(const TileView& tile) const {
    halfC ? walk<S, BFloat16>(tile) : walk<S, float>(tile);
  }
};

// Whether rows can be accessed 4 elements at a time.
inline bool rowsOfQuads(const TensorView& x) {
  const unsigned bytes = 4 * unsigned(dtypeSize(x.dtype));
  return !x.present() || (reinterpret_cast<uintptr_t>(x.data) % bytes == 0 && x.rowStride % 4 == 0);
}

inline StoreTile storeTo(const TensorView& c, bool accumulate = false,
                         const TensorView& bias = TensorView::absent(),
                         const TensorView& residual = TensorView::absent()) {
  const auto given = [](const TensorView& x) { return x.present() ? x.data : nullptr; };
  const auto half = [](const TensorView& x) { return x.present() && x.dtype == DType::kBF16; };
  return {c.data,
          c.rowStride,
          given(bias),
          given(residual),
          residual.rowStride,
          half(bias) || half(residual),
          c.dtype == DType::kBF16,
          accumulate,
          rowsOfQuads(c) && rowsOfQuads(residual)};
}

}  // namespace callgrad::gpu
