// The backward of one tile of query rows of one kv head: its dQ, and what it adds to the dK and dV
// of the keys it sees.
#pragma once
#include <vector>

#include "core/device.h"
#include "core/parallel.h"
#include "cpu/kernels/attention_plan.h"

namespace callgrad::cpu::CG_ISA {

// Keys and values of every block of every run, per kv head, as the five products read them.
template <class M>
struct BackwardKeys {
  typename M::Unit *keysAcross, *valuesAcross;  // [kvHeads][blocks][dim / step][64]
  typename M::Unit* keysAlong;                  // [kvHeads][blocks][64 / step][padded]
  bool* finite;  // [kvHeads][blocks] no infinity or NaN among the keys
};

template <class M, typename T>
BackwardKeys<M> packKeysForBackward(const TensorView& k, const TensorView& v,
                                    const AttentionPlan& plan, const HeadShape& shape,
                                    Scratch& scratch) {
  using Unit = typename M::Unit;
  const int64_t kvHeads = k.shape[1], across = acrossUnits<M>(shape), along = alongUnits<M>(shape);
  const int64_t blockCount = plan.blockCount();
  const size_t count = size_t(kvHeads * blockCount);
  const BackwardKeys<M> to{scratch.get<Unit>(count * size_t(across)),
                           scratch.get<Unit>(count * size_t(across)),
                           scratch.get<Unit>(count * size_t(along)), scratch.get<bool>(count)};
  parallelFor(int64_t(count), 4, [&](int64_t begin, int64_t end) {
    const T* rows[kKeyBlock];
    for (int64_t i = begin; i < end; i++) {
      const int64_t h = i / blockCount;
      const KeyBlockRange keys = plan.blocks[size_t(i % blockCount)];
      for (int j = 0; j < keys.count; j++)
        rows[j] = v.as<T>() + (keys.first + j) * v.rowStride + h * shape.dim;
      packAcross<M>(rows, keys.count, shape.dim, to.valuesAcross + i * across, kKeyBlock);
      for (int j = 0; j < keys.count; j++)
        rows[j] = k.as<T>() + (keys.first + j) * k.rowStride + h * shape.dim;
      packAcross<M>(rows, keys.count, shape.dim, to.keysAcross + i * across, kKeyBlock);
      to.finite[i] =
          packAlongRows<M>(rows, keys.count, shape.dim, to.keysAlong + i * along, shape.padded);
    }
  });
  return to;
}

// Sums of a run's first key, [keys, padded] each; rows up to a whole block may be written.
struct GradientSums {
  float *dk, *dv;
};

template <class M>
struct BackwardMemory {
  using Unit = typename M::Unit;
  Unit *q, *dOut;            // [rows][dim / step]
  Unit *qAlong, *dOutAlong;  // [rows / step][padded]
  float* dq;                 // [rows][padded]
  float *delta, *inverse;    // [rows]
  RowState
      state;     // top: what exponents are taken against; sum, out: only for rows with large scores
  int* visible;  // [rows]
  float *scores, *dp;            // [kTileRows][64]
  Unit* ds;                      // [kTileRows][64 / step]
  Unit *weightsAlong, *dsAlong;  // [rows / step][64]
  Unit* guarded;                 // [64 / step][padded]
};

template <class M>
class BackwardScratch {
 public:
  BackwardScratch(Scratch& scratch, int rows, const HeadShape& shape)
      : rows_((rows + 1) / 2 * 2), shape_(shape) {
    stride_ = (size_t(carve(nullptr, nullptr)) + 4095) / 4096 * 4096 + 64;
    base_ = scratch.get<char>(stride_ * size_t(threadCount()));
  }
  BackwardMemory<M> of(int thread) const {
    BackwardMemory<M> m;
    carve(base_ + stride_ * size_t(thread), &m);
    return m;
  }

