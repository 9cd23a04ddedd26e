// One row against one block of keys: the arithmetic that training, prefill, chunked prefill and
// decode share.
//
// Keys come in runs (a span, or a segment's own keys) and are cut into blocks of 64 from the run's
// first key. A row walks its runs in order, spans then own keys, and carries one softmax state
// (maximum, sum, weighted values) through all blocks that it sees a key of. In a block its
// operations are, in this order:
//
//   s[j]  = chain over d of q[d] k[j][d]                        (fp32; pairs of bf16)
//   top'  = max(top, max_j s[j] * c)      c = scale * log2(e)
//   a     = 2^(top - top'),  p[j] = 2^(s[j] c - top'),  p of a key that the row does not see is
//   exactly 0 sum   = sum a + ((p[0..15] + p[16..31]) + (p[32..47] + p[48..63]))   16 lanes, added
//   up once at the end out   = out a, then + p[j] v[j] for j ascending             (p rounded to
//   bf16 for pairs)
//
// None of it depends on other rows, so a row's bits are the same however rows are folded, tiled or
// threaded. Carrying the state from the prefix into the own keys is the merge of two partials by
// log-sum-exp with one of them still running: the same split of keys, without a second accumulator
// or a pass to merge them.
//
// A key that a row does not see may hold anything: scores are selected, not multiplied away, and
// values enter as 0 * v only where v is finite (packing checks); a block with an infinity or a NaN
// in its values goes row by row.
#pragma once
#include <cmath>
#include <limits>

#include "cpu/kernels/attention_lanes.h"
#include "cpu/kernels/attention_pack.h"

namespace callgrad::cpu::CG_ISA {

inline constexpr int kKeyBlock = 64;
inline constexpr int kKeyVecs = kKeyBlock / kLanes;
inline constexpr float kLog2E = 1.44269504088896341f, kLn2 = 0.693147180559945309f;

struct HeadShape {
  int dim, padded, vecs;  // padded: to whole vectors
  float scale, scale2;    // scale2: for powers of two
  HeadShape(int64_t d, double s)
      : dim(int(d)), padded((dim + kLanes - 1) / kLanes * kLanes), vecs(padded / kLanes) {
    const double chosen = s > 0 ? s : 1.0 / std::sqrt(double(d));
    scale = float(chosen);
    scale2 = float(chosen * 1.4426950408889634);
  }
};

// Up to 64 keys and values of one head in packed form.
template <class M>
struct KeyBlock {
  const typename M::Unit* across;  // keys, [dim / step][64]
  const typename M::Unit* along;   // values, [64 / step][padded]
  bool finite;                     // no infinity or NaN among the values
};

template <class M>
inline int64_t acrossUnits(const HeadShape& s) {
  return int64_t(s.dim / M::kStep) * kKeyBlock;
}
template <class M>
inline int64_t alongUnits(const HeadShape& s) {
  return int64_t(kKeyBlock / M::kStep) * s.padded;
}

// Softmax state of rows on their way through the keys.
struct RowState {
  float* top;  // [rows + 16] maximum so far, times c
  float* sum;  // [rows][16]
  float* out;  // [rows][padded]
  void clear(int rows, int padded) const {
    std::fill_n(top, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(sum, rows * kLanes, 0.0f);
    std::fill_n(out, int64_t(rows) * padded, 0.0f);
  }
  RowState from(int row, int padded) const {
    return {top + row, sum + row * kLanes, out + int64_t(row) * padded};
  }
};

// Memory of one thread for one block and all rows of its tile.
template <class M>
struct BlockScratch {
  float* scores;              // [rows][64]
  typename M::Unit* weights;  // [rows][64 / step]
  float *factors, *bases;  // [rows + 16] what sums so far are multiplied by; minus what exponents
                           // are taken against
  typename M::Unit* guarded;  // [64 / step][padded]
};

// Scores of one row; those of keys that it does not see, and lanes past the keys, read as -inf.
template <int kVecs, bool kMasked>
inline void loadScores(const float* s, int visible, Vec* x) {
#pragma GCC unroll 4
  for (int v = 0; v < kVecs; v++) {
    x[v] = load(s + v * kLanes);
    if (kMasked)
      x[v] = firstLanes(x[v], visible - v * kLanes, splat(-std::numeric_limits<float>::infinity()));
  }
}

// A row as left operand of a product over keys; bf16 rounds to nearest even.
template <class M, int kVecs>
inline void storeWeights(typename M::Unit* to, const Vec* p) {
  if constexpr (M::kStep == 1) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) store(to + v * kLanes, p[v]);
  } else {
#if defined(__AVX512BF16__)
#pragma GCC unroll 2
    for (int v = 0; v < kVecs; v += 2) {
      const __m512 high =
          v + 1 < kVecs ? (__m512)p[v + 1 < kVecs ? v + 1 : v] : _mm512_setzero_ps();
      _mm512_storeu_si512(to + v * (kLanes / 2), (__m512i)_mm512_cvtne2ps_pbh(high, (__m512)p[v]));
    }
#endif
  }
}

