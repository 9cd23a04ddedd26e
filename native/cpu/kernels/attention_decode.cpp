// One decode step of attention over paged keys and values.
//
// q, out: [B, Hq, D]; kv: [pages, 2, Hkv, pageSize, D]. Bound by the bytes of the own keys; keys
// that up to 16 adjacent rows share (the prefix of their group, or pages that the prefixes of
// several begin with) are read and packed once, and the rows' query heads are folded into the rows
// of one product. A row's arithmetic is attention_block.h's, so it does not matter how rows are
// folded or cut over threads: the cut here may follow the number of threads.
//
// At 64 sequences of 288 tokens with prompts of their own, half of the time went to waiting for
// keys: the hardware prefetcher stops at every page and head. Fetching each block's successor while
// the block is worked on: 6.8 to 13.3 GB/s a core (Zen 4, bf16, D 64, pages of 16).
#include <vector>

#include "core/parallel.h"
#include "cpu/decode_rows.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/attention_scratch.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kMostRows = 16;

Status checkPages(const char* name, const int32_t* pages, int64_t width, int64_t tokens,
                  int64_t pageSize, int64_t limit, int64_t row) {
  if (tokens < 0 || tokens > width * pageSize)
    return error(Code::kRange, "[decodeAttention] expected %sLens in [0, %ld], got %ld at %ld",
                 name, long(width * pageSize), long(tokens), long(row));
  for (int64_t p = 0; p * pageSize < tokens; p++)
    if (pages[p] < 0 || pages[p] >= limit)
      return error(Code::kRange,
                   "[decodeAttention] expected %sPages in [0, %ld), got %d at [%ld, %ld]", name,
                   long(limit), pages[p], long(row), long(p));
  return {};
}

// The call's tables and its cache.
template <typename T>
struct Views {
  const T* kv;
  int64_t headSize, half, dim, group;  // half: from keys to values of a page
  PrefixTables prefix;
  const int32_t *ownPages, *ownLens;
  int64_t ownWidth;
};

// Keys that a run of rows sees, up to 64 of them.
template <typename T>
struct BlockOf {
  const T* rows[kKeyBlock];
  int n;
  int first, count;  // rows of the task that see them, query heads folded
};

// The blocks that a task walks: what all of its rows share, then group by group the rest of the
// prefix and each row's own keys.
template <typename T>
class BlockWalk {
 public:
  BlockWalk(const Views<T>& views, RowRange range, int64_t head)
      : v_(views),
        range_(range),
        head_(views.kv + head * views.headSize),
        row_(range.begin),
        groupEnd_(range.begin) {
    enter(range.begin, range.end, prefixOf(range.begin), 0, range.shared);
  }

  bool next(BlockOf<T>* block) {
    while (key_ >= keys_)
      if (!enterNext()) return false;
    block->first = int((begin_ - range_.begin) * v_.group);
    block->count = int((end_ - begin_) * v_.group);
    locate(int(std::min<int64_t>(keys_ - key_, kKeyBlock)), block);
    key_ += block->n;
    return true;
  }

 private:
  const int32_t* prefixOf(int64_t row) const {
    return v_.prefix.pages + v_.prefix.rowGroup[row] * v_.prefix.width;
  }

  void enter(int64_t begin, int64_t end, const int32_t* pages, int64_t from, int64_t to) {
    begin_ = begin, end_ = end, pages_ = pages, key_ = from, keys_ = to;
  }

  // The run of keys that follows: the rest of a prefix before its first row's own keys.
  bool enterNext() {
    if (row_ == range_.end) return false;
    const int32_t* groups = v_.prefix.rowGroup;
    if (row_ == groupEnd_) {
      while (groupEnd_ < range_.end && groups[groupEnd_] == groups[row_]) groupEnd_++;
      enter(row_, groupEnd_, prefixOf(row_), range_.shared, v_.prefix.lens[groups[row_]]);
    } else {
      enter(row_, row_ + 1, v_.ownPages + row_ * v_.ownWidth, 0, v_.ownLens[row_]);
      row_++;
    }
    return true;
  }

  void locate(int n, BlockOf<T>* block) const {
    const int64_t pageSize = v_.prefix.pageSize;
    block->n = n;
    for (int j = 0; j < n;) {
      const int64_t page = (key_ + j) / pageSize, slot = (key_ + j) % pageSize;
      const T* row = head_ + pages_[page] * 2 * v_.half + slot * v_.dim;
      for (int64_t s = slot; s < pageSize && j < n; s++, j++, row += v_.dim) block->rows[j] = row;
    }
  }

  const Views<T>& v_;
  RowRange range_;
  const T* head_;
  int64_t row_, groupEnd_;  // the next row whose own keys are walked, the end of its group
  int64_t begin_, end_;     // the run of keys at hand: its rows, pages, next key and end
  const int32_t* pages_;
  int64_t key_, keys_;
};