 private:
  int64_t carve(char* base, BackwardMemory<M>* m) const {
    int64_t at = 0;
    auto take = [&](auto** to, int64_t count) {
      using Item = std::remove_pointer_t<std::remove_pointer_t<decltype(to)>>;
      if (base) *to = reinterpret_cast<Item*>(base + at);
      at += (count * int64_t(sizeof(Item)) + 63) / 64 * 64;
    };
    BackwardMemory<M> none;
    BackwardMemory<M>& t = m ? *m : none;
    const int64_t rows = rows_, units = shape_.dim / M::kStep;
    take(&t.q, rows * units);
    take(&t.dOut, rows * units);
    take(&t.qAlong, rows / M::kStep * shape_.padded);
    take(&t.dOutAlong, rows / M::kStep * shape_.padded);
    take(&t.dq, rows * shape_.padded);
    take(&t.delta, rows);
    take(&t.inverse, rows);
    take(&t.state.top, rows + kLanes);
    take(&t.state.sum, rows * kLanes);
    take(&t.visible, rows);
    take(&t.scores, kTileRows * kKeyBlock);
    take(&t.dp, kTileRows * kKeyBlock);
    take(&t.ds, kTileRows * kKeyBlock / M::kStep);
    take(&t.weightsAlong, rows / M::kStep * kKeyBlock);
    take(&t.dsAlong, rows / M::kStep * kKeyBlock);
    take(&t.guarded, alongUnits<M>(shape_));
    return at;
  }
  int rows_;
  HeadShape shape_;
  size_t stride_;
  char* base_;
};

// Weights (or score gradients) of two neighbouring rows as left operand of a product over rows.
template <class M, int kVecs>
inline void storeAlong(typename M::Unit* to, const Vec* first, const Vec* second) {
  if constexpr (M::kStep == 1) {
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) {
      store(to + v * kLanes, first[v]);
      store(to + kKeyBlock + v * kLanes, second[v]);
    }
  } else {
#if defined(__AVX512BF16__)
    const __m512i interleave =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) {
      const __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)second[v], (__m512)first[v]);
      _mm512_storeu_si512(to + v * kLanes, _mm512_permutexvar_epi16(interleave, both));
    }
#endif
  }
}

template <class M, typename T>
class BackwardTile {
  using Unit = typename M::Unit;

 public:
  BackwardTile(const OpCall& call, const AttentionPlan& plan, const BackwardKeys<M>& keys,
               const HeadShape& shape, const BackwardMemory<M>& memory, int64_t kvHead)
      : call_(call),
        plan_(plan),
        keys_(keys),
        shape_(shape),
        m_(memory),
        kvHead_(kvHead),
        group_(call.in[0].shape[1] / call.in[1].shape[1]),
        units_(shape.dim / M::kStep) {}

  // Rows [begin, end) of a segment, counted in (token, head of the group). sumsOf(run) gives a
  // run's sums.
  template <typename SumsOf>
  void run(const SegmentPlan& segment, int64_t begin, int64_t end, SumsOf&& sumsOf) {
    const bool finite = loadRows(segment, begin, end) && keysAreFinite(segment, begin, end);
    if (!finite && end - begin > 1) {
      // A row's 0 weight for a key it does not see times an infinity would reach that key: one row
      // at a time, then the products hold nothing that the row does not see.
      for (int64_t r = begin; r < end; r++) run(segment, r, r + 1, sumsOf);
      return;
    }
    const int rows = int(end - begin);
    std::fill_n(m_.dq, int64_t(rows) * shape_.padded, 0.0f);
    forBlocks(segment, begin, end,
              [&](int run, int64_t b) { addBlock(rows, run, b, sumsOf(run)); });
    const TensorView& dq = call_.out[0];
    for (int r = 0; r < rows; r++) {
      const float* from = m_.dq + int64_t(r) * shape_.padded;
      T* to = dq.as<T>() + rowOffset(dq, segment, begin + r);
      int d = 0;
      for (; d + kLanes <= shape_.dim; d += kLanes)
        store(to + d, load(from + d) * splat(shape_.scale));
      for (; d < shape_.dim; d++) to[d] = fromFloat<T>(from[d] * shape_.scale);
    }
  }

