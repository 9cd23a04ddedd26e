// The language-model head fused with log-softmax, and its gradient.
//
// h [T, D], w [V, D], targets [T]; logprob, lse, entropy f32 [T]; dh [T, D], dw f32 [V, D].
//
// Forward: a product whose epilogue reduces each row of a tile of logits to a maximum, a sum of
// exponentials and its first moment, and forgets the tile. The statistics of all tiles of a row are
// merged in float64, in a fixed order. Rows are taken kStatsBytes' worth at a time, so scratch is
// bounded whatever T and V are.
//
// Backward: logits are recomputed tile by tile and leave the epilogue as gradients, in the compute
// dtype, one chunk of rows and vocabulary at a time (kChunkBytes). From each chunk come the rows of
// dw that it covers (added once per chunk of rows) and its part of dh, summed over chunks in fp32
// in scratch and rounded once. At 16,384 rows, D = 4,096 and V = 151,936 that is 61 MB of scratch,
// and beside three products' traffic 11 passes over dw: 55 GB, a sixth of the time that the
// products' 60 TFLOP take on an H100. Rows without upstream gradient are copied as zeros.
//
// Tried on paper: chunks of rows alone (102 passes over dw); chunks of vocabulary alone (an fp32 dh
// of all rows, 268 MB).
#include <cmath>

#include "core/sampling.h"
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/gemm.cuh"

namespace callgrad::gpu {
namespace {

constexpr int kBlock = 256;
constexpr int64_t kStatsBytes = int64_t(32) << 20, kChunkBytes = int64_t(24) << 20;
constexpr int64_t kRowStep = 128;  // chunks of rows are whole tiles

// Of z = logits * scale over a tile's columns: the maximum m, sum of e^(z - m), sum of
// e^(z - m) (z - m).
struct TileStats {
  float max, sum, dot;
};

// Epilogue: a row's logits become statistics, and the target's logit is kept.
struct ReduceTile {
  const int32_t* targets;  // of the chunk's first row
  TileStats* stats;        // [rows, tiles]
  float* targetLogit;      // [rows]
  int64_t tiles;
  float scale;

