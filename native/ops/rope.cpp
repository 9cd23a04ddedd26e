// Rotary position embedding: shapes and checks.
#include "ops/op_table.h"

namespace callgrad {
namespace {

Status inferRopeTable(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView& f = c.in[0];
  CG_RETURN_IF_ERROR(expectShape("inverseFrequencies", f, {2, -1}));
  const double positions = c.attr[0];
  if (!(positions >= 0) || positions > 2147483648.0)
    return error(Code::kRange, "expected positions to be from 0 to 2^31, got %g", positions);
  if (f.shape[1] > 0 && positions * double(f.shape[1]) > 1e12)
    return error(Code::kRange,
                 "expected a table that fits memory, got %g positions of %ld elements", positions,
                 long(2 * f.shape[1]));
  out[0].set(DType::kF32, {int64_t(positions), 2 * f.shape[1]});
  return {};
}

Status inferRope(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  const TensorView& x = c.in[0];
  CG_RETURN_IF_ERROR(expectRank("x", x, 3));
  if (x.shape[2] % 2)
    return error(Code::kShape, "expected x to have an even last dimension, got %s",
                 x.shapeText().c_str());
  CG_RETURN_IF_ERROR(expectShape("positions", c.in[1], {x.shape[0]}));
  CG_RETURN_IF_ERROR(expectShape("table", c.in[2], {-1, x.shape[2]}));
  return {};
}

}  // namespace

void declareRopeOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"ropeTable",
       "cos and sin of position times inverse frequency, from float64: row p holds D/2 cosines, "
       "then D/2 "
       "sines. Frequencies come in two parts (high + low), since an f32 one is off by a radian's "
       "hundredth "
       "at position 131072.",
       {{"inverseFrequencies", kF32Bit, kPlain, "[2, D / 2]: f rounded to f32, then f minus that"}},
       {{"table", "f32 [positions, D]"}},
       {{"positions", AttrKind::kInt, 0, "rows of the table: positions 0 to positions - 1", true}},
       inferRopeTable,
       [](const OpCall& c) -> Cost {
         return {bytesOf(c.in[0]) + bytesOf(c.out[0]), 20.0 * double(c.out[0].numel())};
       }});
  t.push_back({"rope",
               "Rotates pairs (x[j], x[j + D/2]) of every head in place by the angle of the row's "
               "position; inverse "
               "rotates back, which is the gradient.",
               {{"x", kFloatBits, kInout | kStrided, "[T, H, D]"},
                {"positions", kI32Bit, kPlain, "[T], each in [0, P)"},
                {"table", kF32Bit, kPlain, "[P, D], from ropeTable"}},
               {},
               {{"inverse", AttrKind::kBool, 0, "rotate by minus the angle"}},
               inferRope,
               [](const OpCall& c) -> Cost {
                 const double rows = double(c.in[1].numel());
                 return {
                     2 * bytesOf(c.in[0]) + bytesOf(c.in[1]) + rows * double(c.in[2].shape[1]) * 4,
                     3.0 * double(c.in[0].numel())};
               }});
}

}  // namespace callgrad