 private:
  int64_t rowOffset(const TensorView& x, const SegmentPlan& segment, int64_t row) const {
    return (segment.qBegin + row / group_) * x.rowStride +
           (kvHead_ * group_ + row % group_) * shape_.dim;
  }
  int64_t ownVisible(const SegmentPlan& segment, int64_t row) const {
    return segment.ownVisible + row / group_;
  }

  // Calls fn(run, block) for the blocks that some row sees, with `visible` set.
  template <typename Fn>
  void forBlocks(const SegmentPlan& segment, int64_t begin, int64_t end, Fn&& fn) {
    for (const SpanUse& s : segment.spans)
      for (int64_t b = 0; b * kKeyBlock < s.length; b++) {
        std::fill_n(m_.visible, end - begin,
                    int(std::min<int64_t>(s.length - b * kKeyBlock, kKeyBlock)));
        fn(s.run, b);
      }
    if (segment.ownRun < 0) return;
    for (int64_t b = 0; b * kKeyBlock < ownVisible(segment, end - 1); b++) {
      for (int64_t r = begin; r < end; r++)
        m_.visible[r - begin] =
            int(std::clamp<int64_t>(ownVisible(segment, r) - b * kKeyBlock, 0, kKeyBlock));
      fn(segment.ownRun, b);
    }
  }

  int64_t blockIndex(int run, int64_t b) const {
    return kvHead_ * plan_.blockCount() + plan_.runs[size_t(run)].firstBlock + b;
  }

  bool keysAreFinite(const SegmentPlan& segment, int64_t begin, int64_t end) {
    bool finite = true;
    forBlocks(segment, begin, end,
              [&](int run, int64_t b) { finite &= keys_.finite[blockIndex(run, b)]; });
    return finite;
  }

  // Packs q and dOut, computes D and what exponents are taken against. Returns whether q and dOut
  // are finite.
  bool loadRows(const SegmentPlan& segment, int64_t begin, int64_t end) {
    const TensorView &q = call_.in[0], &out = call_.in[3], &lse = call_.in[4], &dOut = call_.in[5];
    const int rows = int(end - begin);
    const int64_t heads = q.shape[1];
    std::vector<const T*>&qRows = qRows_, &dRows = dRows_;
    qRows.resize(size_t(rows));
    dRows.resize(size_t(rows));
    bool large = false;
    for (int r = 0; r < rows; r++) {
      const int64_t token = segment.qBegin + (begin + r) / group_,
                    head = kvHead_ * group_ + (begin + r) % group_;
      qRows[size_t(r)] = q.as<T>() + rowOffset(q, segment, begin + r);
      dRows[size_t(r)] = dOut.as<T>() + rowOffset(dOut, segment, begin + r);
      const T* o = out.as<T>() + rowOffset(out, segment, begin + r);
      packRow<M>(qRows[size_t(r)], shape_.dim, m_.q + r * units_);
      packRow<M>(dRows[size_t(r)], shape_.dim, m_.dOut + r * units_);
      Vec product = {};
      int d = 0;
      for (; d + kLanes <= shape_.dim; d += kLanes)
        product = fma(load(o + d), load(dRows[size_t(r)] + d), product);
      if (d < shape_.dim)
        product = fma(loadPartial(o + d, shape_.dim - d),
                      loadPartial(dRows[size_t(r)] + d, shape_.dim - d), product);
      m_.delta[r] = addLanes(product);
      const float l = lse.as<float>()[token * heads + head];
      m_.state.top[r] = l * kLog2E;
      m_.inverse[r] = 1.0f;
      large |= std::fabs(l) > kLargeLse && std::isfinite(l);
    }
    const bool qFinite = packAlongRows<M>(qRows.data(), rows, shape_.dim, m_.qAlong, shape_.padded);
    const bool dFinite =
        packAlongRows<M>(dRows.data(), rows, shape_.dim, m_.dOutAlong, shape_.padded);
    if (large) normalise(segment, begin, end);
    return qFinite && dFinite;
  }

