// Host twins of cuda/ptx.cuh, which documents them.
#pragma once
#include "core/dtype.h"
#include "simt/cuda_model.h"
#include "simt/twins.h"

namespace callgrad::simt {

// Checked builds make the access out of line: the compiler would take a vector's elements apart,
// and each would count as an access of its own.
#ifdef CG_SIMT_CHECKED
template <typename T>
inline __attribute__((always_inline)) T loadWhole(const void* p) {
  T v;
  loadChecked(&v, p, sizeof(T));
  return v;
}
template <typename T>
inline __attribute__((always_inline)) void storeWhole(void* p, T v) {
  storeChecked(p, &v, sizeof(T));
}
#else
template <typename T>
inline __attribute__((always_inline)) T loadWhole(const void* p) {
  return *static_cast<const T*>(p);
}
template <typename T>
inline __attribute__((always_inline)) void storeWhole(void* p, T v) {
  *static_cast<T*>(p) = v;
}
#endif

}  // namespace callgrad::simt

namespace callgrad::gpu {

CG_DEVICE float asFloat(uint32_t bits) { return __builtin_bit_cast(float, bits); }
CG_DEVICE uint32_t asBits(float x) { return __builtin_bit_cast(uint32_t, x); }

CG_DEVICE uint32_t roundToBf16(float x) {
  const uint32_t u = asBits(x);
  return x != x ? 0x7fffu : (u + 0x7fffu + (u >> 16 & 1u)) >> 16;
}
CG_DEVICE uint32_t packBf16x2(float low, float high) {
  return roundToBf16(low) | roundToBf16(high) << 16;
}
CG_DEVICE BFloat16 toBFloat16(float x) { return {uint16_t(roundToBf16(x))}; }
CG_DEVICE uint32_t toTf32(float x) {
  const uint32_t u = asBits(x);
  return (u & 0x7f800000u) == 0x7f800000u ? (x != x ? 0x7fffffffu : u) : (u + 0x1000u) & ~0x1fffu;
}

CG_DEVICE float flushSubnormal(float x) { return fabsf(x) < 0x1p-126f ? copysignf(0.0f, x) : x; }
CG_DEVICE float ex2(float x) { return flushSubnormal(exp2f(flushSubnormal(x))); }
CG_DEVICE float lg2(float x) { return log2f(flushSubnormal(x)); }
CG_DEVICE float rcp_approx(float x) { return flushSubnormal(1.0f / flushSubnormal(x)); }
CG_DEVICE float rsqrt_approx(float x) { return 1.0f / sqrtf(flushSubnormal(x)); }

#define CG_ACCESS(bytes, T)                                                       \
  CG_DEVICE T ld##bytes(const void* p) { return simt::loadWhole<T>(p); }          \
  CG_DEVICE T ld##bytes##_stream(const void* p) { return simt::loadWhole<T>(p); } \
  CG_DEVICE void st##bytes(void* p, T v) { simt::storeWhole<T>(p, v); }           \
  CG_DEVICE void st##bytes##_stream(void* p, T v) { simt::storeWhole<T>(p, v); }
CG_ACCESS(4, uint32_t)
CG_ACCESS(8, uint2)
CG_ACCESS(16, uint4)
#undef CG_ACCESS

template <typename T>
CG_DEVICE T ld_relaxed(const T* p) {
  T v;
  __atomic_load(const_cast<T*>(p), &v, __ATOMIC_RELAXED);
  return v;
}
template <typename T>
CG_DEVICE void st_relaxed(T* p, T v) {
  __atomic_store(p, &v, __ATOMIC_RELAXED);
}

CG_DEVICE int laneId() { return simt::self().lane; }

using SharedAddress = uintptr_t;
CG_DEVICE SharedAddress sharedAddress(const void* p) { return reinterpret_cast<uintptr_t>(p); }
CG_DEVICE void* sharedPointer(SharedAddress a) { return reinterpret_cast<void*>(a); }

CG_DEVICE void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::mmaBf16(d, a, b, 1, 1);
}
CG_DEVICE void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  simt::mmaTf32(d, a, b, 1, 1);
}
template <int kM, int kN>
CG_DEVICE void mma_tiles_bf16(float (&d)[kM][kN][4], const uint32_t (&a)[kM][4],
                              const uint32_t (&b)[kN][2]) {
  simt::mmaBf16(&d[0][0][0], &a[0][0], &b[0][0], kM, kN);
}
template <int kM, int kN>
CG_DEVICE void mma_tiles_tf32(float (&d)[kM][kN][4], const uint32_t (&a)[kM][4],
                              const uint32_t (&b)[kN][2]) {
  simt::mmaTf32(&d[0][0][0], &a[0][0], &b[0][0], kM, kN);
}

