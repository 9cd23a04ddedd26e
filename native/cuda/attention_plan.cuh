// What attention's tiles need to know of the tables before they start: whether these are right, the
// tiles of each segment, and the rows that no segment holds, which get zeros.
#pragma once
#include "cuda/attention_tiles.cuh"

namespace callgrad::gpu {

inline constexpr int kPlanThreads = 256;

// Whether segment i points inside the tensors; reports it where not.
CG_DEVICE bool checkSegment(const Tables& t, int i, const Segment& s, const ErrorSlot& errors) {
  const int64_t n = int64_t(s.qEnd) - s.qBegin;
  if (s.qBegin < 0 || n < 0 || s.qEnd > t.queries) {
    reportFault(errors, Fault::kSegmentQueries, i, s.qBegin, t.queries, s.qEnd);
    return false;
  }
  if (s.spanBegin < 0 || s.spanBegin > s.spanEnd || s.spanEnd > t.spanCount) {
    reportFault(errors, Fault::kSegmentSpans, i, s.spanBegin, t.spanCount, s.spanEnd);
    return false;
  }
  const int64_t own = n + s.causalOffset > 0 ? n + s.causalOffset : 0;
  if (s.kBegin < -1 || (s.kBegin >= 0 && s.kBegin + own > t.keys)) {
    reportFault(errors, Fault::kSegmentKeys, i, int32_t(n + s.causalOffset), t.keys, s.kBegin);
    return false;
  }
  return true;
}

// Checks the tables, counts tiles of `tokens` query rows, and marks rows that a segment covers.
// Faulty segments get no tiles. One block.
static __global__ void CG_LAUNCH_BOUNDS(kPlanThreads, 1)
    planKernel(Tables t, int tokens, uint8_t* covered, ErrorSlot errors) {
  CG_SHARED(int, part, [kPlanThreads]);
  const int me = int(threadIdx.x), lane = me % kWarp;
  for (int i = me; i < t.spanCount; i += kPlanThreads) {
    const int32_t begin = t.spans[2 * i], end = t.spans[2 * i + 1];
    if (begin < 0 || begin > end || end > t.keys)
      reportFault(errors, Fault::kSpan, i, begin, t.keys, end);
  }
  for (int base = 0; base < t.count; base += kPlanThreads) {
    const int i = base + me;
    Segment s{};
    if (i < t.count) {
      s = t.segments[i];
      if (!checkSegment(t, i, s, errors)) s = {};
      t.tileBegin[i] = s.rows();
    }
    // A warp marks the rows of its segments one after another.
    for (uint32_t left = __ballot_sync(0xffffffffu, s.rows() > 0); left != 0; left &= left - 1) {
      const int from = __ffs(int(left)) - 1;
      const int end = __shfl_sync(0xffffffffu, s.qEnd, from);
      for (int r = __shfl_sync(0xffffffffu, s.qBegin, from) + lane; r < end; r += kWarp)
        covered[r] = 1;
    }
  }
  __syncthreads();
  // A thread goes through segments that follow one another.
  const auto tilesOf = [&](int rows) { return (rows + tokens - 1) / tokens; };
  const auto continues = [&](int i) {
    return t.tileBegin[i] > 0 && t.tileBegin[i - 1] > 0 &&
           follows(t.segments[i - 1], t.segments[i]);
  };
  for (int start = me; start < t.count; start += kPlanThreads) {
    if (start > 0 && continues(start)) continue;
    int room = 0;  // rows that the last tile so far could still hold
    for (int i = start; i < t.count && (i == start || continues(i)); i++) {
      const int rows = t.tileBegin[i];
      int given = room < rows ? room : rows;
      if (tilesOf(rows - given) == tilesOf(rows)) given = 0;
      t.given[i] = given;
      room = given == rows ? room - given : tilesOf(rows - given) * tokens - (rows - given);
    }
  }
  __syncthreads();
  const int perThread = (t.count + kPlanThreads - 1) / kPlanThreads;
  const int first = me * perThread;
  const int last = first + perThread < t.count ? first + perThread : t.count;
  int mine = 0;
  for (int i = first; i < last; i++) mine += tilesOf(t.tileBegin[i] - t.given[i]);
  part[me] = mine;
  __syncthreads();
  int before = 0;
  for (int i = 0; i < me; i++) before += part[i];
  for (int i = first; i < last; i++) {
    const int tiles = tilesOf(t.tileBegin[i] - t.given[i]);
    t.tileBegin[i] = before;
    before += tiles;
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

// Rows that no segment holds: zeros, and a log-sum-exp of -inf where there is one. A thread reads a
// row's flag; the warp writes the rows that it found.
template <typename T>
__global__ void CG_LAUNCH_BOUNDS(kPlanThreads, 1)
    uncoveredKernel(const uint8_t* covered, int64_t queries, RowsOf<T> rows, float* lse,
                    int64_t lseStride, int heads) {
  const int lane = int(threadIdx.x) % kWarp;
  const int64_t mine = int64_t(blockIdx.x) * kPlanThreads + threadIdx.x;
  const bool open = mine < queries && !covered[mine];
  for (uint32_t left = __ballot_sync(0xffffffffu, open); left != 0; left &= left - 1) {
    const int64_t t = mine - lane + (__ffs(int(left)) - 1);
    for (int c = lane; c < rows.width; c += kWarp) rows.at(t)[c] = fromFloat<T>(0.0f);
    if (!lse) continue;
    for (int h = lane; h < heads; h += kWarp) lse[t * lseStride + h] = -INFINITY;
  }
}

// ---- host side ---------------------------------------------------------------------------------

inline Tables tablesOf(const TensorView& segments, const TensorView& spans, int64_t queries,
                       int64_t keys, Scratch& scratch) {
  return {segments.as<Segment>(),
          spans.as<int32_t>(),
          scratch.get<int32_t>(size_t(segments.shape[0] + 1)),
          scratch.get<int32_t>(size_t(segments.shape[0])),
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
  return launch(gpu, "attention uncovered", uncoveredKernel<T>,
                dim3(unsigned(ceilDiv(t.queries, kPlanThreads))), dim3(kPlanThreads), 0, covered,
                t.queries, wholeRows<T>(rows), lse.present() ? lse.as<float>() : nullptr,
                lse.present() ? lse.rowStride : 0, lse.present() ? int(lse.rowSize()) : 0);
}

}  // namespace callgrad::gpu
