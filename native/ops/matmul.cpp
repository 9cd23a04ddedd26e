// Linear layers, their gradients, weight packing and plain matrix products: shapes and checks.
#include "ops/op_table.h"
#include "ops/weight_layout.h"

namespace callgrad {
namespace {

Status expectWeight(const char* name, const TensorView& w, int64_t n, int64_t k, bool transposed,
                    const DeviceTraits& device) {
  CG_RETURN_IF_ERROR(expectShape(name, w, {n, k}));
  return expectLayout(name, w, transposed, device);
}

Status expectRows(const char* name, const TensorView& x) {
  if (x.rank >= 2) return {};
  return error(Code::kShape, "expected %s to have rows and columns, got shape %s", name,
               x.shapeText().c_str());
}

// Inputs without elements may still have sizes whose product no memory holds.
Status expectFits(int64_t rows, int64_t columns) {
  if (rows == 0 || columns <= (int64_t(1) << 46) / rows) return {};
  return error(Code::kShape, "expected an output that fits memory, got [%ld, %ld]", long(rows),
               long(columns));
}

Status inferPackWeight(const OpCall& c, OutputSpec* out, const DeviceTraits& device) {
  const TensorView& w = c.in[0];
  CG_RETURN_IF_ERROR(expectRank("w", w, 2));
  out[0].set(w.dtype == DType::kBF16 || c.attr[1] != 0 ? DType::kBF16 : DType::kF32,
             {w.shape[0], w.shape[1]});
  device.packedWeight(out[0].dtype, w.shape[0], w.shape[1], c.attr[0] != 0, &out[0].layout,
                      &out[0].bytes);
  return {};
}

// x and dy count as matrices: trailing dimensions ([T, heads, headDim]) are one row.
Status inferLinear(const OpCall& c, OutputSpec* out, const DeviceTraits& device) {
  const TensorView &x = c.in[0], &w = c.in[1], &bias = c.in[2], &residual = c.in[3];
  CG_RETURN_IF_ERROR(expectRows("x", x));
  CG_RETURN_IF_ERROR(expectWeight("w", w, -1, x.rowSize(), false, device));
  CG_RETURN_IF_ERROR(expectSameDType("x", x, "w", w));
  if (bias.present()) {
    CG_RETURN_IF_ERROR(expectShape("bias", bias, {w.shape[0]}));
    CG_RETURN_IF_ERROR(expectSameDType("x", x, "bias", bias));
  }
  if (residual.present()) {
    CG_RETURN_IF_ERROR(expectShape("residual", residual, {x.shape[0], w.shape[0]}));
    CG_RETURN_IF_ERROR(expectSameDType("x", x, "residual", residual));
  }
  CG_RETURN_IF_ERROR(expectFits(x.shape[0], w.shape[0]));
  out[0].set(c.attr[0] != 0 ? DType::kF32 : x.dtype, {x.shape[0], w.shape[0]});
  return {};
}

Status inferLinearBackwardInput(const OpCall& c, OutputSpec* out, const DeviceTraits& device) {
  const TensorView &dy = c.in[0], &w = c.in[1];
  CG_RETURN_IF_ERROR(expectRows("dy", dy));
  CG_RETURN_IF_ERROR(expectWeight("w", w, dy.rowSize(), -1, true, device));
  CG_RETURN_IF_ERROR(expectSameDType("dy", dy, "w", w));
  CG_RETURN_IF_ERROR(expectFits(dy.shape[0], w.shape[1]));
  out[0].set(dy.dtype, {dy.shape[0], w.shape[1]});
  return {};
}

Status inferLinearBackwardWeight(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  const TensorView &dy = c.in[0], &x = c.in[1], &dw = c.in[2];
  CG_RETURN_IF_ERROR(expectRows("dy", dy));
  CG_RETURN_IF_ERROR(expectRows("x", x));
  CG_RETURN_IF_ERROR(expectSameDType("dy", dy, "x", x));
  if (dy.shape[0] != x.shape[0])
    return error(Code::kShape, "expected dy and x of equally many rows, got %ld and %ld",
                 long(dy.shape[0]), long(x.shape[0]));
  return expectShape("dw", dw, {dy.rowSize(), x.rowSize()});
}

Status inferColumnSum(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRows("x", c.in[0]));
  return expectShape("into", c.in[1], {c.in[0].rowSize()});
}

Status inferMatmul(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &a = c.in[0], &b = c.in[1];
  const bool transA = c.attr[0] != 0, transB = c.attr[1] != 0;
  CG_RETURN_IF_ERROR(expectRank("a", a, 2));
  CG_RETURN_IF_ERROR(expectRank("b", b, 2));
  CG_RETURN_IF_ERROR(expectSameDType("a", a, "b", b));
  const int64_t m = a.shape[transA], k = a.shape[!transA], kb = b.shape[transB],
                n = b.shape[!transB];
  if (k != kb)
    return error(Code::kShape,
                 "expected a and b to share their inner size, got %ld of %s%s and %ld of %s%s",
                 long(k), a.shapeText().c_str(), transA ? " transposed" : "", long(kb),
                 b.shapeText().c_str(), transB ? " transposed" : "");
  CG_RETURN_IF_ERROR(expectFits(m, n));
  out[0].set(a.dtype, {m, n});
  return {};
}

double inputBytes(const OpCall& c, int inputs) {
  double bytes = 0;
  for (int i = 0; i < inputs; i++) bytes += bytesOf(c.in[i]);
  return bytes;
}
Cost costPack(const OpCall& c) { return {bytesOf(c.in[0]) + bytesOf(c.out[0]), 0}; }
Cost costLinear(const OpCall& c) {
  return {inputBytes(c, 4) + bytesOf(c.out[0]),
          2.0 * double(c.in[0].shape[0]) * double(c.in[1].numel())};
}
Cost costBackwardWeight(const OpCall& c) {
  return {inputBytes(c, 2) + 2 * bytesOf(c.in[2]),
          2.0 * double(c.in[0].shape[0]) * double(c.in[2].numel())};
}
Cost costColumnSum(const OpCall& c) {
  return {inputBytes(c, 1) + 2 * bytesOf(c.in[1]), double(c.in[0].numel())};
}
Cost costMatmul(const OpCall& c) {
  const double k = double(c.in[0].shape[c.attr[0] != 0 ? 0 : 1]);
  return {inputBytes(c, 2) + bytesOf(c.out[0]), 2.0 * double(c.out[0].numel()) * k};
}

}  // namespace

void declareMatmulOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"packWeight",
       "A weight in the layout that the device's GEMM reads fastest. Packing the fp32 master "
       "rounds once, to "
       "the same bits as packing a bf16 copy of it.",
       {{"w", kFloatBits, kStrided, "[N, K]"}},
       {{"packed", "[N, K], packed"}},
       {{"transposed", AttrKind::kBool, 0, "packed for linearBackwardInput, not for linear"},
        {"bf16", AttrKind::kBool, 0, "packed as bf16 where w is f32"}},
       inferPackWeight,
       costPack});
  t.push_back(
      {"linear",
       "y = x W^T + b + residual, summed in fp32 in this order and rounded once. A row of y does "
       "not depend on how many rows x has, nor on whether w is packed. y may be the residual.",
       {{"x", kFloatBits, kStrided, "[T, K] (or more dimensions whose trailing sizes make K)"},
        {"w", kFloatBits, kStrided | kPacked, "[N, K], plain or packed"},
        {"bias", kFloatBits, kOptional, "[N]"},
        {"residual", kFloatBits, kOptional | kStrided, "[T, N], of x's dtype"}},
       {{"y", "[T, N], of x's dtype or f32"}},
       {{"f32Output", AttrKind::kBool, 0, "y in fp32 whatever x's dtype (logits)"}},
       inferLinear,
       costLinear});
  t.push_back({"linearBackwardInput",
               "dx = dy W, the gradient of linear with respect to x.",
               {{"dy", kFloatBits, kStrided, "[T, N]"},
                {"w", kFloatBits, kStrided | kPacked, "[N, K], plain or packed with transposed"}},
               {{"dx", "[T, K]"}},
               {},
               inferLinearBackwardInput,
               costLinear});
  t.push_back({"linearBackwardWeight",
               "dw += dy^T x, the gradient of linear with respect to w, summed over rows in fp32.",
               {{"dy", kFloatBits, kStrided, "[T, N]"},
                {"x", kFloatBits, kStrided, "[T, K]"},
                {"dw", kF32Bit, kInout | kStrided, "[N, K], added to"}},
               {},
               {},
               inferLinearBackwardWeight,
               costBackwardWeight});
  t.push_back({"columnSum",
               "into += the sum of x over its rows (the gradient of a bias).",
               {{"x", kFloatBits, kStrided, "[T, N]"}, {"into", kF32Bit, kInout, "[N], added to"}},
               {},
               {},
               inferColumnSum,
               costColumnSum});
  t.push_back({"matmul",
               "c = a b, either operand transposed first on request; summed in fp32 and rounded "
               "once. An inner size of "
               "0 gives zeros.",
               {{"a", kFloatBits, kStrided, "[M, K], or [K, M] with transA"},
                {"b", kFloatBits, kStrided, "[K, N], or [N, K] with transB"}},
               {{"c", "[M, N]"}},
               {{"transA", AttrKind::kBool, 0, "a is given transposed"},
                {"transB", AttrKind::kBool, 0, "b is given transposed"}},
               inferMatmul,
               costMatmul});
}

}  // namespace callgrad
