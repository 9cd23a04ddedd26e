// What a .cu file sees of CUDA when the host compiler builds it: keywords, built-in variables,
// barriers, warp functions, atomics and the device's math library. Names are CUDA's, so that the
// same source means the same under nvcc; what is missing here is missing on purpose
// (docs/simt.md).
//
// Functions that other threads take part in are out of line: their return address is the place in
// the kernel that reports name.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "simt/vector_types.h"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __grid_constant__
#define __align__(n) alignas(n)

namespace callgrad::simt {

// Position in the grid, the same for all threads of a block.
struct Place {
  uint3 blockIdx;
  dim3 blockDim, gridDim;
};

// A running CUDA thread, as its kernel sees it.
struct Thread {
  uint3 threadIdx;
  int lane;
  const Place* place;
};

// One thread's kernel runs on one stack of one host thread, so its `self` never changes.
__attribute__((const)) const Thread& self();

// A static shared variable of a kernel.
struct SharedSite {
  const char* name;
  size_t bytes;
  int id = -1;  // assigned at first use
  constexpr SharedSite(const char* n, size_t b) : name(n), bytes(b) {}
};
void* staticShared(SharedSite& site);
void* dynamicShared();

enum class Vote { kNone, kOr, kAnd, kCount };
void blockBarrier();
int blockVote(Vote vote, int predicate);
void warpBarrier(unsigned mask);
uint64_t shuffle(unsigned mask, uint64_t value, int source);
unsigned ballot(unsigned mask, bool predicate);
enum class Reduction { kAdd, kMin, kMax, kMinUnsigned, kMaxUnsigned, kAnd, kOr, kXor };
int reduce(unsigned mask, int value, Reduction reduction);
void fence(bool device);
void pause();  // lets other threads of the block run
void trap();
void countFma(int n);

template <typename T>
inline T shuffleAny(unsigned mask, T value, int source) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  bits = shuffle(mask, bits, source);
  memcpy(&value, &bits, sizeof value);
  return value;
}

}  // namespace callgrad::simt

#define threadIdx (::callgrad::simt::self().threadIdx)
#define blockIdx (::callgrad::simt::self().place->blockIdx)
#define blockDim (::callgrad::simt::self().place->blockDim)
#define gridDim (::callgrad::simt::self().place->gridDim)
inline constexpr int warpSize = 32;

// ---- barriers, warp functions ------------------------------------------------------------------

#define __syncthreads() ::callgrad::simt::blockBarrier()
#define __syncthreads_or(p) ::callgrad::simt::blockVote(::callgrad::simt::Vote::kOr, (p))
#define __syncthreads_and(p) ::callgrad::simt::blockVote(::callgrad::simt::Vote::kAnd, (p))
#define __syncthreads_count(p) ::callgrad::simt::blockVote(::callgrad::simt::Vote::kCount, (p))
__forceinline__ void __syncwarp(unsigned mask = 0xffffffffu) { callgrad::simt::warpBarrier(mask); }