  template <typename S>
  CG_DEVICE void apply(const TileView& tile) const {
    constexpr int kPer = S::kThreads / S::kM;  // threads of a row
    static_assert(kPer >= 1 && kPer <= kWarp && (kPer & (kPer - 1)) == 0);
    const int r = int(threadIdx.x) / kPer, part = int(threadIdx.x) % kPer;
    const float* logits = tile.at(r);
    const int columns = r < tile.rows ? tile.columns : 0;
    float most = -INFINITY;
    for (int c = part; c < columns; c += kPer) {
      const float z = logits[c] * scale;
      most = z > most ? z : most;
    }
    CG_UNROLL
    for (int o = kPer / 2; o; o >>= 1) most = fmaxf(most, __shfl_xor_sync(0xffffffffu, most, o));
    float sum = 0, dot = 0;
    for (int c = part; c < columns; c += kPer) {
      const float z = logits[c] * scale;
      if (most == -INFINITY) {
        sum += z == z ? 0.0f : z;  // a NaN hides behind a maximum that ignores it
      } else {
        const float d = z - most, e = expf(d);
        sum += e;
        dot = fmaf(e, fmaxf(d, -128.0f), dot);  // e is 0 there; keeps 0 * -inf out
      }
    }
    CG_UNROLL
    for (int o = kPer / 2; o; o >>= 1) {
      sum += __shfl_xor_sync(0xffffffffu, sum, o);
      dot += __shfl_xor_sync(0xffffffffu, dot, o);
    }
    if (part != 0 || r >= tile.rows) return;
    const int64_t row = tile.row + r;
    stats[row * tiles + tile.column / S::kN] = {most, sum, dot};
    const int64_t target = int64_t(targets[row]) - tile.column;
    if (target >= 0 && target < tile.columns) targetLogit[row] = logits[target];
  }
};

struct Merged {
  float *logprob, *lse, *entropy;
};

// A warp merges a row's tiles.
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    mergeTilesKernel(ReduceTile in, int64_t rows, int64_t firstRow, int64_t vocabulary, Merged out,
                     ErrorSlot errors) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t row = int64_t(blockIdx.x) * (kBlock / kWarp) + threadIdx.x / kWarp;
  if (row >= rows) return;
  const int32_t target = in.targets[row];
  if (target < 0 || target >= vocabulary) {
    if (lane == 0) reportFault(errors, Fault::kTarget, firstRow + row, target, vocabulary);
    return;
  }
  const TileStats* stats = in.stats + row * in.tiles;
  float most = -INFINITY;
  for (int64_t i = lane; i < in.tiles; i += kWarp) most = fmaxf(most, stats[i].max);
  most = warpMax(most);
  double sum = 0, dot = 0;
  for (int64_t i = lane; i < in.tiles; i += kWarp) {
    const TileStats s = stats[i];
    if (s.sum == 0) continue;
    const double below = double(s.max) - double(most), weight = exp(below);
    sum += weight * double(s.sum);
    if (!(weight == 0)) dot += weight * (double(s.dot) + below * double(s.sum));
  }
  sum = warpSum(sum);
  dot = warpSum(dot);
  if (lane != 0) return;
  const double logSum = log(sum);
  out.logprob[row] = (in.targetLogit[row] * in.scale - most) - float(logSum);
  out.lse[row] = most + float(logSum);
  out.entropy[row] = float(logSum - dot / sum);
}

template <typename T>
constexpr int kTileColumns = sizeof(T) == 2 ? Large::kN : Plain::kN;

// The product of rows of h and rows of w in one tile shape, so that statistics have one width.
template <typename T, typename Epilogue>
Status headProduct(Gpu& gpu, const char* name, const Product<T>& p, const Epilogue& e) {
  if constexpr (sizeof(T) == 4) {
    return gemm(gpu, name, p, e);
  } else {
    constexpr Walk kInner = Walk::kInner;
    if (walkOf(p.a) == kInner && walkOf(p.b) == kInner)
      return launchTiles<Large>(gpu, name, gemmBf16Kernel<Large, kInner, kInner, Epilogue>, p, e);
    return launchTiles<Large>(gpu, name, gemmBf16Kernel<Large, Walk::kAny, Walk::kAny, Epilogue>, p,
                              e);
  }
}

template <typename T>
Status forward(const OpCall& c, KernelContext& context) {
  const TensorView &h = c.in[0], &w = c.in[1];
  const int64_t rows = h.shape[0], vocabulary = w.shape[0];
  if (rows == 0) return {};
  const int64_t tiles = ceilDiv(vocabulary, kTileColumns<T>);
  int64_t most = kStatsBytes / (tiles * int64_t(sizeof(TileStats))) / kRowStep * kRowStep;
  most = most < kRowStep ? kRowStep : most < rows ? most : rows;
  ReduceTile reduce{nullptr, context.scratch.get<TileStats>(size_t(most * tiles)),
                    context.scratch.get<float>(size_t(most)), tiles, temperatureScale(c.attr[0])};
  for (int64_t r = 0; r < rows; r += most) {
    const int64_t count = rows - r < most ? rows - r : most;
    reduce.targets = c.in[2].as<int32_t>() + r;
    const Product<T> p{{h.as<T>() + r * h.rowStride, h.rowStride, 1},
                       {w.as<T>(), w.rowStride, 1},
                       count,
                       vocabulary,
                       h.shape[1]};
    CG_RETURN_IF_ERROR(headProduct(*context.gpu, "linearLogprob", p, reduce));
    const Merged out{c.out[0].as<float>() + r, c.out[1].as<float>() + r, c.out[2].as<float>() + r};
    CG_RETURN_IF_ERROR(launch(*context.gpu, "mergeTiles", mergeTilesKernel,
                              dim3(unsigned(ceilDiv(count, kBlock / kWarp))), dim3(kBlock), 0,
                              reduce, count, r, vocabulary, out, *context.deviceErrors));
  }
  return {};
}

Status linearLogprob(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? forward<float>(c, context) : forward<BFloat16>(c, context);
}

// Epilogue: logits become their gradients. With z = logits * scale and p = e^(z - lse):
// scale * (dLogprob (onehot - p) - dEntropy p (log p + entropy)).
template <typename T>
struct LogitGradient {
  const int32_t* targets;
  const float *lse, *entropy, *dLogprob, *dEntropy;  // of the chunk's first row; dEntropy or null
  T* to;                                             // [rows, stride]
  int64_t stride;                                    // a multiple of 8
  int64_t firstToken;                                // the vocabulary chunk's
  int64_t firstRow, vocabulary;
  float scale;
  ErrorSlot errors;

