// Attention of packed segments on the CPU, backward.
//
// q, out, dOut, dq: [Tq, Hq, D], k, v, dk, dv: [Tk, Hkv, D], rows strided; lse: [Tq, Hq] fp32. With
// D = rowsum(dOut * out):
//
//   P = 2^(c q k^T - log2(e) lse)    dV = P^T dOut    dP = dOut v^T    dS = P * (dP - D)    dQ = s
//   dS k    dK = s dS^T q
//
// Scores and weights are recomputed block by block (6 x 64 in L1) and never stored; P and dS are
// rounded to bf16 for the bf16 products, sums are fp32, and the scale s enters once at the end.
//
// Query heads of a kv head are folded into rows as in the forward. Rows are cut into tiles, tiles
// into chunks, and a task is one chunk of one kv head: it owns the dQ of its rows and has dK and dV
// sums of its own for the keys that its rows see. A second pass adds the chunks' sums in order. The
// cut looks at the tables only, so the bits do not depend on threads.
//
// On the workload of attention.cpp, one thread: 155 GFLOP/s in bf16, 85 in fp32, counting the five
// products. Tried: tiles of 192 rows (no gain over 96). On paper: splitting keys instead of queries
// (then dQ needs the partial sums; with shared prefixes there are four times as many query rows as
// keys), keeping dS for a second pass over keys (8 bytes a score).
#include <vector>

#include "core/parallel.h"
#include "cpu/kernels/attention_backward_tile.h"
#include "cpu/kernels/attention_plan.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kTileTarget = 96;  // rows of a tile: what the contractions of dK and dV run over
constexpr int64_t kChunkScores = int64_t(1) << 19;
constexpr int64_t kMostChunks =
    16;  // bounds the memory of the partial sums: about this many times k and v in fp32

// Keys [0, keys) of a run whose gradients a chunk sums.
struct ChunkRun {
  int run;
  int64_t keys, offset;  // offset: in rows of the chunk's sums
};

struct Chunk {
  size_t firstTile, endTile;
  std::vector<ChunkRun> runs;
  int64_t rows = 0;    // of each of the two sums, whole blocks
  int64_t offset = 0;  // rows of all chunks before
  int64_t at(int run) const {
    for (const ChunkRun& r : runs)
      if (r.run == run) return r.offset;
    return 0;
  }
};

int64_t scoresOf(const AttentionPlan& plan, const QueryTile& tile) {
  const SegmentPlan& s = plan.segments[size_t(tile.segment)];
  int64_t keys = 0;
  for (const SpanUse& u : s.spans) keys += u.length;
  const int64_t rows = tile.end - tile.begin, first = s.ownVisible + (tile.begin - s.qBegin);
  const int64_t own = s.ownRun >= 0 ? std::max<int64_t>(0, first + rows / 2) : 0;
  return rows * (keys + own);
}

std::vector<Chunk> cutChunks(const AttentionPlan& plan, const std::vector<QueryTile>& tiles,
                             int64_t group) {
  int64_t total = 0;
  for (const QueryTile& t : tiles) total += scoresOf(plan, t) * group;
  const int64_t target = std::max(kChunkScores, total / kMostChunks);
  std::vector<Chunk> chunks;
  int64_t cost = target, rows = 0;
  for (size_t i = 0; i < tiles.size(); i++) {
    if (cost >= target) {
      chunks.push_back({i, i, {}});
      cost = 0;
    }
    cost += scoresOf(plan, tiles[i]) * group;
    Chunk& c = chunks.back();
    c.endTile = i + 1;
    const SegmentPlan& s = plan.segments[size_t(tiles[i].segment)];
    auto see = [&](int run, int64_t keys) {
      for (ChunkRun& r : c.runs)
        if (r.run == run) {
          r.keys = std::max(r.keys, keys);
          return;
        }
      c.runs.push_back({run, keys, 0});
    };
    for (const SpanUse& u : s.spans) see(u.run, u.length);
    const int64_t own = s.ownRun >= 0 ? s.ownVisible + (tiles[i].end - 1 - s.qBegin) : 0;
    if (own > 0) see(s.ownRun, own);
  }
  for (Chunk& c : chunks) {
    for (ChunkRun& r : c.runs) {
      r.offset = c.rows;
      c.rows += (r.keys + kKeyBlock - 1) / kKeyBlock * kKeyBlock;
    }
    c.offset = rows;
    rows += c.rows;
  }
  return chunks;
}

// Where the sums of up to 64 consecutive keys lie: `rows` rows of one chunk's sums, for keys from
// `key` on.
struct Contribution {
  int64_t key, rows, at;
};

