// Host twins of mma, ldmatrix and movmatrix. Products are summed in the order of k by fused
// multiply-adds on top of the accumulator, so results do not depend on the host's vector width. A
// tensor core's own order and rounding are not documented.
#include <cstring>

#include "simt/engine.h"
#include "simt/twins.h"

#define CG_HERE __builtin_return_address(0)

namespace callgrad::simt {
namespace {

constexpr int kMaxTiles = 16;  // in each direction of one call

struct Mma {
  float* d;
  const uint32_t *a, *b;
  int m, n;
};

float low(uint32_t pair) { return __builtin_bit_cast(float, pair << 16); }
float high(uint32_t pair) { return __builtin_bit_cast(float, pair & 0xffff0000u); }
float tf32(uint32_t bits) { return __builtin_bit_cast(float, bits & 0xffffe000u); }

#if defined(__x86_64__)
#define CG_CLONES __attribute__((target_clones("avx512f", "default")))
#else
#define CG_CLONES
#endif

template <int kWidth>
struct Lanes {
  typedef float Type __attribute__((vector_size(kWidth * 4)));
};

// kWidth columns at a time; compiled with contraction, so each step is one fused multiply-add.
template <int kWidth>
inline __attribute__((always_inline)) void multiplyColumns(float* __restrict d,
                                                           const float* __restrict a,
                                                           const float* __restrict b, int k,
                                                           int n) {
  using V = typename Lanes<kWidth>::Type;
  for (int j = 0; j < n; j += kWidth) {
    for (int i = 0; i < 16; i += 4) {
      V sum[4];
      for (int r = 0; r < 4; r++) memcpy(&sum[r], d + (i + r) * n + j, sizeof(V));
      for (int l = 0; l < k; l++) {
        V row;
        memcpy(&row, b + l * n + j, sizeof(V));
        for (int r = 0; r < 4; r++) sum[r] = sum[r] + row * a[(i + r) * k + l];
      }
      for (int r = 0; r < 4; r++) memcpy(d + (i + r) * n + j, &sum[r], sizeof(V));
    }
  }
}

// d[16][n] += a[16][k] b[k][n], n a multiple of 8
CG_CLONES void multiply(float* __restrict d, const float* __restrict a, const float* __restrict b,
                        int k, int n) {
  if (n % 16 == 0)
    multiplyColumns<16>(d, a, b, k, n);
  else
    multiplyColumns<8>(d, a, b, k, n);
}

void full(Warp& w, unsigned lanes, const char* what) {
  if (lanes != 0xffffffffu)
    w.executor->fail(std::string(what) + " of a warp with fewer than 32 lanes", current->waitsAt);
}

template <bool kBf16>
void mma(Warp& w, unsigned lanes, void** arguments) {
  full(w, lanes, "mma");
  constexpr int kK = kBf16 ? 16 : 8;
  const auto at = [&](int l) { return static_cast<const Mma*>(arguments[l]); };
  const int m = at(0)->m, n = at(0)->n, columns = 8 * n;
  alignas(64) float b[kK * 8 * kMaxTiles], a[16 * kK], d[16 * 8 * kMaxTiles];
  for (int l = 0; l < kLanes; l++) {
    const int g = l / 4, t = l % 4;
    for (int j = 0; j < n; j++) {
      const uint32_t* r = at(l)->b + j * 2;
      float* to = b + j * 8 + g;
      if constexpr (kBf16) {
        to[(2 * t) * columns] = low(r[0]);
        to[(2 * t + 1) * columns] = high(r[0]);
        to[(2 * t + 8) * columns] = low(r[1]);
        to[(2 * t + 9) * columns] = high(r[1]);
      } else {
        to[t * columns] = tf32(r[0]);
        to[(t + 4) * columns] = tf32(r[1]);
      }
    }
  }
  for (int i = 0; i < m; i++) {
    for (int l = 0; l < kLanes; l++) {
      const int g = l / 4, t = l % 4;
      const uint32_t* r = at(l)->a + i * 4;
      if constexpr (kBf16) {
        for (int e = 0; e < 4; e++) {
          float* to = a + (g + e % 2 * 8) * kK + 2 * t + e / 2 * 8;
          to[0] = low(r[e]);
          to[1] = high(r[e]);
        }
      } else {
        for (int e = 0; e < 4; e++) a[(g + e % 2 * 8) * kK + t + e / 2 * 4] = tf32(r[e]);
      }
      for (int j = 0; j < n; j++) {
        const float* c = at(l)->d + (i * n + j) * 4;
        for (int e = 0; e < 2; e++)
          memcpy(d + (g + e * 8) * columns + j * 8 + 2 * t, c + e * 2, 2 * sizeof(float));
      }
    }
    multiply(d, a, b, kK, columns);
    for (int l = 0; l < kLanes; l++) {
      const int g = l / 4, t = l % 4;
      for (int j = 0; j < n; j++) {
        float* c = at(l)->d + (i * n + j) * 4;
        for (int e = 0; e < 2; e++)
          memcpy(c + e * 2, d + (g + e * 8) * columns + j * 8 + 2 * t, 2 * sizeof(float));
      }
    }
  }
  w.executor->counts.mma += uint64_t(m) * uint64_t(n);
}

template <bool kBf16>
void mmaTiles(float* d, const uint32_t* a, const uint32_t* b, int m, int n, const void* where) {
  for (int j = 0; j < n; j += kMaxTiles) {
    // More tiles in a row than one meeting takes: no kernel holds that many accumulators, but the
    // wrapper promises any number.
    if (n <= kMaxTiles) {
      Mma args{d, a, b, m, n};
      executor().meet(0xffffffffu, mma<kBf16>, &args, where);
      return;
    }
    const int some = n - j < kMaxTiles ? n - j : kMaxTiles;
    for (int i = 0; i < m; i++) {
      Mma args{d + (i * n + j) * 4, a + i * 4, b + j * 2, 1, some};
      executor().meet(0xffffffffu, mma<kBf16>, &args, where);
    }
  }
}

struct LoadMatrix {
  uint32_t* r;
  const uintptr_t* rows;
  int matrices, count;
  bool transposed;
};

void loadMatrices(Warp& w, unsigned lanes, void** arguments) {
  full(w, lanes, "ldmatrix");
  const auto at = [&](int l) { return static_cast<const LoadMatrix*>(arguments[l]); };
  const int matrices = at(0)->matrices, count = at(0)->count;
  const bool transposed = at(0)->transposed;
  for (int i = 0; i < count; i++) {
    for (int m = 0; m < matrices; m++) {
      uint16_t rows[8][8];
      for (int r = 0; r < 8; r++)
        memcpy(rows[r], reinterpret_cast<const void*>(at(m * 8 + r)->rows[i]), 16);
      for (int l = 0; l < kLanes; l++) {
        const int g = l / 4, t = 2 * (l % 4);
        at(l)->r[i * matrices + m] = transposed
                                         ? uint32_t(rows[t][g]) | uint32_t(rows[t + 1][g]) << 16
                                         : uint32_t(rows[g][t]) | uint32_t(rows[g][t + 1]) << 16;
      }
    }
  }
}

struct Transpose {
  uint32_t value, result;
};

}  // namespace

void mmaBf16(float* d, const uint32_t* a, const uint32_t* b, int m, int n) {
  mmaTiles<true>(d, a, b, m, n, CG_HERE);
}
void mmaTf32(float* d, const uint32_t* a, const uint32_t* b, int m, int n) {
  mmaTiles<false>(d, a, b, m, n, CG_HERE);
}

void loadMatrix(uint32_t* r, const uintptr_t* rows, int matrices, int count, bool transposed) {
#ifdef CG_SIMT_CHECKED
  // x2 reads the addresses of the first 16 lanes only.
  if (current->lane < matrices * 8)
    for (int i = 0; i < count; i++) checkMatrixRow(reinterpret_cast<const void*>(rows[i]), CG_HERE);
#endif
  LoadMatrix args{r, rows, matrices, count, transposed};
  executor().meet(0xffffffffu, loadMatrices, &args, CG_HERE);
}

uint32_t transposeMatrix(uint32_t a) {
  Transpose args{a, 0};
  executor().meet(
      0xffffffffu,
      [](Warp& w, unsigned lanes, void** arguments) {
        full(w, lanes, "movmatrix");
        const auto half = [&](int row, int column) {
          const uint32_t v = static_cast<Transpose*>(arguments[row * 4 + column / 2])->value;
          return column % 2 ? v >> 16 : v & 0xffffu;
        };
        for (int l = 0; l < kLanes; l++) {
          const int g = l / 4, t = 2 * (l % 4);
          static_cast<Transpose*>(arguments[l])->result = half(t, g) | half(t + 1, g) << 16;
        }
      },
      &args, CG_HERE);
  return args.result;
}

}  // namespace callgrad::simt
