// Element types of tensors and their sizes.
#pragma once
#include <cstddef>
#include <cstdint>

namespace callgrad {

enum class DType : uint8_t { kF32 = 0, kBF16 = 1, kI32 = 2, kU8 = 3 };
inline constexpr int kDTypeCount = 4;

// A bfloat16: the upper half of a float. Arithmetic happens in float; see cpu/kernels/simd.h.
struct BFloat16 {
  uint16_t bits;
};

template <typename T>
inline constexpr DType kDTypeOf = DType::kU8;
template <>
inline constexpr DType kDTypeOf<float> = DType::kF32;
template <>
inline constexpr DType kDTypeOf<BFloat16> = DType::kBF16;
template <>
inline constexpr DType kDTypeOf<int32_t> = DType::kI32;

constexpr size_t dtypeSize(DType d) {
  return d == DType::kF32 || d == DType::kI32 ? 4 : d == DType::kBF16 ? 2 : 1;
}

constexpr const char* dtypeName(DType d) {
  return d == DType::kF32 ? "f32" : d == DType::kBF16 ? "bf16" : d == DType::kI32 ? "i32" : "u8";
}

}  // namespace callgrad
