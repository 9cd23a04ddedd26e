// How a kernel is started, and the macros that let one .cu be compiled by nvcc (`cuda`) and by the
// host compiler (`simt`).
//
//   __global__ void CG_LAUNCH_BOUNDS(256, 2) scale(const float* x, float* y, int64_t n, float by) {
//     CG_SHARED(float, part, [8]);           // static: shape after the name, none for a scalar
//     CG_DYNAMIC_SHARED(float, tile);        // float* to launch()'s sharedBytes
//     …
//   }
//   return launch(*context.gpu, "scale", scale, dim3(blocks), dim3(256), bytes, x, y, n, 2.0f);
//
// Blocks of tokens go on grid.x: y and z end at 65,535. A grid with an empty extent is not started.
#pragma once
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "core/dtype.h"
#include "cuda/gpu.h"

#ifdef __CUDACC__

#define CG_DEVICE __device__ __forceinline__
#define CG_LAUNCH_BOUNDS(threads, minBlocks) __launch_bounds__(threads, minBlocks)
#define CG_SHARED(T, name, ...) __shared__ __align__(16) T name __VA_ARGS__
#define CG_DYNAMIC_SHARED(T, name)                                        \
  extern __shared__ __align__(128) unsigned char callgradDynamicShared[]; \
  T* const name = reinterpret_cast<T*>(callgradDynamicShared)
#define CG_UNROLL _Pragma("unroll")

#else

#include "simt/cuda_model.h"

#define CG_DEVICE inline __attribute__((always_inline))
#define CG_LAUNCH_BOUNDS(threads, minBlocks)
// Each place in the source has its own object in the block, found by the address of a static.
#define CG_SHARED(T, name, ...)                                                        \
  using name##Type = T __VA_ARGS__;                                                    \
  static constinit ::callgrad::simt::SharedSite name##Site(#name, sizeof(name##Type)); \
  name##Type& name = *static_cast<name##Type*>(::callgrad::simt::staticShared(name##Site))
#define CG_DYNAMIC_SHARED(T, name) \
  T* const name = static_cast<T*>(::callgrad::simt::dynamicShared())
#define CG_UNROLL

#endif

namespace callgrad::gpu {

namespace launching {

// The arguments of a kernel in one trivially copyable object.
template <typename... P>
struct Arguments {};
template <typename First, typename... Rest>
struct Arguments<First, Rest...> {
  First first;
  Arguments<Rest...> rest;
};

template <typename... P>
struct Packed {
  void (*kernel)(P...);
  Arguments<P...> arguments;
};

inline Arguments<> pack() { return {}; }
template <typename First, typename... Rest>
Arguments<First, Rest...> pack(First first, Rest... rest) {
  return {first, pack(rest...)};
}

inline void addresses(Arguments<>&, void**) {}
template <typename First, typename... Rest>
void addresses(Arguments<First, Rest...>& a, void** out) {
  *out = &a.first;
  addresses(a.rest, out + 1);
}

#ifndef __CUDACC__
template <typename Kernel, typename... Done>
void apply(Kernel kernel, const Arguments<>&, const Done&... done) {
  kernel(done...);
}
template <typename Kernel, typename First, typename... Rest, typename... Done>
void apply(Kernel kernel, const Arguments<First, Rest...>& a, const Done&... done) {
  apply(kernel, a.rest, done..., a.first);
}
template <typename... P>
void invoke(const void* packed) {
  const auto& p = *static_cast<const Packed<P...>*>(packed);
  apply(p.kernel, p.arguments);
}
#endif

template <typename T>
struct Same {
  using Type = T;
};

}  // namespace launching

// Queues `kernel` on gpu.stream. Arguments are converted to the kernel's parameter types. An error
// is one of starting; what goes wrong on the device shows at a later synchronisation.
template <typename... P>
Status launch(Gpu& gpu, const char* name, void (*kernel)(P...), dim3 grid, dim3 block,
              size_t sharedBytes, typename launching::Same<P>::Type... args) {
  static_assert((std::is_trivially_copyable_v<P> && ...), "arguments are copied byte by byte");
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return {};
  launching::Packed<P...> packed{kernel, launching::pack(args...)};
  void* addresses[sizeof...(P) + 1];
  launching::addresses(packed.arguments, addresses);
  Launch l{};
  l.name = name;
  l.function = reinterpret_cast<const void*>(kernel);
#ifndef __CUDACC__
  l.invoke = launching::invoke<P...>;
#endif
  l.arguments = addresses;
  l.packed = &packed;
  l.packedBytes = sizeof packed;
  l.grid = {grid.x, grid.y, grid.z};
  l.block = {block.x, block.y, block.z};
  l.sharedBytes = sharedBytes;
  gpu.kernel = name;
  gpu.launches++;
  return gpu.runtime->launch(l, gpu.stream);
}

}  // namespace callgrad::gpu
