// Products of the tensor cores in attention, and how a row is kept from what it does not see.
//
// Tensor cores multiply whole blocks. A weight of 0 keeps out what is finite, but 0 times an
// infinity or a NaN is NaN, and a row must not change when keys, values or rows that it does not
// see hold one: a sample that went wrong would spoil its group. (`cpu` keeps rows apart too.) So a
// core looks at its sums when the walk is over. Without a NaN nothing came through, since a NaN
// stays in a sum. With one, the walk is done once more "with care": where a row of a warp does not
// see all of a step's 16 keys, rows that see the same ones take a product of their own, the keys
// that they do not see replaced by zeros. Both give the same bits where they are finite.
//
// Costs a comparison for each sum and one barrier for a tile. A walk with care is the walk again,
// with up to 16 times the products at edges, and is met only where something is about to go wrong
// anyway. Looking at the values of edge blocks as they come would cost 4 operations for each pair
// of them in every run.
#pragma once
#include "cuda/rows.cuh"

namespace callgrad::gpu {

// Two tiles of fp32 fragments, side by side, as the A fragment of a product over their columns.
CG_DEVICE void packRows(uint32_t (&a)[4], const float (&left)[4], const float (&right)[4]) {
  a[0] = packBf16x2(left[0], left[1]);
  a[1] = packBf16x2(left[2], left[3]);
  a[2] = packBf16x2(right[0], right[1]);
  a[3] = packBf16x2(right[2], right[3]);
}

// Columns of row lane / 4 + 8 h of an accumulator, rounded.
CG_DEVICE uint32_t scaledPair(const float (&x)[4], int h, float by) {
  return packBf16x2(x[2 * h] * by, x[2 * h + 1] * by);
}

// Bits of 16 keys, from key `first` of a block: those that a row sees that sees `seen` keys.
CG_DEVICE uint32_t seenBits(int seen, int first) {
  const int n = seen - first;
  return n <= 0 ? 0u : n >= 16 ? 0xffffu : (1u << n) - 1;
}

// d += a b, where row i of `a` meets only the rows of `b` whose bit is set for it. `seen`: the bits
// of rows lane / 4 and lane / 4 + 8.
template <int kTiles>
CG_DEVICE void mmaSeen(float (*d)[4], const uint32_t (&a)[4], const uint32_t (&b)[kTiles][2],
                       const uint32_t (&seen)[2]) {
  const auto pair = [](uint32_t two) {
    return (two & 1 ? 0xffffu : 0u) | (two & 2 ? 0xffff0000u : 0u);
  };
  // Rows that see the same take one product; those that see nothing take none.
  bool open[2] = {seen[0] != 0, seen[1] != 0};
  for (;;) {
    const uint32_t lanes = __ballot_sync(0xffffffffu, open[0] || open[1]);
    if (lanes == 0) return;
    const uint32_t all = __shfl_sync(0xffffffffu, open[0] ? seen[0] : seen[1], __ffs(lanes) - 1);
    const bool take[2] = {open[0] && seen[0] == all, open[1] && seen[1] == all};
    open[0] = open[0] && !take[0], open[1] = open[1] && !take[1];
    const uint32_t bits = all >> (laneId() % 4 * 2);  // of the rows of b that this lane holds
    const uint32_t low = pair(bits), high = pair(bits >> 8);
    CG_UNROLL
    for (int i = 0; i < kTiles; i++) {
      const uint32_t some[2] = {b[i][0] & low, b[i][1] & high};
      float(&to)[4] = d[i];
      float sum[4] = {to[0], to[1], to[2], to[3]};
      mma_m16n8k16_bf16(sum, a, some);
      CG_UNROLL
      for (int k = 0; k < 4; k++) to[k] = take[k / 2] ? sum[k] : to[k];
    }
  }
}

template <int kTiles>
CG_DEVICE bool anyNan(const float (&x)[1][kTiles][4]) {
  bool any = false;
  CG_UNROLL
  for (int i = 0; i < kTiles; i++) CG_UNROLL
  for (int k = 0; k < 4; k++) any |= x[0][i][k] != x[0][i][k];
  return any;
}

template <int kTiles>
CG_DEVICE void clear(float (&x)[1][kTiles][4]) {
  CG_UNROLL
  for (int i = 0; i < kTiles; i++) CG_UNROLL
  for (int k = 0; k < 4; k++) x[0][i][k] = 0;
}

}  // namespace callgrad::gpu
