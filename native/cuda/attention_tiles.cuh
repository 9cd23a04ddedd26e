// The tables of packed attention on the device: which rows a tile holds, which keys it sees.
//
// Segments are data on the device, so the host cannot cut them into tiles: one small launch counts
// the tiles of each segment (and checks the tables), and the attention kernels, started with as
// many blocks as any tables could need, find theirs by bisection.
//
// Samples of a group that see the same spans share tiles. A segment gives its first rows to the
// last tile of the segment before, where that has room and the segment needs a tile less without
// them; so each such gift saves one walk over the spans. It never costs one over own keys: the
// tiles that the segment keeps end where they did, or earlier. A shared tile walks the spans once,
// then the own keys of each of its segments, which rows of the others do not see. Each walk over
// own keys starts at the segment's first, so that the bits of a row do not depend on its
// neighbours; one walk over the own keys of all would be a block or two less for very short
// samples, and would change them.
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

// Whether the rows of `next` come right after those of `s` and see the same spans.
CG_DEVICE bool follows(const Segment& s, const Segment& next) {
  return s.rows() > 0 && next.rows() > 0 && s.qEnd == next.qBegin &&
         s.spanBegin == next.spanBegin && s.spanEnd == next.spanEnd && s.spanBegin < s.spanEnd;
}

struct Tables {
  const Segment* segments;
  const int32_t* spans;  // [P, 2]
  int32_t* tileBegin;    // [S + 1], tiles that begin in the segments before; scratch
  int32_t* given;        // [S], first rows of a segment that are in a tile of one before; scratch
  int32_t count, spanCount;
  int64_t queries, keys;
};

// A block's tile: query rows [begin, end) of segments [segment, last].
struct QueryTile {
  int segment = -1, last = -1;  // -1: there is no such tile
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
  const int begin = s.qBegin + t.given[low] + (tile - t.tileBegin[low]) * tokens;
  QueryTile found{low, low, begin, begin + tokens < s.qEnd ? begin + tokens : s.qEnd};
  while (found.end == t.segments[found.last].qEnd && found.last + 1 < t.count &&
         t.given[found.last + 1] > 0)
    found.end += t.given[++found.last];
  return found;
}

// The blocks of keys that a tile sees: the spans of its segments, then the own keys of each, up to
// the diagonal.
template <typename T, int kKeys>
class TileKeys {
 public:
  CG_DEVICE TileKeys(const Tables& t, const QueryTile& tile, const T* k, int64_t kStride,
                     const T* v, int64_t vStride)
      : segments_(t.segments),
        spans_(t.spans),
        segment_(tile.segment),
        last_(tile.last),
        end_(tile.end),
        span_(t.segments[tile.segment].spanBegin),
        spanEnd_(t.segments[tile.segment].spanEnd) {
    block_.k = k, block_.v = v, block_.kStride = kStride, block_.vStride = vStride;
  }

  CG_DEVICE KeyBlock<T> operator()() {
    block_.count = 0;
    for (; span_ < spanEnd_; span_++, at_ = 0) {
      const int32_t begin = spans_[2 * span_], end = spans_[2 * span_ + 1];
      if (begin + at_ < end) return give(begin, end - begin);
    }
    for (; segment_ <= last_; segment_++, at_ = 0) {
      const Segment s = segments_[segment_];
      const int seen = s.ownSeen((end_ < s.qEnd ? end_ : s.qEnd) - 1 - s.qBegin);
      if (at_ >= seen) continue;
      block_.rowBegin = s.qBegin, block_.rowEnd = s.qEnd;
      block_.seenMore = int64_t(s.causalOffset) + 1 - s.qBegin - at_;
      return give(s.kBegin, seen);
    }
    return block_;
  }

 private:
  CG_DEVICE KeyBlock<T> give(int begin, int length) {
    block_.first = int64_t(begin) + at_;
    block_.count = length - at_ < kKeys ? length - at_ : kKeys;
    at_ += kKeys;
    return block_;
  }

  const Segment* segments_;
  const int32_t* spans_;
  int segment_, last_, end_, span_, spanEnd_, at_ = 0;
  KeyBlock<T> block_;
};

// Rows of a tile: token i / group, head i % group of the kv head.
struct Fold {
  int group, kvHead, dim;
  CG_DEVICE int token(int r) const { return r / group; }
  CG_DEVICE int head(int r) const { return kvHead * group + r % group; }
};

// Keys of a block that a row of the tile sees.
template <typename T>
CG_DEVICE int seenOf(int token, const KeyBlock<T>& b) {
  if (token < b.rowBegin || token >= b.rowEnd) return 0;
  const int64_t seen = token + b.seenMore;
  return seen < 0 ? 0 : seen < b.count ? int(seen) : b.count;
}

// ---- host side ---------------------------------------------------------------------------------

// Tiles that any tables of this size may need.
inline int64_t mostTiles(const Tables& t, int tokens) { return t.queries / tokens + t.count; }

}  // namespace callgrad::gpu
