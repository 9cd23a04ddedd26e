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

// ---- host side ---------------------------------------------------------------------------------

// Tiles that any tables of this size may need.
inline int64_t mostTiles(const Tables& t, int tokens) { return t.queries / tokens + t.count; }

}  // namespace callgrad::gpu