// First half of the softmax step of up to kTileRows rows: moves their maxima on and says what that
// means for their sums (factor 1 for a row that sees nothing here). state.top may be read, factors
// and bases written, up to 16 rows on.
template <int kVecs, bool kMasked>
inline void moveTops(int rows, const int* visible, float scale2, const float* scores, float* top,
                     float* factors, float* bases) {
  const Vec none = splat(-std::numeric_limits<float>::infinity());
  Vec largest[kTileRows];
  for (int r = 0; r < kTileRows; r++) {
    largest[r] = none;
    if (r >= rows) continue;
    Vec x[kVecs];
    loadScores<kVecs, kMasked>(scores + r * kKeyBlock, visible[r], x);
    largest[r] = x[0];
#pragma GCC unroll 4
    for (int v = 1; v < kVecs; v++) largest[r] = larger(x[v], largest[r]);
  }
  const Vec before = firstLanes(load(top), rows, none);
  const Vec after = larger(largestLanes(largest) * splat(scale2), before);
  // a row that has seen nothing yet has top -inf; its exponents are taken against 0 and give 0
  const Vec base = finiteTop(after);
  storeFirst(top, after, rows);
  store(bases, -base);
  store(factors, exp2Below(before - base));
}

// Second half: weights of the rows, and their sums.
template <class M, int kVecs, bool kMasked>
inline void weighScores(int rows, const int* visible, float scale2, const float* scores,
                        const float* factors, const float* bases, float* sums,
                        typename M::Unit* weights) {
  for (int r = 0; r < rows; r++) {
    Vec x[kVecs], p[4] = {};
    loadScores<kVecs, kMasked>(scores + r * kKeyBlock, visible[r], x);
    const Vec base = splat(bases[r]);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) p[v] = exp2Below(fma(x[v], splat(scale2), base));
    float* sum = sums + r * kLanes;
    store(sum, fma(load(sum), splat(factors[r]), (p[0] + p[1]) + (p[2] + p[3])));
    storeWeights<M, kVecs>(weights + int64_t(r) * (kKeyBlock / M::kStep), p);
  }
}

// How many keys of a block the rows of a group of kTileRows see.
struct GroupView {
  int rows, least, most;
  int vecs() const { return (most + kLanes - 1) / kLanes; }
  bool masked() const { return least < vecs() * kLanes; }
};

inline GroupView viewOf(const int* visible, int rows) {
  GroupView g{std::min(rows, kTileRows), kKeyBlock, 0};
  for (int i = 0; i < g.rows; i++) {
    g.least = std::min(g.least, visible[i]);
    g.most = std::max(g.most, visible[i]);
  }
  return g;
}

// Calls fn(vecs, masked) with both as constants.
template <typename Fn>
inline void withView(const GroupView& g, Fn&& fn) {
  withVecs(g.vecs(), [&](auto vecs) {
    if (g.masked())
      fn(vecs, std::true_type{});
    else
      fn(vecs, std::false_type{});
  });
}

// Values that a row sees, the others 0: for blocks where 0 * v would not be 0.
template <class M>
inline const typename M::Unit* guardValues(const typename M::Unit* along, int visible, int padded,
                                           typename M::Unit* to) {
  const int units = (visible + M::kStep - 1) / M::kStep;
  std::copy_n(along, int64_t(units) * padded, to);
  if constexpr (M::kStep == 2) {
    if (visible % 2)
      for (int d = 0; d < padded; d++) to[int64_t(units - 1) * padded + d] &= 0xffffu;
  }
  return to;
}

