// Typed vector accesses and reductions over a block, built from ptx.cuh: the same code in both
// builds.
#pragma once
#include "cuda/ptx.cuh"

namespace callgrad::gpu {

inline constexpr int kWarp = 32;

CG_DEVICE float toFloat(float x) { return x; }
CG_DEVICE float toFloat(BFloat16 x) { return asFloat(static_cast<uint32_t>(x.bits) << 16); }
CG_DEVICE float lowBf16(uint32_t pair) { return asFloat(pair << 16); }
CG_DEVICE float highBf16(uint32_t pair) { return asFloat(pair & 0xffff0000u); }
template <typename T>
CG_DEVICE T fromFloat(float x) {
  if constexpr (sizeof(T) == 2)
    return toBFloat16(x);
  else
    return x;
}

// Elements of T in 16 bytes.
template <typename T>
inline constexpr int kPerVector = 16 / int(sizeof(T));

CG_DEVICE bool aligned(const void* p, unsigned bytes) {
  return reinterpret_cast<uintptr_t>(p) % bytes == 0;
}

// kCount elements as floats by accesses of 16 bytes, or of 8 or 4 where they are that few. `p` is a
// multiple of the access width.
namespace accesses {

CG_DEVICE void unpack(float* out, uint32_t w, float) { *out = asFloat(w); }
CG_DEVICE void unpack(float* out, uint32_t w, BFloat16) {
  out[0] = lowBf16(w);
  out[1] = highBf16(w);
}
CG_DEVICE uint32_t packed(const float* in, float) { return asBits(*in); }
CG_DEVICE uint32_t packed(const float* in, BFloat16) { return packBf16x2(in[0], in[1]); }

template <bool kStream, int kCount, typename T>
CG_DEVICE void loadAs(float (&out)[kCount], const T* p) {
  constexpr int kBytes = kCount * int(sizeof(T)), kEach = 4 / int(sizeof(T));
  static_assert(kBytes == 4 || kBytes == 8 || kBytes % 16 == 0);
  if constexpr (kBytes == 4) {
    unpack(out, kStream ? ld4_stream(p) : ld4(p), T{});
  } else if constexpr (kBytes == 8) {
    const uint2 v = kStream ? ld8_stream(p) : ld8(p);
    unpack(out, v.x, T{});
    unpack(out + kEach, v.y, T{});
  } else {
    CG_UNROLL
    for (int i = 0; i < kBytes / 16; i++) {
      const T* from = p + i * kPerVector<T>;
      const uint4 v = kStream ? ld16_stream(from) : ld16(from);
      float* to = out + i * kPerVector<T>;
      unpack(to, v.x, T{});
      unpack(to + kEach, v.y, T{});
      unpack(to + 2 * kEach, v.z, T{});
      unpack(to + 3 * kEach, v.w, T{});
    }
  }
}

template <bool kStream, int kCount, typename T>
CG_DEVICE void storeAs(T* p, const float (&in)[kCount]) {
  constexpr int kBytes = kCount * int(sizeof(T)), kEach = 4 / int(sizeof(T));
  static_assert(kBytes == 4 || kBytes == 8 || kBytes % 16 == 0);
  if constexpr (kBytes == 4) {
    st4(p, packed(in, T{}));
  } else if constexpr (kBytes == 8) {
    const uint2 v = make_uint2(packed(in, T{}), packed(in + kEach, T{}));
    kStream ? st8_stream(p, v) : st8(p, v);
  } else {
    CG_UNROLL
    for (int i = 0; i < kBytes / 16; i++) {
      const float* from = in + i * kPerVector<T>;
      const uint4 v = make_uint4(packed(from, T{}), packed(from + kEach, T{}),
                                 packed(from + 2 * kEach, T{}), packed(from + 3 * kEach, T{}));
      T* to = p + i * kPerVector<T>;
      kStream ? st16_stream(to, v) : st16(to, v);
    }
  }
}

}  // namespace accesses

template <int kCount, typename T>
CG_DEVICE void load(float (&out)[kCount], const T* p) {
  accesses::loadAs<false>(out, p);
}
template <int kCount, typename T>
CG_DEVICE void store(T* p, const float (&in)[kCount]) {
  accesses::storeAs<false>(p, in);
}
// 2, 4 or 16 bytes as they are.
template <int kBytes>
CG_DEVICE void moveBytes(void* to, const void* from) {
  if constexpr (kBytes == 16)
    st16(to, ld16(from));
  else if constexpr (kBytes == 4)
    st4(to, ld4(from));
  else
    *static_cast<uint16_t*>(to) = *static_cast<const uint16_t*>(from);
}
// For global memory that is touched once: read (and not written by this launch), or written.
template <int kCount, typename T>
CG_DEVICE void loadStream(float (&out)[kCount], const T* p) {
  accesses::loadAs<true>(out, p);
}
template <int kCount, typename T>
CG_DEVICE void storeStream(T* p, const float (&in)[kCount]) {
  accesses::storeAs<true>(p, in);
}

// In float64, in the order of warpSum(float).
CG_DEVICE double warpSum(double v) {
  CG_UNROLL
  for (int o = 16; o; o >>= 1) v += __shfl_xor_sync(0xffffffffu, v, o);
  return v;
}

// Sum over a block of kThreads (a multiple of 32, one-dimensional); every thread gets it. Warps by
// warpSum, then their sums in the same way, so the order depends on kThreads alone. Ends with a
// barrier: `v` of the next call cannot overtake.
template <int kThreads>
CG_DEVICE float blockSum(float v) {
  static_assert(kThreads % kWarp == 0 && kThreads <= 1024);
  v = warpSum(v);
  if constexpr (kThreads > kWarp) {
    CG_SHARED(float, part, [kThreads / kWarp]);
    const int lane = int(threadIdx.x) % kWarp, warp = int(threadIdx.x) / kWarp;
    if (lane == 0) part[warp] = v;
    __syncthreads();
    v = warpSum(lane < kThreads / kWarp ? part[lane] : 0.0f);
    __syncthreads();
  }
  return v;
}

}  // namespace callgrad::gpu
