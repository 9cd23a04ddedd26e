// The packed layouts of a weight matrix, one definition for packing, GEMM, oneDNN and shape
// inference.
//
// A packed matrix B [depth, columns] is cut into panels of kPanel columns. Inside a panel the depth
// runs in steps of one fp32 row or of a pair of bf16 rows (what VDPBF16PS and AMX read): [columns /
// 64][depth][64] in fp32, [columns / 64][depth / 2][64][2] in bf16. Columns are padded to 64 and
// the depth to 16 steps, with zeros. These are oneDNN's BA16a64b and BA16a64b2a, so its kernels and
// ours read the same bytes.
#pragma once
#include <cstdint>

#include "core/dtype.h"

namespace callgrad::cpu {

inline constexpr int64_t kPanel = 64;

// Values of TensorView::layout for a weight [n, k].
inline constexpr uint8_t kLayoutPlain = 0;
inline constexpr uint8_t kLayoutForward = 1;     // for y = x W^T: depth k, columns n
inline constexpr uint8_t kLayoutTransposed = 2;  // for dx = dy W: depth n, columns k

constexpr int64_t depthGroup(DType dtype) { return dtype == DType::kBF16 ? 2 : 1; }
constexpr int64_t roundUp(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
constexpr int64_t panelDepth(DType dtype, int64_t depth) {
  return roundUp(depth, 16 * depthGroup(dtype));
}
// Elements of one panel and of the whole packed matrix.
constexpr int64_t panelSize(DType dtype, int64_t depth) {
  return panelDepth(dtype, depth) * kPanel;
}
constexpr int64_t packedSize(DType dtype, int64_t depth, int64_t columns) {
  return roundUp(columns, kPanel) / kPanel * panelSize(dtype, depth);
}

}  // namespace callgrad::cpu
