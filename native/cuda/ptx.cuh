// Every instruction that CUDA C++ has no function for, and every vector access, as a small function
// with a host twin (native/simt/ptx_host.h): the only file with inline PTX. sm_80 and later.
//
// Fragments of mma (PTX ISA, "Matrix Fragments for mma.m16n8k16" and ".m16n8k8"); g = lane / 4,
// t = lane % 4:
//   bf16 m16n8k16   A [16, 16]: a[0] = (g, 2t..2t+1)   a[1] = (g+8, 2t..)   a[2] = (g, 2t+8..)
//                               a[3] = (g+8, 2t+8..)   lower column in the lower half
//                   B [16, 8]:  b[0] = (k 2t..2t+1, n g)   b[1] = (k 2t+8.., n g)
//   tf32 m16n8k8    A [16, 8]:  a[0] = (g, t)   a[1] = (g+8, t)   a[2] = (g, t+4)   a[3] = (g+8,
//   t+4)
//                   B [8, 8]:   b[0] = (k t, n g)   b[1] = (k t+4, n g)
//   both            D [16, 8]:  d[0..1] = (g, 2t..2t+1)   d[2..3] = (g+8, 2t..2t+1)
// ldmatrix: lane i names row i % 8 (16 bytes) of matrix i / 8; register r of lane l gets, of matrix
// r, (l / 4, 2t..2t+1), or with _trans (2t..2t+1, l / 4).
//
// All lanes of a warp take part in mma, ldmatrix, movmatrix and warp reductions. Those that work on
// several tiles at once (mma_tiles, ldmatrix_x4 with a list) emit the same instructions as a loop,
// and on `simt` cost one meeting of the warp instead of one for each.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "cuda/launch.h"

#ifndef __CUDACC__
#include "simt/ptx_host.h"
#else

namespace callgrad::gpu {

// ---- bits and conversions -------------------------------------------------------------------

CG_DEVICE float asFloat(uint32_t bits) { return __uint_as_float(bits); }
CG_DEVICE uint32_t asBits(float x) { return __float_as_uint(x); }

// Two floats rounded to nearest even, NaN to 0x7fff.
CG_DEVICE uint32_t packBf16x2(float low, float high) {
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
  return r;
}
CG_DEVICE BFloat16 toBFloat16(float x) {
  uint16_t r;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(r) : "f"(x));
  return {r};
}
// Round to the nearest tf32, ties away from zero.
CG_DEVICE uint32_t toTf32(float x) {
  uint32_t r;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
  return r;
}

// ---- approximate functions: error at most 2 ulp, subnormal inputs and results are 0 ------------

CG_DEVICE float ex2(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
CG_DEVICE float lg2(float x) {
  float y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
CG_DEVICE float rcp_approx(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}
CG_DEVICE float rsqrt_approx(float x) {
  float y;
  asm("rsqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// ---- accesses of a stated width; the address is a multiple of it -------------------------------

CG_DEVICE uint32_t ld4(const void* p) { return *static_cast<const uint32_t*>(p); }
CG_DEVICE uint2 ld8(const void* p) { return *static_cast<const uint2*>(p); }
CG_DEVICE uint4 ld16(const void* p) { return *static_cast<const uint4*>(p); }
CG_DEVICE void st4(void* p, uint32_t v) { *static_cast<uint32_t*>(p) = v; }
CG_DEVICE void st8(void* p, uint2 v) { *static_cast<uint2*>(p) = v; }
CG_DEVICE void st16(void* p, uint4 v) { *static_cast<uint4*>(p) = v; }

// Global memory that this launch does not write, read once: not kept in L1.
CG_DEVICE uint32_t ld4_stream(const void* p) {
  uint32_t v;
  asm("ld.global.nc.L1::no_allocate.b32 %0, [%1];" : "=r"(v) : "l"(p));
  return v;
}
CG_DEVICE uint2 ld8_stream(const void* p) {
  uint2 v;
  asm("ld.global.nc.L1::no_allocate.v2.b32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(p));
  return v;
}
CG_DEVICE uint4 ld16_stream(const void* p) {
  uint4 v;
  asm("ld.global.nc.L1::no_allocate.v4.b32 {%0, %1, %2, %3}, [%4];"
      : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
      : "l"(p));
  return v;
}
// Global memory that nobody reads soon.
CG_DEVICE void st8_stream(void* p, uint2 v) {
  asm volatile("st.global.cs.v2.b32 [%0], {%1, %2};" ::"l"(p), "r"(v.x), "r"(v.y) : "memory");
}
CG_DEVICE void st16_stream(void* p, uint4 v) {
  asm volatile("st.global.cs.v4.b32 [%0], {%1, %2, %3, %4};" ::"l"(p), "r"(v.x), "r"(v.y), "r"(v.z),
               "r"(v.w)
               : "memory");
}

// Values that other blocks may be changing (4 or 8 bytes): no race, and no order by itself.
template <typename T>
CG_DEVICE T ld_relaxed(const T* p) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  T v;
  if constexpr (sizeof(T) == 4) {
    uint32_t u;
    asm volatile("ld.relaxed.gpu.b32 %0, [%1];" : "=r"(u) : "l"(p) : "memory");
    memcpy(&v, &u, 4);
  } else {
    unsigned long long u;
    asm volatile("ld.relaxed.gpu.b64 %0, [%1];" : "=l"(u) : "l"(p) : "memory");
    memcpy(&v, &u, 8);
  }
  return v;
}
template <typename T>
CG_DEVICE void st_relaxed(T* p, T v) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8);
  if constexpr (sizeof(T) == 4) {
    uint32_t u;
    memcpy(&u, &v, 4);
    asm volatile("st.relaxed.gpu.b32 [%0], %1;" ::"l"(p), "r"(u) : "memory");
  } else {
    unsigned long long u;
    memcpy(&u, &v, 8);
    asm volatile("st.relaxed.gpu.b64 [%0], %1;" ::"l"(p), "l"(u) : "memory");
  }
}

// ---- position ----------------------------------------------------------------------------------

CG_DEVICE int laneId() {
  int lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}

// ---- matrix instructions -----------------------------------------------------------------------

// A place in shared memory for ldmatrix and cp.async; offsets are in bytes.
using SharedAddress = uint32_t;
CG_DEVICE SharedAddress sharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
CG_DEVICE void* sharedPointer(SharedAddress a) { return __cvta_shared_to_generic(a); }

// d += a b
CG_DEVICE void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
CG_DEVICE void mma_m16n8k8_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
      "{%8, %9}, {%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
// d[i][j] += a[i] b[j] for all i and j
template <int kM, int kN>
CG_DEVICE void mma_tiles_bf16(float (&d)[kM][kN][4], const uint32_t (&a)[kM][4],
                              const uint32_t (&b)[kN][2]) {
#pragma unroll
  for (int i = 0; i < kM; i++)
#pragma unroll
    for (int j = 0; j < kN; j++) mma_m16n8k16_bf16(d[i][j], a[i], b[j]);
}
template <int kM, int kN>
CG_DEVICE void mma_tiles_tf32(float (&d)[kM][kN][4], const uint32_t (&a)[kM][4],
                              const uint32_t (&b)[kN][2]) {
#pragma unroll
  for (int i = 0; i < kM; i++)
#pragma unroll
    for (int j = 0; j < kN; j++) mma_m16n8k8_tf32(d[i][j], a[i], b[j]);
}

CG_DEVICE void ldmatrix_x2(uint32_t (&r)[2], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(row)
               : "memory");
}
CG_DEVICE void ldmatrix_x2_trans(uint32_t (&r)[2], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
               : "=r"(r[0]), "=r"(r[1])
               : "r"(row)
               : "memory");
}
CG_DEVICE void ldmatrix_x4(uint32_t (&r)[4], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
CG_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[4], SharedAddress row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(row)
               : "memory");
}
template <int kCount>
CG_DEVICE void ldmatrix_x4(uint32_t (&r)[kCount][4], const SharedAddress (&rows)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) ldmatrix_x4(r[i], rows[i]);
}
template <int kCount>
CG_DEVICE void ldmatrix_x4_trans(uint32_t (&r)[kCount][4], const SharedAddress (&rows)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) ldmatrix_x4_trans(r[i], rows[i]);
}
// The transpose of the 8x8 matrix of 16-bit elements that the warp holds as one ldmatrix register.
CG_DEVICE uint32_t movmatrix_trans(uint32_t a) {
  uint32_t r;
  asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(r) : "r"(a));
  return r;
}

