// Attention of packed segments on the CPU, forward.
//
// q, out: [Tq, Hq, D], k, v: [Tk, Hkv, D], rows strided; lse: [Tq, Hq] fp32. Scores are never
// stored: 6 x 64 of them live in L1. Query heads of one kv head are folded into rows, so a tile is
// (tokens x heads) rows of one segment.
//
// 1. Every block of every run of keys is packed once per kv head: keys across (for q k^T), values
// along (for p v). The
//    packed copies take as much memory as k and v; spans that overlap without starting at one key
//    are packed twice.
// 2. Tiles of about 48 rows walk the blocks that they see; the tile's q, its accumulators and one
// block stay in L1.
//
// 4 prompts x 8 answers, 600 + 96 tokens, 9 query and 3 kv heads of 64, one thread of a busy Zen 4
// (peak 230 GFLOP/s in VDPBF16PS, 115 in fp32): 148 GFLOP/s in bf16, 87 in fp32. The products alone
// run at 205 from L1; the softmax step takes 15 % of the time, packing and finishing rows 8 %.
// Tried: 2^x by adding to the exponent instead of VSCALEFPS (6.7 against 5.9 cycles a vector) and
// by VREDUCEPS (6.8); all phases for 6 rows before the next 6, or each phase for all 48 (equal).
#include <vector>

#include "core/parallel.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/attention_plan.h"
#include "cpu/kernels/attention_scratch.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kTileTarget =
    48;  // rows of a tile: multiples of 6 for groups of 1, 2, 3, 4, 6, 7 and 8 heads

template <typename T>
Status attentionForward(const OpCall& c, KernelContext& context) {
  using M = MathOf<T>;
  using Unit = typename M::Unit;
  const TensorView &q = c.in[0], &k = c.in[1], &v = c.in[2], &out = c.out[0], &lse = c.out[1];
  const int64_t heads = q.shape[1], kvHeads = k.shape[1], group = heads / kvHeads, dim = q.shape[2];
  const HeadShape shape(dim, c.attr[0]);
  AttentionPlan plan;
  CG_RETURN_IF_ERROR(makePlan("attention", c.in[3], c.in[4], q.shape[0], k.shape[0], &plan));

  forUncoveredRows(plan, q.shape[0], [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      std::fill_n(out.as<T>() + t * out.rowStride, heads * dim, T{});
      std::fill_n(lse.as<float>() + t * lse.rowStride, heads,
                  -std::numeric_limits<float>::infinity());
    }
  });

  const int64_t acrossSize = acrossUnits<M>(shape), alongSize = alongUnits<M>(shape);
  const int64_t blockCount = plan.blockCount(), packedCount = kvHeads * blockCount;
  Unit* across = context.scratch.get<Unit>(size_t(packedCount * acrossSize));
  Unit* along = context.scratch.get<Unit>(size_t(packedCount * alongSize));
  bool* finite = context.scratch.get<bool>(size_t(packedCount));
  parallelFor(packedCount, 4, [&](int64_t begin, int64_t end) {
    const T* rows[kKeyBlock];
    for (int64_t i = begin; i < end; i++) {
      const int64_t h = i / blockCount;
      const KeyBlockRange keys = plan.blocks[size_t(i % blockCount)];
      for (int j = 0; j < keys.count; j++)
        rows[j] = k.as<T>() + (keys.first + j) * k.rowStride + h * dim;
      packAcross<M>(rows, keys.count, shape.dim, across + i * acrossSize, kKeyBlock);
      for (int j = 0; j < keys.count; j++)
        rows[j] = v.as<T>() + (keys.first + j) * v.rowStride + h * dim;
      finite[i] =
          packAlongRows<M>(rows, keys.count, shape.dim, along + i * alongSize, shape.padded);
    }
  });

  const int64_t tokens = std::max<int64_t>(1, kTileTarget / group), tileRows = tokens * group;
  const std::vector<QueryTile> tiles = cutTiles(plan, tokens);
  TileScratch<M> memory(context.scratch, int(tileRows), shape);
  parallelTasks(int64_t(tiles.size()) * kvHeads, [&](int64_t task, int thread) {
    const int64_t h = task / int64_t(tiles.size());
    const QueryTile& tile = tiles[size_t(task % int64_t(tiles.size()))];
    const SegmentPlan& segment = plan.segments[size_t(tile.segment)];
    const int rows = int((tile.end - tile.begin) * group);
    const TileMemory<M> m = memory.of(thread);
    for (int r = 0; r < rows; r++)
      packRow<M>(q.as<T>() + (tile.begin + r / group) * q.rowStride + (h * group + r % group) * dim,
                 shape.dim, m.q + r * (shape.dim / M::kStep));
    m.state.clear(rows, shape.padded);

    auto attend = [&](int run, int64_t b) {
      const int64_t i = h * blockCount + plan.runs[size_t(run)].firstBlock + b;
      attendBlock(m.q, rows, m.visible,
                  KeyBlock<M>{across + i * acrossSize, along + i * alongSize, finite[i]}, shape,
                  m.state, m.block);
    };
    for (const SpanUse& s : segment.spans)
      for (int64_t b = 0; b * kKeyBlock < s.length; b++) {
        std::fill_n(m.visible, rows, int(std::min<int64_t>(s.length - b * kKeyBlock, kKeyBlock)));
        attend(s.run, b);
      }
    if (segment.ownRun >= 0) {
      const int64_t first = segment.ownVisible + (tile.begin - segment.qBegin);
      for (int64_t b = 0; b * kKeyBlock < first + (tile.end - tile.begin) - 1; b++) {
        for (int r = 0; r < rows; r++)
          m.visible[r] = int(std::clamp<int64_t>(first + r / group - b * kKeyBlock, 0, kKeyBlock));
        attend(segment.ownRun, b);
      }
    }
    for (int r = 0; r < rows; r++) {
      const int64_t t = tile.begin + r / group, head = h * group + r % group;
      finishRow(m.state, r, shape, out.as<T>() + t * out.rowStride + head * dim,
                lse.as<float>() + t * lse.rowStride + head);
    }
  });
  return {};
}

Status attention(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? attentionForward<float>(c, context)
                                      : attentionForward<BFloat16>(c, context);
}

}  // namespace

void registerAttention(KernelTable& t) { t.set("attention", attention); }

}  // namespace callgrad::cpu::CG_ISA