  // An lse of 1000 is known to 3e-5 only, and with it every weight. Rows where that is more than
  // what the dtype forgives find their maximum and sum again: one more product of five.
  static constexpr float kLargeLse = std::is_same_v<T, float> ? 64.0f : 1024.0f;
  void normalise(const SegmentPlan& segment, int64_t begin, int64_t end) {
    const int rows = int(end - begin);
    std::fill_n(m_.state.top, rows, -std::numeric_limits<float>::infinity());
    std::fill_n(m_.state.sum, int64_t(rows) * kLanes, 0.0f);
    forBlocks(segment, begin, end, [&](int run, int64_t b) {
      const Unit* across = keys_.keysAcross + blockIndex(run, b) * acrossUnits<M>(shape_);
      for (int r = 0; r < rows; r += kTileRows) {
        const GroupView g = viewOf(m_.visible + r, rows - r);
        if (g.most <= 0) continue;
        multiply<M, Start::kZero>({m_.q + r * units_, units_, 1}, g.rows, across, kKeyBlock,
                                  g.vecs(), units_, m_.scores, kKeyBlock);
        float factors[kLanes], bases[kLanes];
        withView(g, [&](auto vecs, auto masked) {
          moveTops<vecs, masked>(g.rows, m_.visible + r, shape_.scale2, m_.scores, m_.state.top + r,
                                 factors, bases);
          weighScores<M, vecs, masked>(g.rows, m_.visible + r, shape_.scale2, m_.scores, factors,
                                       bases, m_.state.sum + r * kLanes, m_.ds);
        });
      }
    });
    for (int r = 0; r < rows; r++) m_.inverse[r] = 1.0f / addLanes(load(m_.state.sum + r * kLanes));
  }

  void addBlock(int rows, int run, int64_t b, GradientSums sums) {
    const int64_t at = blockIndex(run, b), across = acrossUnits<M>(shape_),
                  along = alongUnits<M>(shape_);
    const Unit *keysAcross = keys_.keysAcross + at * across,
               *valuesAcross = keys_.valuesAcross + at * across,
               *keysAlong = keys_.keysAlong + at * along;
    constexpr int kStride = kKeyBlock / M::kStep;
    int firstSeen = rows, most = 0;
    for (int r = 0; r < rows; r += kTileRows) {
      const int n = std::min(rows - r, kTileRows);
      const int here = *std::max_element(m_.visible + r, m_.visible + r + n);
      if (here <= 0) continue;
      firstSeen = std::min(firstSeen, r);
      most = std::max(most, here);
      const int vecs = (here + kLanes - 1) / kLanes;
      multiply<M, Start::kZero>({m_.q + r * units_, units_, 1}, n, keysAcross, kKeyBlock, vecs,
                                units_, m_.scores, kKeyBlock);
      multiply<M, Start::kZero>({m_.dOut + r * units_, units_, 1}, n, valuesAcross, kKeyBlock, vecs,
                                units_, m_.dp, kKeyBlock);
      const bool masked = *std::min_element(m_.visible + r, m_.visible + r + n) < vecs * kLanes;
      clearKeys(r, n, vecs);
      withVecs(vecs,
               [&](auto k) { masked ? weightRows<k, true>(r, n) : weightRows<k, false>(r, n); });
      const Unit* keys = keysAlong;
      if (!keys_.finite[at]) keys = guardValues<M>(keysAlong, here, shape_.padded, m_.guarded);
      multiply<M, Start::kAdd>({m_.ds, kStride, 1}, n, keys, shape_.padded, shape_.vecs,
                               (here + M::kStep - 1) / M::kStep, m_.dq + int64_t(r) * shape_.padded,
                               shape_.padded);
    }
    if (most <= 0) return;
    const int firstStep = firstSeen / M::kStep,
              steps = (rows + M::kStep - 1) / M::kStep - firstStep;
    const int64_t sum = b * kKeyBlock * shape_.padded, left = int64_t(firstStep) * kKeyBlock,
                  right = int64_t(firstStep) * shape_.padded;
    multiply<M, Start::kAdd>({m_.weightsAlong + left, 1, kKeyBlock}, most, m_.dOutAlong + right,
                             shape_.padded, shape_.vecs, steps, sums.dv + sum, shape_.padded);
    multiply<M, Start::kAdd>({m_.dsAlong + left, 1, kKeyBlock}, most, m_.qAlong + right,
                             shape_.padded, shape_.vecs, steps, sums.dk + sum, shape_.padded);
  }

