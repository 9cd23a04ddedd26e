// The tables of packed attention on the device: which rows a tile holds, which keys it sees.
//
// Segments are data on the device, so the host cannot cut them into tiles: one small launch counts
// the tiles of each segment (and checks the tables), and the attention kernels, started with as
// many blocks as any tables could need, find theirs by bisection.
#pragma once
#include "cuda/attention_core.cuh"
#include "cuda/device_errors.cuh"

namespace callgrad::gpu {

struct Segment {
  int32_t qBegin, qEnd, kBegin, causalOffset, spanBegin, spanEnd;

  CG_DEVICE int rows() const { return qEnd - qBegin; }
  // Own keys that row i of the segment sees.
  CG_DEVICE int ownSeen(int i) const {
    const int seen = kBegin < 0 ? 0 : i + causalOffset + 1;
    return seen > 0 ? seen : 0;
  }
};

struct Tables {
  const Segment* segments;
  const int32_t* spans;  // [P, 2]
  int32_t* tileBegin;    // [S + 1], tiles of the segments before; scratch
  int32_t count, spanCount;
  int64_t queries, keys;
};

inline constexpr int kPlanThreads = 256;

// Checks the tables, counts tiles of `tokens` query rows, and marks rows that a segment covers.
// Faulty segments get no tiles. One block.
static __global__ void CG_LAUNCH_BOUNDS(kPlanThreads, 1)
    planKernel(Tables t, int tokens, uint8_t* covered, ErrorSlot errors) {
  CG_SHARED(int, part, [kPlanThreads]);
  const int me = int(threadIdx.x);
  for (int i = me; i < t.spanCount; i += kPlanThreads) {
    const int32_t begin = t.spans[2 * i], end = t.spans[2 * i + 1];
    if (begin < 0 || begin > end || end > t.keys)
      reportFault(errors, Fault::kSpan, i, begin, t.keys, end);
  }
  const int perThread = (t.count + kPlanThreads - 1) / kPlanThreads;
  const int first = me * perThread;
  const int last = first + perThread < t.count ? first + perThread : t.count;
  int mine = 0;
  for (int i = first; i < last; i++) {
    const Segment s = t.segments[i];
    const int64_t n = int64_t(s.qEnd) - s.qBegin;
    bool good = true;
    if (s.qBegin < 0 || n < 0 || s.qEnd > t.queries) {
      reportFault(errors, Fault::kSegmentQueries, i, s.qBegin, t.queries, s.qEnd);
      good = false;
    } else if (s.spanBegin < 0 || s.spanBegin > s.spanEnd || s.spanEnd > t.spanCount) {
      reportFault(errors, Fault::kSegmentSpans, i, s.spanBegin, t.spanCount, s.spanEnd);
      good = false;
    } else {
      const int64_t own = n + s.causalOffset > 0 ? n + s.causalOffset : 0;
      if (s.kBegin < -1 || (s.kBegin >= 0 && s.kBegin + own > t.keys)) {
        reportFault(errors, Fault::kSegmentKeys, i, int32_t(n + s.causalOffset), t.keys, s.kBegin);
        good = false;
      }
    }
    if (good) mine += int((n + tokens - 1) / tokens);
    t.tileBegin[i] = good ? int((n + tokens - 1) / tokens) : 0;
  }
  part[me] = mine;
  __syncthreads();
  int before = 0;
  for (int i = 0; i < me; i++) before += part[i];
  for (int i = first; i < last; i++) {
    const int tiles = t.tileBegin[i];
    t.tileBegin[i] = before;
    before += tiles;
    if (tiles == 0) continue;
    for (int r = t.segments[i].qBegin; r < t.segments[i].qEnd; r++) covered[r] = 1;
  }
  if (me == kPlanThreads - 1) t.tileBegin[t.count] = before;
}

// Reports two segments that hold the same query row.
static __global__ void CG_LAUNCH_BOUNDS(kPlanThreads, 1) overlapKernel(Tables t, ErrorSlot errors) {
  const int64_t i = int64_t(blockIdx.x) * kPlanThreads + threadIdx.x;
  if (i >= t.count) return;
  const Segment s = t.segments[i];
  if (s.qBegin >= s.qEnd) return;
  for (int j = 0; j < t.count; j++) {
    const Segment o = t.segments[j];
    // Reported by the segment that starts later (or has the higher number).
    const bool later = s.qBegin > o.qBegin || (s.qBegin == o.qBegin && i > j);
    if (later && s.qBegin < o.qEnd)
      reportFault(errors, Fault::kSegmentOverlap, s.qBegin, s.qBegin, t.queries);
  }
}

// A block's tile: query rows [begin, end) of one segment.
struct QueryTile {
  int segment = -1;  // -1: there is no such tile
  int begin = 0, end = 0;
};

CG_DEVICE QueryTile tileAt(const Tables& t, int tile, int tokens) {
  if (tile >= t.tileBegin[t.count]) return {};
  int low = 0, high = t.count;  // tileBegin[low] <= tile < tileBegin[high]
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (t.tileBegin[middle] <= tile ? low : high) = middle;
  }
  const Segment& s = t.segments[low];
  const int begin = s.qBegin + (tile - t.tileBegin[low]) * tokens;
  return {low, begin, begin + tokens < s.qEnd ? begin + tokens : s.qEnd};
}

