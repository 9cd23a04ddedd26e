// Attention of packed segments, forward.
//
// q, out: [Tq, Hq, D], k, v: [Tk, Hkv, D], rows strided; lse: [Tq, Hq] f32, natural log. A block
// takes a tile of rows for one kv head: tokens x the query heads that share it, so K and V are read
// once for all of them. The tokens are one segment's, or of short samples that see the same prompt
// (attention_tiles.cuh). It walks the spans and then own keys up to the diagonal; blocks of keys
// that nobody in the tile sees are not read, and a warp skips those that none of its rows sees.
// attention_core.cuh has the arithmetic.
//
// With eight samples of 10 tokens after a prompt of 200 (3 heads of 64), sharing tiles takes the
// bytes asked for from 987 to 774 kB and leaves the products; skipping took those from 15,872 to
// 10,752. Samples of 96 tokens share nothing and cost what they did.
//
// Traffic: q, out once; K and V of what a segment sees, once for each of its tiles (from L2 after
// the first), and 5 % for tables, lse and the sectors at the edges of rows. Results leave by way of
// shared memory: stored as the fragments hold them, each sector was written by halves, which was 14
// % of what the kernel asked for. Limited by the tensor cores from a few hundred keys on; the fp32
// core by FFMA and shared memory, since it is for parity.
#include <cmath>

#include "cuda/attention_plan.cuh"
#include "cuda/families.h"

namespace callgrad::gpu {
namespace {

template <typename T>
struct ForwardArguments {
  const T *q, *k, *v;
  T* out;
  float* lse;
  int64_t qStride, kStride, vStride, outStride, lseStride;
  int heads, kvHeads, dim, tokens;
  float scale;
};

template <typename Core>
__global__ void CG_LAUNCH_BOUNDS(Core::kThreads, 1)
    attentionKernel(Tables tables, ForwardArguments<typename Core::T> a, ErrorSlot errors) {
  using T = typename Core::T;
  CG_DYNAMIC_SHARED(float, memory);
  if (faultPending(errors)) return;
  const QueryTile tile = tileAt(tables, int(blockIdx.x), a.tokens);
  if (tile.segment < 0) return;
  const int group = a.heads / a.kvHeads;
  const Fold fold{group, int(blockIdx.y), a.dim};
  const int rows = (tile.end - tile.begin) * group;
  Core core(memory, a.dim, a.scale);
  core.begin([&](int r) -> const T* {
    return r < rows ? a.q + (tile.begin + fold.token(r)) * a.qStride + int64_t(fold.head(r)) * a.dim
                    : nullptr;
  });
  const int64_t head = int64_t(fold.kvHead) * a.dim;
  do {
    TileKeys<T, Core::kKeys> keys(tables, tile, a.k + head, a.kStride, a.v + head, a.vStride);
    core.attend(keys, [&](int r, const KeyBlock<T>& b) {
      return r < rows ? seenOf(tile.begin + fold.token(r), b) : 0;
    });
  } while (core.again());
  core.write(
      [&](int r) -> T* {
        if (r >= rows) return nullptr;
        return a.out + (tile.begin + fold.token(r)) * a.outStride + int64_t(fold.head(r)) * a.dim;
      },
      [&](int r, float maximum, float sum) {
        a.lse[(tile.begin + fold.token(r)) * a.lseStride + fold.head(r)] =
            sum == 0 ? -INFINITY : (maximum + log2f(sum)) * kLn2;
      });
}

template <typename Core>
Status forward(const OpCall& c, KernelContext& context) {
  using T = typename Core::T;
  const TensorView &q = c.in[0], &k = c.in[1], &v = c.in[2], &out = c.out[0], &lse = c.out[1];
  const int64_t heads = q.shape[1], kvHeads = k.shape[1], dim = q.shape[2], group = heads / kvHeads;
  const Tables tables = tablesOf(c.in[3], c.in[4], q.shape[0], k.shape[0], context.scratch);
  const int tokens = int(Core::kRows / group > 0 ? Core::kRows / group : 1);
  CG_RETURN_IF_ERROR(planTiles<T>(context, tables, tokens, out, lse));
  const ForwardArguments<T> a{
      q.as<T>(),   k.as<T>(),    v.as<T>(),   out.as<T>(),   lse.as<float>(),
      q.rowStride, k.rowStride,  v.rowStride, out.rowStride, lse.rowStride,
      int(heads),  int(kvHeads), int(dim),    tokens,        softmaxScale(c.attr[0], dim)};
  return launch(*context.gpu, "attention", attentionKernel<Core>,
                dim3(unsigned(mostTiles(tables, tokens)), unsigned(kvHeads)), dim3(Core::kThreads),
                Core::sharedBytes(int(dim)), tables, a, *context.deviceErrors);
}

Status attention(const OpCall& c, KernelContext& context) {
  const TensorView &q = c.in[0], &k = c.in[1];
  if (q.shape[0] == 0) return {};
  const int64_t dim = q.shape[2], group = q.shape[1] / k.shape[1];
  const bool aligned = allWide(dim, 16, q, k, c.in[2], c.out[0]);
  return withCore(q.dtype, dim, aligned, [&]<typename Core>() -> Status {
    if (group > Core::kRows)
      return error(Code::kShape, "expected at most %d query heads for a kv head, got %ld",
                   Core::kRows, long(group));
    return forward<Core>(c, context);
  });
}

}  // namespace

void registerAttention(KernelTable& t) { t.set("attention", attention); }

}  // namespace callgrad::gpu