  template <typename S>
  CG_DEVICE void apply(const TileView& tile) const {
    constexpr int kQuads = S::kN / 4;
    for (int i = int(threadIdx.x); i < S::kM * kQuads; i += S::kThreads) {
      const int r = i / kQuads, q = i % kQuads * 4;
      if (r >= tile.rows || q >= tile.columns) continue;
      const int64_t row = tile.row + r, column = tile.column + q;
      const float dl = dLogprob[row], de = dEntropy ? dEntropy[row] : 0.0f;
      const int32_t target = targets[row];
      if (column == 0 && firstToken == 0 && (target < 0 || target >= vocabulary))
        reportFault(errors, Fault::kTarget, firstRow + row, target, vocabulary);
      float out[4];
      CG_UNROLL
      for (int k = 0; k < 4; k++) {
        out[k] = 0;  // of rows that are left out, and behind the vocabulary's end
        if ((dl == 0 && de == 0) || q + k >= tile.columns) continue;
        const float logp = tile.at(r)[q + k] * scale - lse[row], p = expf(logp);
        const float hit = firstToken + column + k == target ? 1.0f : 0.0f;
        const float ofEntropy = de == 0 ? 0.0f : de * p * (fmaxf(logp, -128.0f) + entropy[row]);
        out[k] = scale * (dl * (hit - p) - ofEntropy);
      }
      store<4>(to + row * stride + column, out);
    }
  }
};

// Rows of h that take part; those that are left out become zeros, so that they spoil nothing.
template <typename T>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    takeRowsKernel(RowsOf<T> h, const float* dLogprob, const float* dEntropy, T* to) {
  const int64_t c = int64_t(blockIdx.y) * kBlock + threadIdx.x, r = blockIdx.x;
  if (c >= h.width) return;
  const bool out = dLogprob[r] == 0 && (!dEntropy || dEntropy[r] == 0);
  to[r * h.width + c] = out ? fromFloat<T>(0.0f) : h.at(r)[c];
}

template <typename T>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1) roundRowsKernel(const float* from, RowsOf<T> to) {
  const int64_t c = int64_t(blockIdx.y) * kBlock + threadIdx.x, r = blockIdx.x;
  if (c < to.width) to.at(r)[c] = fromFloat<T>(from[r * to.width + c]);
}

// How backward cuts its work: whole tiles of rows and of vocabulary.
struct Chunks {
  int64_t rows, tokens, stride;
};

template <typename T>
Chunks chunksOf(int64_t rows, int64_t vocabulary, int64_t depth) {
  const auto whole = [](int64_t fit, int64_t all) {
    const int64_t steps = fit / kRowStep * kRowStep;
    return steps < kRowStep ? (all < kRowStep ? all : kRowStep) : steps < all ? steps : all;
  };
  Chunks c;
  c.rows = whole(kChunkBytes / (depth * 4), rows);
  c.tokens = whole(kChunkBytes / (c.rows * int64_t(sizeof(T))), vocabulary);
  c.stride = ceilDiv(c.tokens, 8) * 8;
  return c;
}