// Takes rows through one block. q: [rows][dim / step]; visible: [rows] keys of the block that a row
// sees (its first).
//
// Each phase goes over all rows before the next begins: the exponentials of one group of rows then
// overlap with the products of another, where a group that goes through all phases at once waits
// for its own results.
template <class M>
void attendBlock(const typename M::Unit* q, int rows, const int* visible, const KeyBlock<M>& block,
                 const HeadShape& shape, const RowState& state, const BlockScratch<M>& m) {
  constexpr int kWeightStride = kKeyBlock / M::kStep;
  const int units = shape.dim / M::kStep;
  for (int r = 0; r < rows; r += kTileRows) {
    const GroupView g = viewOf(visible + r, rows - r);
    if (g.most > 0)
      multiply<M, Start::kZero>({q + int64_t(r) * units, units, 1}, g.rows, block.across, kKeyBlock,
                                g.vecs(), units, m.scores + r * kKeyBlock, kKeyBlock);
  }
  for (int r = 0; r < rows; r += kTileRows) {
    const GroupView g = viewOf(visible + r, rows - r);
    if (g.most > 0)
      withView(g, [&](auto vecs, auto masked) {
        moveTops<vecs, masked>(g.rows, visible + r, shape.scale2, m.scores + r * kKeyBlock,
                               state.top + r, m.factors + r, m.bases + r);
      });
  }
  for (int r = 0; r < rows; r += kTileRows) {
    const GroupView g = viewOf(visible + r, rows - r);
    if (g.most > 0)
      withView(g, [&](auto vecs, auto masked) {
        weighScores<M, vecs, masked>(g.rows, visible + r, shape.scale2, m.scores + r * kKeyBlock,
                                     m.factors + r, m.bases + r, state.sum + r * kLanes,
                                     m.weights + r * kWeightStride);
      });
  }
  for (int r = 0; r < rows; r += kTileRows) {
    const GroupView g = viewOf(visible + r, rows - r);
    if (g.most <= 0) continue;
    float* out = state.out + int64_t(r) * shape.padded;
    const typename M::Unit* weights = m.weights + r * kWeightStride;
    if (block.finite || g.least == kKeyBlock) {
      multiply<M, Start::kScale>({weights, kWeightStride, 1}, g.rows, block.along, shape.padded,
                                 shape.vecs, (g.most + M::kStep - 1) / M::kStep, out, shape.padded,
                                 m.factors + r);
      continue;
    }
    for (int i = 0; i < g.rows; i++) {
      const int seen = visible[r + i];
      if (seen <= 0) continue;
      const auto* values = guardValues<M>(block.along, seen, shape.padded, m.guarded);
      multiply<M, Start::kScale>({weights + i * kWeightStride, kWeightStride, 1}, 1, values,
                                 shape.padded, shape.vecs, (seen + M::kStep - 1) / M::kStep,
                                 out + int64_t(i) * shape.padded, shape.padded, m.factors + r + i);
    }
  }
}

// A row's result once it has seen all its keys; nothing seen: 0 and -inf. lse may be null.
template <typename T>
inline void finishRow(const RowState& state, int row, const HeadShape& shape, T* out, float* lse) {
  const RowState s = state.from(row, shape.padded);
  const float sum = addLanes(load(s.sum));
  const bool nothing = sum == 0.0f;
  const Vec inverse = splat(nothing ? 0.0f : 1.0f / sum);
  for (int d = 0; d < shape.dim; d += kLanes) {
    const Vec y = load(s.out + d) * inverse +
                  Vec{};  // + 0: no -0, whose sign would tell how many zeros were added
    if (d + kLanes <= shape.dim)
      store(out + d, y);
    else
      storePartial(out + d, y, shape.dim - d);
  }
  if (lse)
    *lse = nothing ? -std::numeric_limits<float>::infinity() : s.top[0] * kLn2 + std::log(sum);
}

}  // namespace callgrad::cpu::CG_ISA
