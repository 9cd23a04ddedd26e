// SwiGLU: shapes and checks.
#include "ops/op_table.h"

namespace callgrad {
namespace {

void like(const TensorView& t, OutputSpec* out) {
  out->dtype = t.dtype;
  out->rank = t.rank;
  for (int i = 0; i < t.rank; i++) out->shape[i] = t.shape[i];
}

Status inferSwiglu(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectSameShape("gate", c.in[0], "up", c.in[1]));
  CG_RETURN_IF_ERROR(expectSameDType("gate", c.in[0], "up", c.in[1]));
  like(c.in[0], &out[0]);
  return {};
}

Status inferSwigluBackward(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const char* const names[] = {"dy", "gate", "up"};
  for (int i = 1; i < 3; i++) {
    CG_RETURN_IF_ERROR(expectSameShape("dy", c.in[0], names[i], c.in[i]));
    CG_RETURN_IF_ERROR(expectSameDType("dy", c.in[0], names[i], c.in[i]));
  }
  like(c.in[0], &out[0]);
  like(c.in[0], &out[1]);
  return {};
}

double moved(const OpCall& c) {
  double bytes = 0;
  for (int i = 0; i < 3; i++) bytes += bytesOf(c.in[i]) + bytesOf(c.out[i]);
  return bytes;
}

}  // namespace

void declareActivationOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"swiglu",
       "y = gate / (1 + exp(-gate)) * up, computed in fp32 and rounded once.",
       {{"gate", kFloatBits, kStrided, "[T, F]"}, {"up", kFloatBits, kStrided, "like gate"}},
       {{"y", "like gate"}},
       {},
       inferSwiglu,
       [](const OpCall& c) -> Cost {
         return {moved(c), 20.0 * double(c.in[0].numel())};
       }});
  t.push_back({"swigluBackward",
               "Gradient of swiglu. The outputs may be the halves of one [T, 2 F] buffer, and may "
               "be gate and up.",
               {{"dy", kFloatBits, kStrided, "[T, F]"},
                {"gate", kFloatBits, kStrided, "like dy"},
                {"up", kFloatBits, kStrided, "like dy"}},
               {{"dGate", "like dy"}, {"dUp", "like dy"}},
               {},
               inferSwigluBackward,
               [](const OpCall& c) -> Cost {
                 return {moved(c), 25.0 * double(c.in[0].numel())};
               }});
}

}  // namespace callgrad
