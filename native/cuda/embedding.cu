// Token embedding: a gather of rows, and its gradient, a scatter that adds in the order of the
// rows.
//
// w [V, D], ids [T], y [T, D], dy [T, D], dw f32 [V, D].
//
// Backward without float atomics: (id, row) pairs are sorted as 64-bit keys (a bitonic network:
// each key is unique, so the result is one), and the block at the first key of an id adds that id's
// rows one after another into registers and writes dw once: dw is read and written once for each
// different id, dy read once. The sort moves 16 bytes a row and pass, (log2 T - 11)^2 / 2 passes
// and one for each doubling beyond 4,096 rows; up to there it is one launch. Limited by memory; an
// id that repeats thousands of times is one block's work and takes as long as its rows take to
// stream.
//
// Tried: scanning all ids in each block (T^2 reads), float atomics (order of the hour).
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr unsigned kBlock = 256;

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    embeddingKernel(RowsOf<T> w, int64_t vocabulary, const int32_t* ids, RowsOf<T> y,
                    ErrorSlot errors) {
  const int64_t token = blockIdx.x;
  const int32_t id = ids[token];
  if (id < 0 || id >= vocabulary) {
    if (threadIdx.x == 0) reportFault(errors, Fault::kTokenId, token, id, vocabulary);
    return;
  }
  const T* from = w.at(id);
  T* to = y.at(token);
  for (int c = int(threadIdx.x) * kWidth; c < w.width; c += int(blockDim.x) * kWidth) {
    float v[kWidth];
    read(v, from + c);
    write(to + c, v);
  }
}

template <typename T>
Status embeddingOf(const OpCall& c, KernelContext& context) {
  const TensorView &w = c.in[0], &ids = c.in[1], &y = c.out[0];
  const int64_t width = w.shape[1];
  const auto start = [&]<int kWidth>() {
    return launch(*context.gpu, "embedding", embeddingKernel<T, kWidth>,
                  dim3(unsigned(ids.shape[0])), dim3(threadsFor(ceilDiv(width, kWidth), kBlock)), 0,
                  rowsOf<T>(w), w.shape[0], ids.as<int32_t>(), rowsOf<T>(y), *context.deviceErrors);
  };
  return allWide(width, 16, w, y) ? start.template operator()<kPerVector<T>>()
                                  : start.template operator()<1>();
}

Status embedding(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? embeddingOf<float>(c, context)
                                      : embeddingOf<BFloat16>(c, context);
}

// ---- the order of ids -----------------------------------------------------------------------

using Key = unsigned long long;  // id << 32 | row
constexpr Key kNoKey = ~0ull;    // pads to a power of two; the rows of bad ids
constexpr int kSortTile = 4096, kSortThreads = 1024;

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    keysKernel(const int32_t* ids, int64_t rows, int64_t vocabulary, Key* keys, int64_t padded,
               ErrorSlot errors) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= padded) return;
  Key key = kNoKey;
  if (i < rows) {
    const int32_t id = ids[i];
    if (id >= 0 && id < vocabulary)
      key = Key(uint32_t(id)) << 32 | Key(uint32_t(i));
    else
      reportFault(errors, Fault::kTokenId, i, id, vocabulary);
  }
  keys[i] = key;
}

// Puts the keys at i and i + distance in the order that the bitonic run of `size` wants there.
CG_DEVICE void exchange(Key& a, Key& b, bool ascending) {
  if ((a > b) != ascending) return;
  const Key t = a;
  a = b;
  b = t;
}

// One tile of kSortTile keys in shared memory: all steps of runs up to kSortTile (`size` 0), or the
// last steps of the run of `size`, from distance kSortTile / 2 down.
__global__ void CG_LAUNCH_BOUNDS(kSortThreads, 1) sortTileKernel(Key* keys, int64_t size) {
  CG_DYNAMIC_SHARED(Key, tile);
  Key* mine = keys + int64_t(blockIdx.x) * kSortTile;
  for (int i = int(threadIdx.x); i < kSortTile; i += kSortThreads) tile[i] = mine[i];
  const int64_t begin = int64_t(blockIdx.x) * kSortTile;
  for (int64_t run = size ? size : 2; run <= (size ? size : kSortTile); run *= 2) {
    for (int distance = int(run < kSortTile ? run : kSortTile) / 2; distance; distance /= 2) {
      __syncthreads();
      for (int k = int(threadIdx.x); k < kSortTile / 2; k += kSortThreads) {
        const int i = 2 * k - (k & (distance - 1));
        exchange(tile[i], tile[i + distance], ((begin + i) & run) == 0);
      }
    }
  }
  __syncthreads();
  for (int i = int(threadIdx.x); i < kSortTile; i += kSortThreads) mine[i] = tile[i];
}

