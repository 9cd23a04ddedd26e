// Token embedding: shapes and checks. Ids are values: the kernels check them.
#include "ops/op_table.h"

namespace callgrad {
namespace {

Status inferEmbedding(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRank("w", c.in[0], 2));
  CG_RETURN_IF_ERROR(expectRank("ids", c.in[1], 1));
  out[0].set(c.in[0].dtype, {c.in[1].shape[0], c.in[0].shape[1]});
  return {};
}

Status inferEmbeddingBackward(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRank("dy", c.in[0], 2));
  CG_RETURN_IF_ERROR(expectShape("ids", c.in[1], {c.in[0].shape[0]}));
  return expectShape("dw", c.in[2], {-1, c.in[0].shape[1]});
}

}  // namespace

void declareEmbeddingOps(std::vector<OpDecl>& t) {
  t.push_back(
      {"embedding",
       "Rows of a table by token id.",
       {{"w", kFloatBits, kStrided, "[V, D]"}, {"ids", kI32Bit, kPlain, "[T], each in [0, V)"}},
       {{"y", "[T, D], dtype of w"}},
       {},
       inferEmbedding,
       [](const OpCall& c) -> Cost {
         return {2 * bytesOf(c.out[0]) + bytesOf(c.in[1]), 0};
       }});
  t.push_back({"embeddingBackward",
               "Adds each row of dy to the row of dw that its id names; repeated ids add up in the "
               "order of the rows.",
               {{"dy", kFloatBits, kStrided, "[T, D]"},
                {"ids", kI32Bit, kPlain, "[T], each in [0, V)"},
                {"dw", kF32Bit, kInout, "[V, D], accumulated into"}},
               {},
               {},
               inferEmbeddingBackward,
               [](const OpCall& c) -> Cost {
                 const double n = double(c.in[0].numel());
                 return {bytesOf(c.in[0]) + bytesOf(c.in[1]) + 8 * n, n};
               }});
}

}  // namespace callgrad