template <typename T>
Status decode(const OpCall& c, KernelContext& context) {
  using M = MathOf<T>;
  using Unit = typename M::Unit;
  const TensorView &q = c.in[0], &kv = c.in[1], &prefixPages = c.in[3], &ownPages = c.in[5],
                   &out = c.out[0];
  const int32_t *rowGroup = c.in[2].as<int32_t>(), *prefixLens = c.in[4].as<int32_t>(),
                *ownLens = c.in[6].as<int32_t>();
  const int64_t batch = q.shape[0], heads = q.shape[1], dim = q.shape[2], pages = kv.shape[0],
                kvHeads = kv.shape[2], pageSize = kv.shape[3], group = heads / kvHeads,
                groups = prefixLens ? c.in[4].shape[0] : 0;
  const HeadShape shape(dim, c.attr[0]);

  for (int64_t r = 0; r < batch; r++) {
    if (rowGroup[r] < -1 || rowGroup[r] >= groups)
      return error(Code::kRange, "[decodeAttention] expected rowGroup in [-1, %ld), got %d at %ld",
                   long(groups), rowGroup[r], long(r));
    if (rowGroup[r] < 0) continue;
    const int64_t g = rowGroup[r];
    if (r == 0 || rowGroup[r - 1] != g)
      CG_RETURN_IF_ERROR(checkPages("prefix", prefixPages.as<int32_t>() + g * prefixPages.shape[1],
                                    prefixPages.shape[1], prefixLens[g], pageSize, pages, g));
    CG_RETURN_IF_ERROR(checkPages("own", ownPages.as<int32_t>() + r * ownPages.shape[1],
                                  ownPages.shape[1], ownLens[r], pageSize, pages, r));
  }

  // A few tasks per thread keep threads busy to the end; rows of one group share enough for ranges
  // of four even where that leaves fewer.
  const int64_t few = batch * kvHeads / (int64_t(threadCount()) * 4);
  const RowCut cut{kKeyBlock, std::clamp<int64_t>(few, 4, kMostRows),
                   std::clamp<int64_t>(few, 1, kMostRows)};
  const PrefixTables prefix{rowGroup, prefixPages.as<int32_t>(), prefixLens,
                            prefixPages.present() ? prefixPages.shape[1] : 0, pageSize};
  std::vector<RowRange> ranges;
  for (int64_t r = 0; r < batch;) {
    int64_t end = r;
    while (end < batch && rowGroup[end] >= 0) end++;
    appendRanges(prefix, r, end, cut, ranges);
    for (; end < batch && rowGroup[end] < 0; end++)
      std::fill_n(out.as<T>() + end * out.rowStride, heads * dim, T{});
    r = end;
  }

  const int64_t acrossSize = acrossUnits<M>(shape), alongSize = alongUnits<M>(shape);
  TileScratch<M> memory(context.scratch, int(cut.mostOfGroup * group), shape);
  Unit* packed = context.scratch.get<Unit>(size_t(threadCount()) * size_t(acrossSize + alongSize));
  const int64_t headSize = pageSize * dim, half = kvHeads * headSize;
  using Block = BlockOf<T>;
  using Blocks = BlockWalk<T>;
  const Views<T> views{
      kv.as<T>(), headSize,         half, dim, group, prefix, ownPages.as<int32_t>(),
      ownLens,    ownPages.shape[1]};
  const int64_t tasks = int64_t(ranges.size()) * kvHeads;
  parallelTasks(tasks, [&](int64_t task, int thread) {
    const RowRange range = ranges[size_t(task / kvHeads)];
    const int64_t h = task % kvHeads, units = shape.dim / M::kStep;
    const TileMemory<M> m = memory.of(thread);
    Unit* across = packed + int64_t(thread) * (acrossSize + alongSize);
    Unit* along = across + acrossSize;
    const int rows = int((range.end - range.begin) * group);
    for (int r = 0; r < rows; r++)
      packRow<M>(
          q.as<T>() + (range.begin + r / group) * q.rowStride + (h * group + r % group) * dim,
          shape.dim, m.q + r * units);
    m.state.clear(rows, shape.padded);

    // While a block is packed and multiplied, the next one is on its way to L2, and while the last
    // one is, the first of the task that this thread will most likely be given: pages are short and
    // scattered, hardware does not see where they go.
    const auto prefetch = [&](const Block& block, int64_t offset) {
      for (int j = 0; j < block.n; j++) {
        const char* row = reinterpret_cast<const char*>(block.rows[j] + offset);
        for (int64_t at = 0; at < dim * int64_t(sizeof(T)); at += 64)
          __builtin_prefetch(row + at, 0, 2);
      }
    };
    const auto blocksOf = [&](int64_t t) {
      return Blocks(views, ranges[size_t(t / kvHeads)], t % kvHeads);
    };
    Blocks walk = blocksOf(task);
    Block now, following;
    bool more = walk.next(&now);
    if (more) {
      prefetch(now, 0);
      prefetch(now, half);
    }
    while (more) {
      more = walk.next(&following);
      const int64_t after = task + threadCount();
      const bool fetch = more || (after < tasks && blocksOf(after).next(&following));
      if (fetch) prefetch(following, 0);
      packAcross<M>(now.rows, now.n, shape.dim, across, kKeyBlock);
      if (fetch) prefetch(following, half);
      for (int j = 0; j < now.n; j++) now.rows[j] += half;
      packAlongRows<M>(now.rows, now.n, shape.dim, along, shape.padded);
      std::fill_n(m.visible, now.count, now.n);
      // every row sees all n keys, and a last pair is filled with 0: nothing to guard
      attendBlock(m.q + now.first * units, now.count, m.visible, KeyBlock<M>{across, along, true},
                  shape, m.state.from(now.first, shape.padded), m.block);
      if (more) now = following;
    }
    for (int r = 0; r < rows; r++)
      finishRow<T>(
          m.state, r, shape,
          out.as<T>() + (range.begin + r / group) * out.rowStride + (h * group + r % group) * dim,
          nullptr);
  });
  return {};
}

Status decodeAttention(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? decode<float>(c, context) : decode<BFloat16>(c, context);
}

}  // namespace

void registerDecodeAttention(KernelTable& t) { t.set("decodeAttention", decodeAttention); }

}  // namespace callgrad::cpu::CG_ISA