  // Rows of one tile see different numbers of keys: what the products over rows read beyond a row's
  // keys is 0.
  void clearKeys(int first, int count, int vecs) {
    if (vecs == kKeyVecs) return;
    for (int r = first; r < first + count; r += M::kStep) {
      const int64_t at = int64_t(r / M::kStep) * kKeyBlock + vecs * kLanes;
      std::fill_n(m_.weightsAlong + at, kKeyBlock - vecs * kLanes, Unit{});
      std::fill_n(m_.dsAlong + at, kKeyBlock - vecs * kLanes, Unit{});
    }
  }

  // Weights and score gradients of one row whose scores and dP are in memory.
  template <int kVecs, bool kMasked>
  void weightRow(int row, int slot, Vec* p, Vec* ds) {
    const Vec top = splat(-m_.state.top[row]), inverse = splat(m_.inverse[row]),
              delta = splat(m_.delta[row]);
    const int visible = m_.visible[row];
#pragma GCC unroll 4
    for (int v = 0; v < kVecs; v++) {
      const Vec s = load(m_.scores + slot * kKeyBlock + v * kLanes);
      const Vec d = load(m_.dp + slot * kKeyBlock + v * kLanes);
      p[v] = exp2Below(fma(s, splat(shape_.scale2), top)) * inverse;
      ds[v] = p[v] * (d - delta);
      if (kMasked) {
        p[v] = firstLanes(p[v], visible - v * kLanes, Vec{});
        ds[v] = firstLanes(ds[v], visible - v * kLanes, Vec{});
      }
    }
  }

  // The same for up to kTileRows rows, stored in the forms that the products read. Keys past kVecs
  // get no product.
  template <int kVecs, bool kMasked>
  void weightRows(int first, int count) {
    for (int r = 0; r < count; r += 2) {
      Vec p[2][kVecs], ds[2][kVecs];
      weightRow<kVecs, kMasked>(first + r, r, p[0], ds[0]);
      if (r + 1 < count)
        weightRow<kVecs, kMasked>(first + r + 1, r + 1, p[1], ds[1]);
      else
        for (int v = 0; v < kVecs; v++) p[1][v] = ds[1][v] = Vec{};
      constexpr int kStride = kKeyBlock / M::kStep;
      storeWeights<M, kVecs>(m_.ds + r * kStride, ds[0]);
      if (r + 1 < kTileRows) storeWeights<M, kVecs>(m_.ds + (r + 1) * kStride, ds[1]);
      const int64_t to = int64_t((first + r) / M::kStep) * kKeyBlock;
      storeAlong<M, kVecs>(m_.weightsAlong + to, p[0], p[1]);
      storeAlong<M, kVecs>(m_.dsAlong + to, ds[0], ds[1]);
    }
  }

  const OpCall& call_;
  const AttentionPlan& plan_;
  const BackwardKeys<M>& keys_;
  const HeadShape& shape_;
  const BackwardMemory<M> m_;
  const int64_t kvHead_, group_;
  const int units_;
  std::vector<const T*> qRows_, dRows_;
};

}  // namespace callgrad::cpu::CG_ISA