// One step whose partners lie in different tiles.
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    sortStepKernel(Key* keys, int64_t pairs, int64_t size, int64_t distance) {
  const int64_t k = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (k >= pairs) return;
  const int64_t i = 2 * k - (k & (distance - 1));
  exchange(keys[i], keys[i + distance], (i & size) == 0);
}

Status sortKeys(Gpu& gpu, Key* keys, int64_t padded) {
  const dim3 tiles{unsigned(padded / kSortTile)};
  const size_t bytes = kSortTile * sizeof(Key);
  CG_RETURN_IF_ERROR(
      launch(gpu, "sortTile", sortTileKernel, tiles, dim3(kSortThreads), bytes, keys, int64_t(0)));
  for (int64_t size = 2 * kSortTile; size <= padded; size *= 2) {
    for (int64_t distance = size / 2; distance >= kSortTile; distance /= 2)
      CG_RETURN_IF_ERROR(launch(gpu, "sortStep", sortStepKernel,
                                dim3(unsigned(ceilDiv(padded / 2, kBlock))), dim3(kBlock), 0, keys,
                                padded / 2, size, distance));
    CG_RETURN_IF_ERROR(
        launch(gpu, "sortTile", sortTileKernel, tiles, dim3(kSortThreads), bytes, keys, size));
  }
  return {};
}

// The block of the first key of an id adds the rows of that id, in order.
template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    embeddingBackwardKernel(RowsOf<T> dy, const Key* keys, int64_t padded, float* dw,
                            ErrorSlot errors) {
  if (faultPending(errors)) return;
  const int64_t first = blockIdx.x;
  const Key key = keys[first];
  if (key == kNoKey || (first > 0 && keys[first - 1] >> 32 == key >> 32)) return;
  float* to = dw + int64_t(key >> 32) * dy.width;
  for (int c = int(threadIdx.x) * kWidth; c < dy.width; c += int(blockDim.x) * kWidth) {
    float sum[kWidth];
    read(sum, to + c);
    for (int64_t i = first; i < padded && keys[i] >> 32 == key >> 32; i++) {
      float v[kWidth];
      read(v, dy.at(int64_t(keys[i] & 0xffffffffu)) + c);
      CG_UNROLL
      for (int k = 0; k < kWidth; k++) sum[k] += v[k];
    }
    write(to + c, sum);
  }
}

template <typename T>
Status embeddingBackwardOf(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &ids = c.in[1], &dw = c.in[2];
  const int64_t rows = ids.shape[0], width = dy.shape[1];
  if (rows == 0 || width == 0) return {};
  int64_t padded = kSortTile;
  while (padded < rows) padded *= 2;
  Key* keys = context.scratch.get<Key>(size_t(padded));
  Gpu& gpu = *context.gpu;
  CG_RETURN_IF_ERROR(launch(gpu, "keys", keysKernel, dim3(unsigned(ceilDiv(padded, kBlock))),
                            dim3(kBlock), 0, ids.as<int32_t>(), rows, dw.shape[0], keys, padded,
                            *context.deviceErrors));
  CG_RETURN_IF_ERROR(sortKeys(gpu, keys, padded));
  const auto start = [&]<int kWidth>() {
    return launch(gpu, "embeddingBackward", embeddingBackwardKernel<T, kWidth>,
                  dim3(unsigned(rows)), dim3(threadsFor(ceilDiv(width, kWidth), kBlock)), 0,
                  rowsOf<T>(dy), keys, padded, dw.as<float>(), *context.deviceErrors);
  };
  return allWide(width, 16, dy, dw) ? start.template operator()<kPerVector<T>>()
                                    : start.template operator()<1>();
}

Status embeddingBackward(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? embeddingBackwardOf<float>(c, context)
                                      : embeddingBackwardOf<BFloat16>(c, context);
}

}  // namespace

void registerEmbedding(KernelTable& t) {
  t.set("embedding", embedding);
  t.set("embeddingBackward", embeddingBackward);
}

}  // namespace callgrad::gpu