// The blocks of keys that a tile sees: its segment's spans, then its own keys up to the diagonal.
template <typename T, int kKeys>
class TileKeys {
 public:
  CG_DEVICE TileKeys(const Tables& t, const QueryTile& tile, const T* k, int64_t kStride,
                     const T* v, int64_t vStride)
      : segment_(t.segments[tile.segment]),
        spans_(t.spans),
        span_(segment_.spanBegin),
        ownSeen_(segment_.ownSeen(tile.end - 1 - segment_.qBegin)) {
    block_.k = k, block_.v = v, block_.kStride = kStride, block_.vStride = vStride;
  }

  CG_DEVICE KeyBlock<T> operator()() {
    block_.count = 0;
    while (span_ < segment_.spanEnd) {
      const int32_t begin = spans_[2 * span_], end = spans_[2 * span_ + 1];
      if (begin + at_ < end) return give(begin, end - begin, 0);
      span_++;
      at_ = 0;
    }
    if (at_ < ownSeen_) return give(segment_.kBegin, ownSeen_, 1);
    return block_;
  }

 private:
  CG_DEVICE KeyBlock<T> give(int begin, int length, int kind) {
    block_.first = int64_t(begin) + at_;
    block_.count = length - at_ < kKeys ? length - at_ : kKeys;
    block_.kind = kind;
    at_ += kKeys;
    return block_;
  }

  Segment segment_;
  const int32_t* spans_;
  int span_, ownSeen_, at_ = 0;
  KeyBlock<T> block_;
};

// Rows of a tile: token i / group, head i % group of the kv head.
struct Fold {
  int group, kvHead, dim;
  CG_DEVICE int token(int r) const { return r / group; }
  CG_DEVICE int head(int r) const { return kvHead * group + r % group; }
};

// Keys of a block that a row of the tile sees.
CG_DEVICE int seenOf(const Segment& s, int token, int64_t first, int count, int kind) {
  if (kind == 0) return count;
  const int64_t seen = s.ownSeen(token - s.qBegin) - (first - s.kBegin);
  return seen < 0 ? 0 : seen < count ? int(seen) : count;
}

// Rows that no segment holds: zeros, and a log-sum-exp of -inf where there is one.
template <typename T>
__global__ void CG_LAUNCH_BOUNDS(kPlanThreads, 1)
    uncoveredKernel(const uint8_t* covered, RowsOf<T> rows, float* lse, int64_t lseStride,
                    int heads) {
  const int64_t t = blockIdx.x;
  if (covered[t]) return;
  for (int c = int(threadIdx.x); c < rows.width; c += kPlanThreads)
    rows.at(t)[c] = fromFloat<T>(0.0f);
  if (!lse) return;
  for (int h = int(threadIdx.x); h < heads; h += kPlanThreads) lse[t * lseStride + h] = -INFINITY;
}

// ---- host side ---------------------------------------------------------------------------------

inline Tables tablesOf(const TensorView& segments, const TensorView& spans, int64_t queries,
                       int64_t keys, Scratch& scratch) {
  return {segments.as<Segment>(),
          spans.as<int32_t>(),
          scratch.get<int32_t>(size_t(segments.shape[0] + 1)),
          int32_t(segments.shape[0]),
          int32_t(spans.shape[0]),
          queries,
          keys};
}

// Checks the tables, cuts segments into tiles of `tokens` rows, and writes the rows of `rows` (and
// of `lse`, where present) that no segment holds.
template <typename T>
Status planTiles(KernelContext& context, const Tables& t, int tokens, const TensorView& rows,
                 const TensorView& lse = TensorView::absent()) {
  Gpu& gpu = *context.gpu;
  uint8_t* covered = context.scratch.get<uint8_t>(size_t(t.queries + 1));
  CG_RETURN_IF_ERROR(gpu.runtime->set(covered, 0, size_t(t.queries + 1), gpu.stream));
  CG_RETURN_IF_ERROR(launch(gpu, "attention plan", planKernel, dim3(1), dim3(kPlanThreads), 0, t,
                            tokens, covered, *context.deviceErrors));
  CG_RETURN_IF_ERROR(launch(gpu, "attention overlap", overlapKernel,
                            dim3(unsigned(ceilDiv(t.count, kPlanThreads))), dim3(kPlanThreads), 0,
                            t, *context.deviceErrors));
  return launch(gpu, "attention uncovered", uncoveredKernel<T>, dim3(unsigned(t.queries)),
                dim3(kPlanThreads), 0, covered, wholeRows<T>(rows),
                lse.present() ? lse.as<float>() : nullptr, lse.present() ? lse.rowStride : 0,
                lse.present() ? int(lse.rowSize()) : 0);
}

// Tiles that any tables of this size may need.
inline int64_t mostTiles(const Tables& t, int tokens) { return t.queries / tokens + t.count; }

}  // namespace callgrad::gpu
