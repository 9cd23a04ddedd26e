// Attention of packed segments, backward, without atomics: three passes, each of which owns what it
// writes, so the bits are the same in every run.
//
//   delta   rowsum(dOut * out), a warp a row
//   dQ      a block takes a tile of query rows, as the forward does, and walks its keys
//   dK, dV  a block takes a block of keys of a kv head, looks through the segments in order for
//           rows that see them (a span that covers them, or own keys up to the diagonal), and walks
//           those; samples that see the same spans as one run of rows, so that short ones fill the
//           chunks that tensor cores take
//
// Scores are computed twice (7 products instead of the 5 of one fused pass, whose dQ would need
// float atomics or a partial sum for each block of keys). The look through the segments reads 24
// bytes a segment and block of keys.
//
// q, out, dOut, dq: [Tq, Hq, D], k, v, dk, dv: [Tk, Hkv, D], rows strided; lse: [Tq, Hq] f32.
// Limited by the tensor cores; the fp32 cores by FFMA and shared memory.
#include "cuda/attention_grad_keys.cuh"
#include "cuda/attention_plan.cuh"
#include "cuda/families.h"

namespace callgrad::gpu {
namespace {

template <typename T>
struct BackwardArguments {
  const T *q, *k, *v, *dOut;
  T *dq, *dk, *dv;
  const float *lse, *delta;  // [Tq, Hq]
  int64_t qStride, kStride, vStride, dOutStride, dqStride, dkStride, dvStride;
  int heads, kvHeads, dim;
  int64_t keys;
  float scale;
};

template <typename T>
__global__ void CG_LAUNCH_BOUNDS(256, 1)
    deltaKernel(RowsOf<T> out, RowsOf<T> dOut, int64_t rows, float* delta) {
  const int64_t row = int64_t(blockIdx.x) * 8 + threadIdx.x / kWarp;
  if (row >= rows) return;
  const T *o = out.at(row), *g = dOut.at(row);
  float sum = 0;
  for (int c = int(threadIdx.x) % kWarp; c < out.width; c += kWarp)
    sum = fmaf(toFloat(o[c]), toFloat(g[c]), sum);
  sum = warpSum(sum);
  if (threadIdx.x % kWarp == 0) delta[row] = sum;
}

template <typename Core>
__global__ void CG_LAUNCH_BOUNDS(Core::kThreads, 1)
    gradQueryKernel(Tables tables, int tokens, BackwardArguments<typename Core::T> a,
                    ErrorSlot errors) {
  using T = typename Core::T;
  CG_DYNAMIC_SHARED(float, memory);
  if (faultPending(errors)) return;
  const QueryTile tile = tileAt(tables, int(blockIdx.x), tokens);
  if (tile.segment < 0) return;
  const Fold fold{a.heads / a.kvHeads, int(blockIdx.y), a.dim};
  const int rows = (tile.end - tile.begin) * fold.group;
  const auto at = [&](int r, int64_t stride) {
    return (tile.begin + fold.token(r)) * stride + int64_t(fold.head(r)) * a.dim;
  };
  Core core(memory, a.dim, a.scale);
  core.begin([&](int r) -> const T* { return r < rows ? a.q + at(r, a.qStride) : nullptr; },
             [&](int r) -> const T* { return r < rows ? a.dOut + at(r, a.dOutStride) : nullptr; },
             [&](int r) -> RowState {
               if (r >= rows) return {INFINITY, 0.0f};
               const int64_t i = int64_t(tile.begin + fold.token(r)) * a.heads + fold.head(r);
               return rowState(a.lse[i], a.delta[i]);
             });
  const int64_t head = int64_t(fold.kvHead) * a.dim;
  do {
    TileKeys<T, Core::kKeys> keys(tables, tile, a.k + head, a.kStride, a.v + head, a.vStride);
    core.attend(keys, [&](int r, const KeyBlock<T>& b) {
      return r < rows ? seenOf(tile.begin + fold.token(r), b) : 0;
    });
  } while (core.again());
  core.write([&](int r) -> T* { return r < rows ? a.dq + at(r, a.dqStride) : nullptr; });
}

// blockIdx.x: a block of keys; y: kv head.
template <typename Core>
__global__ void CG_LAUNCH_BOUNDS(Core::kThreads, 1)
    gradKeysKernel(Tables tables, BackwardArguments<typename Core::T> a, ErrorSlot errors) {
  using T = typename Core::T;
  CG_DYNAMIC_SHARED(float, memory);
  if (faultPending(errors)) return;
  const int first = int(blockIdx.x) * Core::kKeys;  // rows of tables are 32-bit
  const int count = int(a.keys) - first < Core::kKeys ? int(a.keys) - first : Core::kKeys;
  const Fold fold{a.heads / a.kvHeads, int(blockIdx.y), a.dim};
  const int64_t head = int64_t(fold.kvHead) * a.dim;
  Core core(memory, a.dim, a.scale);
  core.begin(
      [&](int j) -> const T* {
        return j < count ? a.k + int64_t(first + j) * a.kStride + head : nullptr;
      },
      [&](int j) -> const T* {
        return j < count ? a.v + int64_t(first + j) * a.vStride + head : nullptr;
      });

  // Rows of folded tokens [begin, end) of a segment, against keys of which `seen` says which.
  const auto walk = [&](int begin, int end, const auto& seen) {
    const int all = (end - begin) * fold.group;
    for (int base = 0; base < all; base += Core::kRows) {
      const auto at = [&](int r, int64_t stride) {
        return int64_t(begin + fold.token(base + r)) * stride +
               int64_t(fold.head(base + r)) * a.dim;
      };
      const auto there = [&](int r) { return base + r < all; };
      core.add([&](int r) -> const T* { return there(r) ? a.q + at(r, a.qStride) : nullptr; },
               [&](int r) -> const T* { return there(r) ? a.dOut + at(r, a.dOutStride) : nullptr; },
               [&](int r) -> RowState {
                 if (!there(r)) return {INFINITY, 0.0f};
                 const int64_t row =
                     int64_t(begin + fold.token(base + r)) * a.heads + fold.head(base + r);
                 return rowState(a.lse[row], a.delta[row]);
               },
               [&](int j, int r) {
                 return j < count && there(r) && seen(first + j, begin + fold.token(base + r));
               });
    }
  };

  // Rows from those of `s` to `qEnd`, which all see its spans.
  const auto walkSpans = [&](const Segment& s, int qEnd) {
    for (int p = s.spanBegin; p < s.spanEnd; p++) {
      const int32_t begin = tables.spans[2 * p], end = tables.spans[2 * p + 1];
      if (begin < first + count && end > first)
        walk(s.qBegin, qEnd, [&](int key, int) { return key >= begin && key < end; });
    }
  };
  const auto walkOwn = [&](const Segment& s) {
    if (s.kBegin < 0 || s.kBegin >= first + count) return;
    // Token t sees own keys below ownSeen(t - qBegin): the first that sees any of this block.
    const int64_t offset = first > s.kBegin ? first - s.kBegin : 0;
    const int64_t from = offset - s.causalOffset;
    const int64_t begin = s.qBegin + (from > 0 ? from : 0);
    if (begin >= s.qEnd) return;
    walk(int(begin), s.qEnd, [&](int key, int token) {
      return key >= s.kBegin && key - s.kBegin < s.ownSeen(token - s.qBegin);
    });
  };
  do {
    for (int i = 0; i < tables.count;) {
      int last = i;
      while (last + 1 < tables.count && follows(tables.segments[last], tables.segments[last + 1]))
        last++;
      if (tables.segments[i].rows() > 0) walkSpans(tables.segments[i], tables.segments[last].qEnd);
      for (; i <= last; i++) walkOwn(tables.segments[i]);
    }
  } while (core.again());
  const auto keyRow = [&](T* rows, int j, int64_t stride) {
    return j < count ? rows + int64_t(first + j) * stride + head : nullptr;
  };
  core.write([&](int j) { return keyRow(a.dk, j, a.dkStride); },
             [&](int j) { return keyRow(a.dv, j, a.dvStride); });
}

template <typename T>
Status backward(const OpCall& c, KernelContext& context, bool aligned) {
  const TensorView &q = c.in[0], &k = c.in[1], &v = c.in[2], &out = c.in[3], &dOut = c.in[5],
                   &dq = c.out[0], &dk = c.out[1], &dv = c.out[2];
  const int64_t queries = q.shape[0], heads = q.shape[1], kvHeads = k.shape[1], dim = q.shape[2];
  Gpu& gpu = *context.gpu;
  float* delta = context.scratch.get<float>(size_t(queries * heads + 1));
  const Tables tables = tablesOf(c.in[6], c.in[7], queries, k.shape[0], context.scratch);
  const BackwardArguments<T> a{q.as<T>(),      k.as<T>(),           v.as<T>(),
                               dOut.as<T>(),   dq.as<T>(),          dk.as<T>(),
                               dv.as<T>(),     c.in[4].as<float>(), delta,
                               q.rowStride,    k.rowStride,         v.rowStride,
                               dOut.rowStride, dq.rowStride,        dk.rowStride,
                               dv.rowStride,   int(heads),          int(kvHeads),
                               int(dim),       k.shape[0],          softmaxScale(c.attr[0], dim)};
  CG_RETURN_IF_ERROR(launch(gpu, "attention delta", deltaKernel<T>,
                            dim3(unsigned(ceilDiv(queries * heads, 8))), dim3(256), 0,
                            rowsOf<T>(out), rowsOf<T>(dOut), queries * heads, delta));
  CG_RETURN_IF_ERROR(withGradQuery(q.dtype, dim, aligned, [&]<typename Core>() -> Status {
    if constexpr (std::is_same_v<typename Core::T, T>) {
      const int64_t group = heads / kvHeads;
      if (group > Core::kRows)
        return error(Code::kShape, "expected at most %d query heads for a kv head, got %ld",
                     Core::kRows, long(group));
      const int tokens = int(Core::kRows / group);
      CG_RETURN_IF_ERROR(planTiles<T>(context, tables, tokens, dq));
      return launch(gpu, "attention dq", gradQueryKernel<Core>,
                    dim3(unsigned(mostTiles(tables, tokens)), unsigned(kvHeads)),
                    dim3(Core::kThreads), Core::sharedBytes(int(dim)), tables, tokens, a,
                    *context.deviceErrors);
    } else {
      return {};
    }
  }));
  return withGradKeys(q.dtype, dim, aligned, [&]<typename Core>() -> Status {
    if constexpr (std::is_same_v<typename Core::T, T>)
      return launch(gpu, "attention dk dv", gradKeysKernel<Core>,
                    dim3(unsigned(ceilDiv(k.shape[0], Core::kKeys)), unsigned(kvHeads)),
                    dim3(Core::kThreads), Core::sharedBytes(int(dim)), tables, a,
                    *context.deviceErrors);
    else
      return {};
  });
}

Status attentionBackward(const OpCall& c, KernelContext& context) {
  const TensorView& q = c.in[0];
  const int64_t dim = q.shape[2];
  const bool aligned = allWide(dim, 16, q, c.in[1], c.in[2], c.in[5], c.out[0], c.out[1], c.out[2]);
  return q.dtype == DType::kF32 ? backward<float>(c, context, aligned)
                                : backward<BFloat16>(c, context, aligned);
}

}  // namespace

void registerAttentionBackward(KernelTable& t) { t.set("attentionBackward", attentionBackward); }

}  // namespace callgrad::gpu