std::vector<std::vector<Contribution>> contributions(const AttentionPlan& plan,
                                                     const std::vector<Chunk>& chunks,
                                                     int64_t keys) {
  std::vector<std::vector<Contribution>> of(size_t((keys + kKeyBlock - 1) / kKeyBlock));
  for (const Chunk& c : chunks)
    for (const ChunkRun& r : c.runs) {
      const int64_t begin = plan.runs[size_t(r.run)].begin, end = begin + r.keys;
      for (int64_t b = begin / kKeyBlock; b * kKeyBlock < end; b++) {
        const int64_t from = std::max(begin, b * kKeyBlock),
                      to = std::min(end, (b + 1) * kKeyBlock);
        of[size_t(b)].push_back({from, to - from, c.offset + r.offset + from - begin});
      }
    }
  return of;
}

template <typename T>
void storeRow(const float* from, float factor, T* to, int dim) {
  int d = 0;
  for (; d + kLanes <= dim; d += kLanes) store(to + d, load(from + d) * splat(factor));
  for (; d < dim; d++) to[d] = fromFloat<T>(from[d] * factor);
}

template <typename T>
Status backward(const OpCall& c, KernelContext& context) {
  using M = MathOf<T>;
  const TensorView &q = c.in[0], &k = c.in[1], &v = c.in[2], &dq = c.out[0], &dk = c.out[1],
                   &dv = c.out[2];
  const int64_t heads = q.shape[1], kvHeads = k.shape[1], group = heads / kvHeads, dim = q.shape[2],
                keys = k.shape[0];
  const HeadShape shape(dim, c.attr[0]);
  AttentionPlan plan;
  CG_RETURN_IF_ERROR(makePlan("attentionBackward", c.in[6], c.in[7], q.shape[0], keys, &plan));
  forUncoveredRows(plan, q.shape[0], [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++)
      std::fill_n(dq.as<T>() + t * dq.rowStride, heads * dim, T{});
  });

  const BackwardKeys<M> packed = packKeysForBackward<M, T>(k, v, plan, shape, context.scratch);
  const int64_t tokens = std::max<int64_t>(1, kTileTarget / group);
  const std::vector<QueryTile> tiles = cutTiles(plan, tokens);
  const std::vector<Chunk> chunks = cutChunks(plan, tiles, group);
  const int64_t sumRows = chunks.empty() ? 0 : chunks.back().offset + chunks.back().rows;
  const int64_t rowSize = shape.padded, headSize = 2 * sumRows * rowSize;
  float* sums = context.scratch.get<float>(
      size_t(kvHeads * headSize));  // per head: dK of all chunks, then dV

  BackwardScratch<M> memory(context.scratch, int(tokens * group), shape);
  parallelTasks(int64_t(chunks.size()) * kvHeads, [&](int64_t task, int thread) {
    const Chunk& chunk = chunks[size_t(task) % chunks.size()];
    const int64_t h = task / int64_t(chunks.size());
    float* sumK = sums + h * headSize + chunk.offset * rowSize;
    float* sumV = sumK + sumRows * rowSize;
    std::fill_n(sumK, chunk.rows * rowSize, 0.0f);
    std::fill_n(sumV, chunk.rows * rowSize, 0.0f);
    BackwardTile<M, T> tile(c, plan, packed, shape, memory.of(thread), h);
    for (size_t i = chunk.firstTile; i < chunk.endTile; i++) {
      const SegmentPlan& segment = plan.segments[size_t(tiles[i].segment)];
      tile.run(segment, (tiles[i].begin - segment.qBegin) * group,
               (tiles[i].end - segment.qBegin) * group, [&](int run) {
                 const int64_t at = chunk.at(run) * rowSize;
                 return GradientSums{sumK + at, sumV + at};
               });
    }
  });

  const auto parts = contributions(plan, chunks, keys);
  parallelFor(int64_t(parts.size()) * kvHeads, 2, [&](int64_t begin, int64_t end) {
    std::vector<float> total(size_t(2 * kKeyBlock * rowSize));
    for (int64_t i = begin; i < end; i++) {
      const int64_t b = i % int64_t(parts.size()), h = i / int64_t(parts.size()),
                    first = b * kKeyBlock;
      std::fill(total.begin(), total.end(), 0.0f);
      for (const Contribution& p : parts[size_t(b)])
        for (int half = 0; half < 2; half++) {
          const float* from = sums + h * headSize + (half * sumRows + p.at) * rowSize;
          float* to = total.data() + (half * kKeyBlock + p.key - first) * rowSize;
          for (int64_t d = 0; d < p.rows * rowSize; d += kLanes)
            store(to + d, load(to + d) + load(from + d));
        }
      for (int64_t j = first; j < std::min(keys, first + kKeyBlock); j++) {
        const float* from = total.data() + (j - first) * rowSize;
        storeRow(from, shape.scale, dk.as<T>() + j * dk.rowStride + h * dim, shape.dim);
        storeRow(from + kKeyBlock * rowSize, 1.0f, dv.as<T>() + j * dv.rowStride + h * dim,
                 shape.dim);
      }
    }
  });
  return {};
}

Status attentionBackward(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? backward<float>(c, context)
                                      : backward<BFloat16>(c, context);
}

}  // namespace

void registerAttentionBackward(KernelTable& t) { t.set("attentionBackward", attentionBackward); }

}  // namespace callgrad::cpu::CG_ISA
