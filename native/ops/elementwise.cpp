// Element-wise ops and row gathers: shapes and checks.
#include "ops/op_table.h"

namespace callgrad {
namespace {

Status inferSame(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  out[0].dtype = c.in[0].dtype;
  out[0].rank = c.in[0].rank;
  for (int i = 0; i < c.in[0].rank; i++) out[0].shape[i] = c.in[0].shape[i];
  return {};
}

Status inferAdd(const OpCall& c, OutputSpec* out, const DeviceTraits& d) {
  CG_RETURN_IF_ERROR(expectSameShape("a", c.in[0], "b", c.in[1]));
  CG_RETURN_IF_ERROR(expectSameDType("a", c.in[0], "b", c.in[1]));
  return inferSame(c, out, d);
}

Status inferNothing(const OpCall&, OutputSpec*, const DeviceTraits&) { return {}; }

Status inferCopy(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  return expectSameShape("x", c.in[0], "into", c.in[1]);
}

Status inferGather(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRank("rows", c.in[1], 1));
  if (c.in[0].rank < 1) return error(Code::kShape, "expected x to have rows, got a scalar");
  out[0].dtype = c.in[0].dtype;
  out[0].rank = c.in[0].rank;
  out[0].shape[0] = c.in[1].shape[0];
  for (int i = 1; i < c.in[0].rank; i++) out[0].shape[i] = c.in[0].shape[i];
  return {};
}

Status inferScatter(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRank("rows", c.in[1], 1));
  CG_RETURN_IF_ERROR(expectSameDType("x", c.in[0], "into", c.in[2]));
  if (c.in[0].rank != c.in[2].rank || c.in[0].rowSize() != c.in[2].rowSize() ||
      c.in[0].shape[0] != c.in[1].shape[0])
    return error(Code::kShape, "expected x of %ld rows like those of into %s, got %s",
                 long(c.in[1].shape[0]), c.in[2].shapeText().c_str(), c.in[0].shapeText().c_str());
  return {};
}

Cost costMove(const OpCall& c) {
  double bytes = 0;
  for (int i = 0; i < kMaxInputs; i++) bytes += bytesOf(c.in[i]);
  for (int i = 0; i < kMaxOutputs; i++) bytes += bytesOf(c.out[i]);
  return {bytes, 0};
}

}  // namespace

void declareElementwiseOps(std::vector<OpDecl>& t) {
  t.push_back({"add",
               "Sum of two tensors, rounded once.",
               {{"a", kFloatBits, kStrided, "[T, ...]"}, {"b", kFloatBits, kStrided, "like a"}},
               {{"y", "like a"}},
               {},
               inferAdd,
               costMove});
  t.push_back({"fill",
               "Sets every element.",
               {{"x", kF32Bit | kBF16Bit | kI32Bit, kInout | kStrided, "any shape, written"}},
               {},
               {{"value", AttrKind::kFloat, 0, "the value; rounded to the dtype"}},
               inferNothing,
               costMove});
  t.push_back({"copy",
               "Copies x into `into`, converting between f32 and bf16 (round to nearest even, NaN "
               "stays NaN).",
               {{"x", kF32Bit | kBF16Bit | kI32Bit, kStrided, "[T, ...]"},
                {"into", kF32Bit | kBF16Bit | kI32Bit, kInout | kStrided, "like x, written"}},
               {},
               {},
               inferCopy,
               costMove});
  t.push_back({"gatherRows",
               "Rows of x by index.",
               {{"x", kF32Bit | kBF16Bit | kI32Bit, kStrided, "[T, ...]"},
                {"rows", kI32Bit, kPlain, "[R], each in [0, T)"}},
               {{"y", "[R, ...]"}},
               {},
               inferGather,
               costMove});
  t.push_back({"scatterRows",
               "Writes the rows of x to rows of `into`; where an index repeats, the last one wins.",
               {{"x", kF32Bit | kBF16Bit | kI32Bit, kPlain, "[R, ...]"},
                {"rows", kI32Bit, kPlain, "[R], each in [0, T)"},
                {"into", kF32Bit | kBF16Bit | kI32Bit, kInout | kStrided, "[T, ...], written"}},
               {},
               {},
               inferScatter,
               costMove});
}

}  // namespace callgrad
