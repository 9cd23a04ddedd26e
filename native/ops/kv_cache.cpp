// The paged cache of keys and values: writing rows, and the tables that a decode step advances on
// the device.
//
// A slot is page * pageSize + offset in the page. A decode step is: decodeAdvance (count the token
// that was sampled), decodeSlots (where its keys and values go), then kvWrite and decodeAttention
// in every layer. None takes a value of the step from the host, so a step can be recorded once and
// replayed.
#include "ops/op_table.h"

namespace callgrad {
namespace {

Status inferKvWrite(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  const TensorView &k = c.in[0], &v = c.in[1], &kv = c.in[2];
  CG_RETURN_IF_ERROR(expectRank("k", k, 3));
  CG_RETURN_IF_ERROR(expectSameShape("k", k, "v", v));
  CG_RETURN_IF_ERROR(expectShape("kv", kv, {-1, 2, k.shape[1], -1, k.shape[2]}));
  CG_RETURN_IF_ERROR(expectSameDType("k", k, "v", v));
  CG_RETURN_IF_ERROR(expectSameDType("k", k, "kv", kv));
  return expectShape("slots", c.in[3], {k.shape[0]});
}

Status inferKvRead(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView& kv = c.in[0];
  CG_RETURN_IF_ERROR(expectShape("kv", kv, {-1, 2, -1, -1, -1}));
  CG_RETURN_IF_ERROR(expectRank("slots", c.in[1], 1));
  out[0].set(kv.dtype, {c.in[1].shape[0], kv.shape[2], kv.shape[4]});
  out[1].set(kv.dtype, {c.in[1].shape[0], kv.shape[2], kv.shape[4]});
  return {};
}

Status inferDecodeSlots(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRank("ownPages", c.in[0], 2));
  CG_RETURN_IF_ERROR(expectShape("ownLens", c.in[1], {c.in[0].shape[0]}));
  if (c.attr[0] < 1 || c.attr[0] > 65536)
    return error(Code::kRange, "expected pageSize in [1, 65536], got %g", c.attr[0]);
  out[0].set(DType::kI32, {c.in[0].shape[0]});
  return {};
}

Status inferDecodeAdvance(const OpCall& c, OutputSpec*, const DeviceTraits&) {
  CG_RETURN_IF_ERROR(expectRank("rowGroup", c.in[0], 1));
  CG_RETURN_IF_ERROR(expectSameShape("positions", c.in[1], "rowGroup", c.in[0]));
  return expectSameShape("ownLens", c.in[2], "rowGroup", c.in[0]);
}

Cost costWrite(const OpCall& c) {
  return {2 * (bytesOf(c.in[0]) + bytesOf(c.in[1])) + bytesOf(c.in[3]), 0};
}

Cost costRead(const OpCall& c) {
  return {2 * (bytesOf(c.out[0]) + bytesOf(c.out[1])) + bytesOf(c.in[1]), 0};
}

Cost costSmall(const OpCall& c) {
  return {bytesOf(c.in[0]) + bytesOf(c.in[1]) + bytesOf(c.in[2]) + bytesOf(c.out[0]), 0};
}

}  // namespace

void declareKvCacheOps(std::vector<OpDecl>& t) {
  t.push_back({"kvWrite",
               "Writes keys and values of T tokens into their slots of the paged cache.",
               {{"k", kFloatBits, kStrided, "[T, Hkv, D]"},
                {"v", kFloatBits, kStrided, "[T, Hkv, D]"},
                {"kv", kFloatBits, kInout, "[pages, 2, Hkv, pageSize, D], written"},
                {"slots", kI32Bit, kPlain,
                 "[T] page * pageSize + offset, no two alike; -1 skips the token"}},
               {},
               {},
               inferKvWrite,
               costWrite});
  t.push_back({"kvRead",
               "Keys and values of T slots of the paged cache as rows: what kvWrite put there.",
               {{"kv", kFloatBits, kPlain, "[pages, 2, Hkv, pageSize, D]"},
                {"slots", kI32Bit, kPlain, "[T] page * pageSize + offset; -1 gives 0"}},
               {{"k", "[T, Hkv, D]"}, {"v", "[T, Hkv, D]"}},
               {},
               inferKvRead,
               costRead});
  t.push_back({"decodeSlots",
               "The slot of each row's last own token; -1 where a row has none.",
               {{"ownPages", kI32Bit, kPlain, "[B, maxOwnPages] page ids"},
                {"ownLens", kI32Bit, kPlain, "[B] tokens"}},
               {{"slots", "[B] i32"}},
               {{"pageSize", AttrKind::kInt, 0, "slots of a page", true}},
               inferDecodeSlots,
               costSmall});
  t.push_back({"decodeAdvance",
               "Counts one more token of every active row: positions and ownLens grow by one where "
               "rowGroup >= 0, to 2^31 - 1 at most.",
               {{"rowGroup", kI32Bit, kPlain, "[B] -1: inactive"},
                {"positions", kI32Bit, kInout, "[B], written"},
                {"ownLens", kI32Bit, kInout, "[B], written"}},
               {},
               {},
               inferDecodeAdvance,
               costSmall});
}

}  // namespace callgrad