TensorView matrix(void* data, DType dtype, int64_t rows, int64_t columns, int64_t stride) {
  TensorView v;
  v.data = data, v.dtype = dtype, v.rank = 2;
  v.shape[0] = rows, v.shape[1] = columns, v.rowStride = stride;
  return v;
}

template <typename T>
Status backward(const OpCall& c, KernelContext& context) {
  const TensorView &h = c.in[0], &w = c.in[1], &dEntropy = c.in[6], &dw = c.in[8], &dh = c.out[0];
  const int64_t rows = h.shape[0], vocabulary = w.shape[0], depth = w.shape[1];
  if (rows == 0 || depth == 0) return {};
  const Chunks chunks = chunksOf<T>(rows, vocabulary, depth);
  T* dLogits = context.scratch.get<T>(size_t(chunks.rows * chunks.stride));
  float* sum = context.scratch.get<float>(size_t(chunks.rows * depth));
  T* taken = context.scratch.get<T>(size_t(chunks.rows * depth));
  Gpu& gpu = *context.gpu;
  for (int64_t r = 0; r < rows; r += chunks.rows) {
    const int64_t count = rows - r < chunks.rows ? rows - r : chunks.rows;
    const float* dLogprob = c.in[5].as<float>() + r;
    const float* entropic = dEntropy.present() ? dEntropy.as<float>() + r : nullptr;
    RowsOf<T> from = rowsOf<T>(h);
    from.data += r * from.stride;
    CG_RETURN_IF_ERROR(launch(gpu, "takeRows", takeRowsKernel<T>,
                              dim3(unsigned(count), unsigned(ceilDiv(depth, kBlock))), dim3(kBlock),
                              0, from, dLogprob, entropic, taken));
    const Operand<T> hidden{taken, depth, 1};
    for (int64_t v = 0; v < vocabulary; v += chunks.tokens) {
      const int64_t tokens = vocabulary - v < chunks.tokens ? vocabulary - v : chunks.tokens;
      T* rowsOfW = w.as<T>() + v * w.rowStride;
      const LogitGradient<T> gradient{c.in[2].as<int32_t>() + r,
                                      c.in[3].as<float>() + r,
                                      c.in[4].as<float>() + r,
                                      dLogprob,
                                      entropic,
                                      dLogits,
                                      chunks.stride,
                                      v,
                                      r,
                                      vocabulary,
                                      temperatureScale(c.attr[0]),
                                      *context.deviceErrors};
      CG_RETURN_IF_ERROR(headProduct(
          gpu, "linearLogprobBackward",
          Product<T>{hidden, {rowsOfW, w.rowStride, 1}, count, tokens, depth}, gradient));
      CG_RETURN_IF_ERROR(gemm(
          gpu, "linearLogprobBackward dh",
          Product<T>{{dLogits, chunks.stride, 1}, {rowsOfW, 1, w.rowStride}, count, depth, tokens},
          storeTo(matrix(sum, DType::kF32, count, depth, depth), v > 0)));
      if (!dw.present()) continue;
      const TensorView part =
          matrix(dw.as<float>() + v * dw.rowStride, DType::kF32, tokens, depth, dw.rowStride);
      CG_RETURN_IF_ERROR(
          gemm(gpu, "linearLogprobBackward dw",
               Product<T>{{dLogits, 1, chunks.stride}, {taken, 1, depth}, tokens, depth, count},
               storeTo(part, true)));
    }
    RowsOf<T> to = rowsOf<T>(dh);
    to.data += r * to.stride;
    CG_RETURN_IF_ERROR(launch(gpu, "roundRows", roundRowsKernel<T>,
                              dim3(unsigned(count), unsigned(ceilDiv(depth, kBlock))), dim3(kBlock),
                              0, sum, to));
  }
  return {};
}

Status linearLogprobBackward(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? backward<float>(c, context)
                                      : backward<BFloat16>(c, context);
}

}  // namespace

void registerLinearLogprob(KernelTable& t) {
  t.set("linearLogprob", linearLogprob);
  t.set("linearLogprobBackward", linearLogprobBackward);
}

}  // namespace callgrad::gpu