template <typename T>
__forceinline__ T __shfl_sync(unsigned mask, T v, int source, int width = 32) {
  const int lane = callgrad::simt::self().lane;
  return callgrad::simt::shuffleAny(mask, v, (lane & -width) | (source & (width - 1)));
}
template <typename T>
__forceinline__ T __shfl_xor_sync(unsigned mask, T v, int by, int width = 32) {
  const int lane = callgrad::simt::self().lane, source = lane ^ by;
  return callgrad::simt::shuffleAny(mask, v, source >= (lane & -width) + width ? lane : source);
}
template <typename T>
__forceinline__ T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32) {
  const int lane = callgrad::simt::self().lane, source = lane + int(by);
  return callgrad::simt::shuffleAny(mask, v, source >= (lane & -width) + width ? lane : source);
}
template <typename T>
__forceinline__ T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32) {
  const int lane = callgrad::simt::self().lane, source = lane - int(by);
  return callgrad::simt::shuffleAny(mask, v, source < (lane & -width) ? lane : source);
}
__forceinline__ unsigned __ballot_sync(unsigned mask, int p) {
  return callgrad::simt::ballot(mask, p != 0);
}
__forceinline__ int __any_sync(unsigned mask, int p) {
  return callgrad::simt::ballot(mask, p != 0) != 0;
}
__forceinline__ int __all_sync(unsigned mask, int p) {
  return callgrad::simt::ballot(mask, p == 0) == 0;
}
__forceinline__ int __reduce_add_sync(unsigned mask, int v) {
  return callgrad::simt::reduce(mask, v, callgrad::simt::Reduction::kAdd);
}
__forceinline__ int __reduce_min_sync(unsigned mask, int v) {
  return callgrad::simt::reduce(mask, v, callgrad::simt::Reduction::kMin);
}
__forceinline__ int __reduce_max_sync(unsigned mask, int v) {
  return callgrad::simt::reduce(mask, v, callgrad::simt::Reduction::kMax);
}
__forceinline__ unsigned __reduce_add_sync(unsigned mask, unsigned v) {
  return unsigned(callgrad::simt::reduce(mask, int(v), callgrad::simt::Reduction::kAdd));
}
__forceinline__ unsigned __reduce_min_sync(unsigned mask, unsigned v) {
  return unsigned(callgrad::simt::reduce(mask, int(v), callgrad::simt::Reduction::kMinUnsigned));
}
__forceinline__ unsigned __reduce_max_sync(unsigned mask, unsigned v) {
  return unsigned(callgrad::simt::reduce(mask, int(v), callgrad::simt::Reduction::kMaxUnsigned));
}
__forceinline__ unsigned __reduce_and_sync(unsigned mask, unsigned v) {
  return unsigned(callgrad::simt::reduce(mask, int(v), callgrad::simt::Reduction::kAnd));
}
__forceinline__ unsigned __reduce_or_sync(unsigned mask, unsigned v) {
  return unsigned(callgrad::simt::reduce(mask, int(v), callgrad::simt::Reduction::kOr));
}
__forceinline__ unsigned __reduce_xor_sync(unsigned mask, unsigned v) {
  return unsigned(callgrad::simt::reduce(mask, int(v), callgrad::simt::Reduction::kXor));
}

__forceinline__ void __threadfence() { callgrad::simt::fence(true); }
__forceinline__ void __threadfence_system() { callgrad::simt::fence(true); }
__forceinline__ void __threadfence_block() { callgrad::simt::fence(false); }
__forceinline__ void __nanosleep(unsigned) { callgrad::simt::pause(); }
__forceinline__ void __trap() { callgrad::simt::trap(); }

// ---- atomics: relaxed, as CUDA's are
// --------------------------------------------------------------

template <typename T>
__forceinline__ T atomicAdd(T* p, std::type_identity_t<T> v) {
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(p, v, __ATOMIC_RELAXED);
  } else {
    using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
    Bits* bits = reinterpret_cast<Bits*>(p);
    Bits before = __atomic_load_n(bits, __ATOMIC_RELAXED);
    for (;;) {
      T was, sum;
      memcpy(&was, &before, sizeof was);
      sum = was + v;
      Bits after;
      memcpy(&after, &sum, sizeof sum);
      if (__atomic_compare_exchange_n(bits, &before, after, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED))
        return was;
    }
  }
}
template <typename T>
__forceinline__ T atomicSub(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_sub(p, v, __ATOMIC_RELAXED);
}
template <typename T>
__forceinline__ T atomicExch(T* p, std::type_identity_t<T> v) {
  __atomic_exchange(p, &v, &v, __ATOMIC_RELAXED);
  return v;
}
template <typename T>
__forceinline__ T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return expected;
}
template <typename T>
__forceinline__ T atomicMax(T* p, std::type_identity_t<T> v) {
  T before = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(p, &before, before < v ? v : before, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
  return before;
}
template <typename T>
__forceinline__ T atomicMin(T* p, std::type_identity_t<T> v) {
  T before = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(p, &before, v < before ? v : before, false, __ATOMIC_RELAXED,
                                      __ATOMIC_RELAXED)) {
  }
  return before;
}
template <typename T>
__forceinline__ T atomicOr(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_or(p, v, __ATOMIC_RELAXED);
}
template <typename T>
__forceinline__ T atomicAnd(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_and(p, v, __ATOMIC_RELAXED);
}
template <typename T>
__forceinline__ T atomicXor(T* p, std::type_identity_t<T> v) {
  return __atomic_fetch_xor(p, v, __ATOMIC_RELAXED);
}
// Counts up to `last`, then starts again at 0.
__forceinline__ unsigned atomicInc(unsigned* p, unsigned last) {
  unsigned before = __atomic_load_n(p, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(p, &before, before >= last ? 0 : before + 1, false,
                                      __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return before;
}

// ---- math
// ----------------------------------------------------------------------------------------

using std::isfinite;
using std::isinf;
using std::isnan;

#define CG_MIN_MAX(T)                                                 \
  __forceinline__ constexpr T min(T a, T b) { return b < a ? b : a; } \
  __forceinline__ constexpr T max(T a, T b) { return a < b ? b : a; }
CG_MIN_MAX(int)
CG_MIN_MAX(unsigned)
CG_MIN_MAX(long)
CG_MIN_MAX(unsigned long)
CG_MIN_MAX(long long)
CG_MIN_MAX(unsigned long long)
#undef CG_MIN_MAX
__forceinline__ float min(float a, float b) { return fminf(a, b); }
__forceinline__ float max(float a, float b) { return fmaxf(a, b); }

__forceinline__ float rsqrtf(float x) { return 1.0f / sqrtf(x); }
__forceinline__ float __expf(float x) { return expf(x); }
__forceinline__ float __logf(float x) { return logf(x); }
__forceinline__ float __log2f(float x) { return log2f(x); }
__forceinline__ float __sinf(float x) { return sinf(x); }
__forceinline__ float __cosf(float x) { return cosf(x); }
__forceinline__ float __powf(float x, float y) { return powf(x, y); }
__forceinline__ float __fdividef(float x, float y) { return x / y; }
__forceinline__ float __fdiv_rn(float x, float y) { return x / y; }
__forceinline__ float __fadd_rn(float x, float y) { return x + y; }
__forceinline__ float __fsub_rn(float x, float y) { return x - y; }
__forceinline__ float __fmul_rn(float x, float y) { return x * y; }
__forceinline__ float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
__forceinline__ float __fsqrt_rn(float x) { return sqrtf(x); }
__forceinline__ float __frcp_rn(float x) { return 1.0f / x; }
__forceinline__ float __frsqrt_rn(float x) { return 1.0f / sqrtf(x); }
__forceinline__ float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1) : 0; }

