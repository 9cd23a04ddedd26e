// One decode step of attention over paged keys and values.
//
// q, out: [B, Hq, D]; kv: [pages, 2, Hkv, pageSize, D]. Bound by the bytes of the own keys; the keys of a group's prefix are
// read and packed once for up to 16 adjacent rows of the group, whose query heads are folded into the rows of one product.
// A row's arithmetic is attention_block.h's, so it does not matter how rows are folded or cut over threads: the cut here
// may follow the number of threads.
//
// At 64 sequences of 256 tokens with prompts of their own, half of the time went to waiting for keys: the hardware prefetcher
// stops at every page and head. So a block's successor is fetched while the block is worked on.
#include <vector>

#include "core/parallel.h"
#include "cpu/kernels/attention_block.h"
#include "cpu/kernels/attention_scratch.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kMostRows = 16;

Status checkPages(const char* name, const int32_t* pages, int64_t width, int64_t tokens, int64_t pageSize,
                  int64_t limit, int64_t row) {
  if (tokens < 0 || tokens > width * pageSize)
    return error(Code::kRange, "[decodeAttention] expected %sLens in [0, %ld], got %ld at %ld", name,
                 long(width * pageSize), long(tokens), long(row));
  for (int64_t p = 0; p * pageSize < tokens; p++)
    if (pages[p] < 0 || pages[p] >= limit)
      return error(Code::kRange, "[decodeAttention] expected %sPages in [0, %ld), got %d at [%ld, %ld]", name,
                   long(limit), pages[p], long(row), long(p));
  return {};
}

// Values of one block as right operand: what packAlongRows makes, without its look at whether they are finite.
template <class M, typename T>
void packValues(const T* const* rows, int count, const HeadShape& shape, typename M::Unit* to) {
#if defined(__AVX512BF16__)
  if constexpr (sizeof(T) == 2 && M::kStep == 2) {
    for (int i = 0; i < count; i += 2, to += shape.padded) {
      const bool pair = i + 1 < count;
      for (int d = 0; d < shape.dim; d += kLanes) {
        const int left = shape.dim - d;
        const __mmask16 lanes = left >= kLanes ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
        const __m512i lo = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, rows[i] + d));
        const __m512i hi =
            pair ? _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(lanes, rows[i + 1] + d)), 16)
                 : _mm512_setzero_si512();
        _mm512_storeu_si512(to + d, _mm512_or_si512(lo, hi));
      }
    }
    return;
  }
#endif
  packAlongRows<M>(rows, count, shape.dim, to, shape.padded);
}

// Keys and values of up to a block of tokens, on their way from memory.
template <typename T>
void fetch(const T* keys, int64_t half, int64_t tokens, int64_t dim) {
  const int64_t bytes = tokens * dim * int64_t(sizeof(T));
  for (const T* from : {keys, keys + half}) {
    const char* line = reinterpret_cast<const char*>(from);
    for (int64_t b = 0; b < bytes; b += 64) __builtin_prefetch(line + b, 0, 2);
  }
}

struct RowRange {
  int64_t begin, end;
};