CG_DEVICE void ldmatrix_x2(uint32_t (&r)[2], SharedAddress row) {
  simt::loadMatrix(r, &row, 2, 1, false);
}
CG_DEVICE void ldmatrix_x2_trans(uint32_t (&r)[2], SharedAddress row) {
  simt::loadMatrix(r, &row, 2, 1, true);
}
CG_DEVICE void ldmatrix_x4(uint32_t (&r)[4], SharedAddress row) {
  simt::loadMatrix(r, &row, 4, 1, false);
}
CG_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[4], SharedAddress row) {
  simt::loadMatrix(r, &row, 4, 1, true);
}
template <int kCount>
CG_DEVICE void ldmatrix_x4(uint32_t (&r)[kCount][4], const SharedAddress (&rows)[kCount]) {
  simt::loadMatrix(&r[0][0], rows, 4, kCount, false);
}
template <int kCount>
CG_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[kCount][4], const SharedAddress (&rows)[kCount]) {
  simt::loadMatrix(&r[0][0], rows, 4, kCount, true);
}
CG_DEVICE uint32_t movmatrix_trans(uint32_t a) { return simt::transposeMatrix(a); }

CG_DEVICE void cp_async_16(SharedAddress to, const void* from, int bytes = 16) {
  simt::copyAsync(to, from, 16, bytes);
}
CG_DEVICE void cp_async_8(SharedAddress to, const void* from, int bytes = 8) {
  simt::copyAsync(to, from, 8, bytes);
}
CG_DEVICE void cp_async_4(SharedAddress to, const void* from, int bytes = 4) {
  simt::copyAsync(to, from, 4, bytes);
}
CG_DEVICE void cp_async_commit() { simt::commitCopies(); }
template <int kPending>
CG_DEVICE void cp_async_wait() {
  simt::waitCopies(kPending);
}
CG_DEVICE void cp_async_wait_all() { simt::waitCopies(-1); }

CG_DEVICE float warpSum(float v) {
  simt::sumOverWarp(&v, 1);
  return v;
}
CG_DEVICE float warpMax(float v) {
  simt::maxOverWarp(&v, 1);
  return v;
}
CG_DEVICE float quadSum(float v) {
  simt::sumOverQuad(&v, 1);
  return v;
}
CG_DEVICE float quadMax(float v) {
  simt::maxOverQuad(&v, 1);
  return v;
}
template <int kCount>
CG_DEVICE void warpSum(float (&v)[kCount]) {
  simt::sumOverWarp(v, kCount);
}
template <int kCount>
CG_DEVICE void quadSum(float (&v)[kCount]) {
  simt::sumOverQuad(v, kCount);
}
template <int kCount>
CG_DEVICE void quadMax(float (&v)[kCount]) {
  simt::maxOverQuad(v, kCount);
}
CG_DEVICE int warpSum(int v) { return __reduce_add_sync(0xffffffffu, v); }
CG_DEVICE int warpMax(int v) { return __reduce_max_sync(0xffffffffu, v); }
CG_DEVICE int warpMin(int v) { return __reduce_min_sync(0xffffffffu, v); }

}  // namespace callgrad::gpu