// ---- asynchronous copies from global to shared memory -------------------------------------------

// Copies the first `bytes` bytes (0 to the width) and zeroes the rest. `from` is not read where
// `bytes` is 0, but must be an address all the same. Visible to this thread after cp_async_wait, to
// others after a barrier as well. 16 bytes pass by L1.
CG_DEVICE void cp_async_16(SharedAddress to, const void* from, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
               "r"(bytes)
               : "memory");
}
CG_DEVICE void cp_async_8(SharedAddress to, const void* from, int bytes = 8) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
CG_DEVICE void cp_async_4(SharedAddress to, const void* from, int bytes = 4) {
  asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(to), "l"(from), "r"(bytes)
               : "memory");
}
// Closes a group of the copies that this thread has started.
CG_DEVICE void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most kPending of the newest groups are under way.
template <int kPending>
CG_DEVICE void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
}
CG_DEVICE void cp_async_wait_all() { asm volatile("cp.async.wait_all;" ::: "memory"); }

// ---- reductions over a warp; every lane gets the result, combined in the order xor 16, 8, 4, 2, 1
// --

CG_DEVICE float warpSum(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}
CG_DEVICE int warpSum(int v) { return __reduce_add_sync(0xffffffffu, v); }
// NaN where any lane has one.
CG_DEVICE float warpMax(float v) {
#pragma unroll
  for (int o = 16; o; o >>= 1) {
    const float w = __shfl_xor_sync(0xffffffffu, v, o);
    v = w > v || w != w ? w : v;
  }
  return v;
}
CG_DEVICE int warpMax(int v) { return __reduce_max_sync(0xffffffffu, v); }
CG_DEVICE int warpMin(int v) { return __reduce_min_sync(0xffffffffu, v); }
// Over the four lanes that hold one row of an mma accumulator: xor 1, then 2.
CG_DEVICE float quadSum(float v) {
  v += __shfl_xor_sync(0xffffffffu, v, 1);
  return v + __shfl_xor_sync(0xffffffffu, v, 2);
}
CG_DEVICE float quadMax(float v) {
  float w = __shfl_xor_sync(0xffffffffu, v, 1);
  v = w > v || w != w ? w : v;
  w = __shfl_xor_sync(0xffffffffu, v, 2);
  return w > v || w != w ? w : v;
}
template <int kCount>
CG_DEVICE void quadSum(float (&v)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) v[i] = quadSum(v[i]);
}
template <int kCount>
CG_DEVICE void quadMax(float (&v)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) v[i] = quadMax(v[i]);
}
template <int kCount>
CG_DEVICE void warpSum(float (&v)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; i++) v[i] = warpSum(v[i]);
}

}  // namespace callgrad::gpu

#endif

#include "cuda/access.cuh"