__forceinline__ int __float_as_int(float x) { return __builtin_bit_cast(int, x); }
__forceinline__ unsigned __float_as_uint(float x) { return __builtin_bit_cast(unsigned, x); }
__forceinline__ float __int_as_float(int x) { return __builtin_bit_cast(float, x); }
__forceinline__ float __uint_as_float(unsigned x) { return __builtin_bit_cast(float, x); }
// Conversions to integers saturate on the device, NaN is 0.
__forceinline__ int callgradSaturate(double x) {
  return x != x ? 0 : x <= -2147483648.0 ? INT32_MIN : x >= 2147483647.0 ? INT32_MAX : int(x);
}
__forceinline__ int __float2int_rn(float x) { return callgradSaturate(nearbyint(double(x))); }
__forceinline__ int __float2int_rz(float x) { return callgradSaturate(double(x)); }
__forceinline__ int __float2int_rd(float x) { return callgradSaturate(floor(double(x))); }
__forceinline__ int __float2int_ru(float x) { return callgradSaturate(ceil(double(x))); }
__forceinline__ float __int2float_rn(int x) { return float(x); }

__forceinline__ int __popc(unsigned x) { return __builtin_popcount(x); }
__forceinline__ int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
__forceinline__ int __ffs(int x) { return __builtin_ffs(x); }
__forceinline__ int __ffsll(long long x) { return __builtin_ffsll(x); }
__forceinline__ int __clz(int x) { return x ? __builtin_clz(unsigned(x)) : 32; }
__forceinline__ int __clzll(long long x) {
  return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64;
}
__forceinline__ unsigned __umulhi(unsigned a, unsigned b) {
  return unsigned(uint64_t(a) * uint64_t(b) >> 32);
}
__forceinline__ int __mulhi(int a, int b) { return int(int64_t(a) * int64_t(b) >> 32); }

template <typename T>
__forceinline__ T __ldg(const T* p) {
  return *p;
}
template <typename T>
__forceinline__ T __ldcs(const T* p) {
  return *p;
}
template <typename T>
__forceinline__ T __ldcg(const T* p) {
  return *p;
}
template <typename T>
__forceinline__ void __stcs(T* p, std::type_identity_t<T> v) {
  *p = v;
}
template <typename T>
__forceinline__ void __stcg(T* p, std::type_identity_t<T> v) {
  *p = v;
}
