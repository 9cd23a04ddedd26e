// What the tables of a call say, checked, and the same for every head: runs of keys and segments of
// query rows.
//
// A run is a range of keys that some segment sees as a whole (a span) or causally (its own keys);
// ranges that start at the same key are one run, so a prompt's own keys and the span that its
// completions see are packed once.
#pragma once
#include <algorithm>
#include <vector>

#include "core/status.h"
#include "core/tensor_view.h"
#include "cpu/kernels/attention_block.h"

namespace callgrad::cpu::CG_ISA {

struct KeyRun {
  int64_t begin, end;
  int64_t firstBlock;  // among the blocks of all runs
};

// Up to 64 keys of a run; its place in AttentionPlan::blocks is its place among the packed blocks
// of a head.
struct KeyBlockRange {
  int64_t first;
  int count;
};

// Keys [0, length) of a run, seen by every row of a segment.
struct SpanUse {
  int run;
  int64_t length;
};

struct SegmentPlan {
  int64_t qBegin, qEnd;
  std::vector<SpanUse> spans;
  int ownRun;          // -1: none
  int64_t ownVisible;  // row i of the segment sees max(0, ownVisible + i) own keys
};

struct AttentionPlan {
  std::vector<KeyRun> runs;  // by first key
  std::vector<SegmentPlan> segments;
  std::vector<KeyBlockRange> blocks;

  int64_t blockCount() const { return int64_t(blocks.size()); }

  int runAt(int64_t begin) const {
    const auto it = std::lower_bound(runs.begin(), runs.end(), begin,
                                     [](const KeyRun& r, int64_t key) { return r.begin < key; });
    return int(it - runs.begin());
  }
};

inline Status makePlan(const char* op, const TensorView& segments, const TensorView& spans,
                       int64_t queries, int64_t keys, AttentionPlan* plan) {
  const int32_t *row = segments.as<int32_t>(), *span = spans.as<int32_t>();
  const int64_t count = segments.shape[0], spanCount = spans.shape[0];
  for (int64_t i = 0; i < spanCount; i++)
    if (span[2 * i] < 0 || span[2 * i] > span[2 * i + 1] || span[2 * i + 1] > keys)
      return error(Code::kRange, "[%s] expected spans inside [0, %ld], got [%d, %d) at %ld", op,
                   long(keys), span[2 * i], span[2 * i + 1], long(i));
  std::vector<std::pair<int64_t, int64_t>> ranges;  // (first key, end) of every run in use
  for (int64_t i = 0; i < count; i++) {
    const int32_t* s = row + 6 * i;
    const int64_t n = int64_t(s[1]) - s[0];
    if (s[0] < 0 || n < 0 || s[1] > queries)
      return error(Code::kRange,
                   "[%s] expected segment %ld to have query rows inside [0, %ld], got [%d, %d)", op,
                   long(i), long(queries), s[0], s[1]);
    if (s[4] < 0 || s[4] > s[5] || s[5] > spanCount)
      return error(Code::kRange,
                   "[%s] expected segment %ld to have spans inside [0, %ld], got [%d, %d)", op,
                   long(i), long(spanCount), s[4], s[5]);
    if (s[2] < -1 || (s[2] >= 0 && s[2] + std::max<int64_t>(0, n + s[3]) > keys))
      return error(Code::kRange,
                   "[%s] expected segment %ld to have own keys inside [0, %ld], got %ld from %d "
                   "(rows + causalOffset)",
                   op, long(i), long(keys), long(n + s[3]), s[2]);
    if (n == 0) continue;
    for (int32_t k = s[4]; k < s[5]; k++)
      if (span[2 * k] < span[2 * k + 1]) ranges.emplace_back(span[2 * k], span[2 * k + 1]);
    if (s[2] >= 0 && n + s[3] > 0) ranges.emplace_back(s[2], s[2] + n + s[3]);
  }
  std::sort(ranges.begin(), ranges.end());
  for (const auto& [begin, end] : ranges) {
    if (plan->runs.empty() || plan->runs.back().begin != begin)
      plan->runs.push_back({begin, end, 0});
    plan->runs.back().end = std::max(plan->runs.back().end, end);
  }
  for (KeyRun& r : plan->runs) {
    r.firstBlock = plan->blockCount();
    for (int64_t first = r.begin; first < r.end; first += kKeyBlock)
      plan->blocks.push_back({first, int(std::min<int64_t>(r.end - first, kKeyBlock))});
  }
  for (int64_t i = 0; i < count; i++) {
    const int32_t* s = row + 6 * i;
    const int64_t n = int64_t(s[1]) - s[0];
    if (n == 0) continue;
    SegmentPlan p{s[0], s[1], {}, -1, 0};
    for (int32_t k = s[4]; k < s[5]; k++)
      if (span[2 * k] < span[2 * k + 1])
        p.spans.push_back({plan->runAt(span[2 * k]), int64_t(span[2 * k + 1]) - span[2 * k]});
    if (s[2] >= 0 && n + s[3] > 0) {
      p.ownRun = plan->runAt(s[2]);
      p.ownVisible = int64_t(s[3]) + 1;
    }
    plan->segments.push_back(std::move(p));
  }
  std::sort(plan->segments.begin(), plan->segments.end(),
            [](const SegmentPlan& a, const SegmentPlan& b) { return a.qBegin < b.qBegin; });
  for (size_t i = 1; i < plan->segments.size(); i++)
    if (plan->segments[i].qBegin < plan->segments[i - 1].qEnd)
      return error(Code::kRange,
                   "[%s] expected segments whose query rows do not overlap, got row %ld in two", op,
                   long(plan->segments[i].qBegin));
  return {};
}

// Calls fn(begin, end) for the query rows that are in no segment.
template <typename Fn>
void forUncoveredRows(const AttentionPlan& plan, int64_t queries, Fn&& fn) {
  int64_t at = 0;
  for (const SegmentPlan& s : plan.segments) {
    if (at < s.qBegin) fn(at, s.qBegin);
    at = s.qEnd;
  }
  if (at < queries) fn(at, queries);
}

// A range of one segment's query rows that a thread takes at a time.
struct QueryTile {
  int segment;
  int64_t begin, end;
};

inline std::vector<QueryTile> cutTiles(const AttentionPlan& plan, int64_t tokens) {
  std::vector<QueryTile> tiles;
  for (size_t s = 0; s < plan.segments.size(); s++)
    for (int64_t t = plan.segments[s].qBegin; t < plan.segments[s].qEnd; t += tokens)
      tiles.push_back({int(s), t, std::min(t + tokens, plan.segments[s].qEnd)});
  return tiles;
}

}  // namespace callgrad::cpu::CG_ISA