template <typename T>
Status decode(const OpCall& c, KernelContext& context) {
  using M = MathOf<T>;
  using Unit = typename M::Unit;
  const TensorView &q = c.in[0], &kv = c.in[1], &prefixPages = c.in[3], &ownPages = c.in[5], &out = c.out[0];
  const int32_t *rowGroup = c.in[2].as<int32_t>(), *prefixLens = c.in[4].as<int32_t>(),
                *ownLens = c.in[6].as<int32_t>();
  const int64_t batch = q.shape[0], heads = q.shape[1], dim = q.shape[2], pages = kv.shape[0], kvHeads = kv.shape[2],
                pageSize = kv.shape[3], group = heads / kvHeads, groups = prefixLens ? c.in[4].shape[0] : 0;
  const HeadShape shape(dim, c.attr[0]);

  for (int64_t r = 0; r < batch; r++) {
    if (rowGroup[r] < -1 || rowGroup[r] >= groups)
      return error(Code::kRange, "[decodeAttention] expected rowGroup in [-1, %ld), got %d at %ld", long(groups),
                   rowGroup[r], long(r));
    if (rowGroup[r] < 0) continue;
    const int64_t g = rowGroup[r];
    if (r == 0 || rowGroup[r - 1] != g)
      CG_RETURN_IF_ERROR(checkPages("prefix", prefixPages.as<int32_t>() + g * prefixPages.shape[1],
                                    prefixPages.shape[1], prefixLens[g], pageSize, pages, g));
    CG_RETURN_IF_ERROR(checkPages("own", ownPages.as<int32_t>() + r * ownPages.shape[1], ownPages.shape[1], ownLens[r],
                                  pageSize, pages, r));
  }

  // Adjacent rows of a group share the packing of its prefix; a few tasks per thread keep threads busy to the end.
  const int64_t most =
      std::clamp<int64_t>(batch * kvHeads / (int64_t(threadCount()) * 4), std::min<int64_t>(kMostRows, 4), kMostRows);
  std::vector<RowRange> ranges;
  for (int64_t r = 0; r < batch;) {
    int64_t end = r + 1;
    while (end < batch && end - r < most && rowGroup[end] == rowGroup[r]) end++;
    if (rowGroup[r] >= 0)
      ranges.push_back({r, end});
    else
      for (int64_t i = r; i < end; i++) std::fill_n(out.as<T>() + i * out.rowStride, heads * dim, T{});
    r = end;
  }

  const int64_t acrossSize = acrossUnits<M>(shape), alongSize = alongUnits<M>(shape);
  TileScratch<M> memory(context.scratch, int(most * group), shape);
  Unit* packed = context.scratch.get<Unit>(size_t(threadCount()) * size_t(acrossSize + alongSize));
  const int64_t headSize = pageSize * dim, half = kvHeads * headSize;
  parallelTasks(int64_t(ranges.size()) * kvHeads, [&](int64_t task, int thread) {
    const RowRange range = ranges[size_t(task / kvHeads)];
    const int64_t h = task % kvHeads, units = shape.dim / M::kStep;
    const TileMemory<M> m = memory.of(thread);
    Unit* across = packed + int64_t(thread) * (acrossSize + alongSize);
    Unit* along = across + acrossSize;
    const int rows = int((range.end - range.begin) * group);
    for (int r = 0; r < rows; r++)
      packRow<M>(q.as<T>() + (range.begin + r / group) * q.rowStride + (h * group + r % group) * dim, shape.dim,
                 m.q + r * units);
    m.state.clear(rows, shape.padded);

    auto keysAt = [&](const int32_t* list, int64_t token) {
      return kv.as<T>() + list[token / pageSize] * 2 * half + h * headSize + token % pageSize * dim;
    };
    auto fetchBlock = [&](const int32_t* list, int64_t tokens, int64_t from) {
      if (from < tokens) fetch(keysAt(list, from), half, std::min<int64_t>(tokens - from, kKeyBlock), dim);
    };
    // Takes rows [first, first + count) through `tokens` keys of a page list; `next` is the list that follows.
    struct Run {
      const int32_t* list;
      int64_t tokens;
    };
    auto walk = [&](Run run, Run next, int first, int count) {
      const T* at[kKeyBlock];
      for (int64_t b = 0; b < run.tokens; b += kKeyBlock) {
        const int n = int(std::min<int64_t>(run.tokens - b, kKeyBlock));
        if (b + kKeyBlock < run.tokens)
          fetchBlock(run.list, run.tokens, b + kKeyBlock);
        else
          fetchBlock(next.list, next.tokens, 0);
        for (int j = 0; j < n; j++) at[j] = keysAt(run.list, b + j);
        packAcross<M>(at, n, shape.dim, across, kKeyBlock);
        for (int j = 0; j < n; j++) at[j] += half;
        packValues<M>(at, n, shape, along);
        std::fill_n(m.visible, count, n);
        // every row sees all n keys, and a last pair is filled with 0: nothing to guard
        attendBlock(m.q + first * units, count, m.visible, KeyBlock<M>{across, along, true}, shape,
                    m.state.from(first, shape.padded), m.block);
      }
    };
    const int64_t g = rowGroup[range.begin];
    auto own = [&](int64_t r) -> Run {
      if (r >= range.end) return {nullptr, 0};
      return {ownPages.as<int32_t>() + r * ownPages.shape[1], ownLens[r]};
    };
    walk({prefixPages.as<int32_t>() + g * prefixPages.shape[1], prefixLens[g]}, own(range.begin), 0, rows);
    for (int64_t r = range.begin; r < range.end; r++)
      walk(own(r), own(r + 1), int((r - range.begin) * group), int(group));
    for (int r = 0; r < rows; r++)
      finishRow<T>(m.state, r, shape,
                   out.as<T>() + (range.begin + r / group) * out.rowStride + (h * group + r % group) * dim, nullptr);
  });
  return {};
}

Status decodeAttention(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? decode<float>(c, context) : decode<BFloat16>(c, context);
}

}  // namespace

void registerDecodeAttention(KernelTable& t) { t.set("decodeAttention", decodeAttention); }

}  // namespace callgrad::cpu::CG_ISA
