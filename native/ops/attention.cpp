// Attention over packed rows, its backward, and one decode step over paged keys and values: shapes
// and checks.
//
// What a query row sees is data, not shape: tables of segments, spans, pages. Their values are
// checked by the kernels.
#include <cmath>
#include <limits>

#include "ops/op_table.h"

namespace callgrad {
namespace {

Status expectHeads(int64_t queryHeads, int64_t kvHeads) {
  if (kvHeads > 0 && queryHeads % kvHeads == 0) return {};
  return error(Code::kShape, "expected q's heads to be a multiple of k's, got %ld and %ld",
               long(queryHeads), long(kvHeads));
}

Status expectHeadDim(int64_t d) {
  if (d > 0 && d % 4 == 0 && d <= 512) return {};
  return error(Code::kShape,
               "expected a head dimension that is a multiple of 4, at most 512, got %ld", long(d));
}

Status expectScale(double scale) {
  if (scale >= 0 && std::isfinite(scale)) return {};
  return error(Code::kRange, "expected scale to be positive, or 0 for 1/sqrt(D), got %g", scale);
}

// q [Tq, Hq, D], k and v [Tk, Hkv, D], segments [S, 6], spans [P, 2]
Status checkRows(const TensorView& q, const TensorView& k, const TensorView& v,
                 const TensorView& segments, const TensorView& spans, double scale) {
  CG_RETURN_IF_ERROR(expectRank("q", q, 3));
  CG_RETURN_IF_ERROR(expectShape("k", k, {-1, -1, q.shape[2]}));
  CG_RETURN_IF_ERROR(expectSameShape("k", k, "v", v));
  CG_RETURN_IF_ERROR(expectHeads(q.shape[1], k.shape[1]));
  CG_RETURN_IF_ERROR(expectHeadDim(q.shape[2]));
  CG_RETURN_IF_ERROR(expectSameDType("q", q, "k", k));
  CG_RETURN_IF_ERROR(expectSameDType("k", k, "v", v));
  CG_RETURN_IF_ERROR(expectShape("segments", segments, {-1, 6}));
  CG_RETURN_IF_ERROR(expectShape("spans", spans, {-1, 2}));
  return expectScale(scale);
}

Status inferAttention(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView& q = c.in[0];
  CG_RETURN_IF_ERROR(checkRows(q, c.in[1], c.in[2], c.in[3], c.in[4], c.attr[0]));
  out[0].set(q.dtype, {q.shape[0], q.shape[1], q.shape[2]});
  out[1].set(DType::kF32, {q.shape[0], q.shape[1]});
  return {};
}

Status inferAttentionBackward(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &q = c.in[0], &k = c.in[1];
  CG_RETURN_IF_ERROR(checkRows(q, k, c.in[2], c.in[6], c.in[7], c.attr[0]));
  CG_RETURN_IF_ERROR(expectSameShape("out", c.in[3], "q", q));
  CG_RETURN_IF_ERROR(expectSameDType("out", c.in[3], "q", q));
  CG_RETURN_IF_ERROR(expectShape("lse", c.in[4], {q.shape[0], q.shape[1]}));
  CG_RETURN_IF_ERROR(expectSameShape("dOut", c.in[5], "q", q));
  CG_RETURN_IF_ERROR(expectSameDType("dOut", c.in[5], "q", q));
  out[0].set(q.dtype, {q.shape[0], q.shape[1], q.shape[2]});
  out[1].set(k.dtype, {k.shape[0], k.shape[1], k.shape[2]});
  out[2].set(k.dtype, {k.shape[0], k.shape[1], k.shape[2]});
  return {};
}

Status inferDecodeAttention(const OpCall& c, OutputSpec* out, const DeviceTraits&) {
  const TensorView &q = c.in[0], &kv = c.in[1];
  CG_RETURN_IF_ERROR(expectRank("q", q, 3));
  CG_RETURN_IF_ERROR(expectShape("kv", kv, {-1, 2, -1, -1, q.shape[2]}));
  CG_RETURN_IF_ERROR(expectSameDType("q", q, "kv", kv));
  CG_RETURN_IF_ERROR(expectHeads(q.shape[1], kv.shape[2]));
  CG_RETURN_IF_ERROR(expectHeadDim(q.shape[2]));
  CG_RETURN_IF_ERROR(expectShape("rowGroup", c.in[2], {q.shape[0]}));
  CG_RETURN_IF_ERROR(expectRank("prefixPages", c.in[3], 2));
  CG_RETURN_IF_ERROR(expectShape("prefixLens", c.in[4], {c.in[3].shape[0]}));
  CG_RETURN_IF_ERROR(expectShape("ownPages", c.in[5], {q.shape[0], -1}));
  CG_RETURN_IF_ERROR(expectShape("ownLens", c.in[6], {q.shape[0]}));
  CG_RETURN_IF_ERROR(expectScale(c.attr[0]));
  out[0].set(q.dtype, {q.shape[0], q.shape[1], q.shape[2]});
  return {};
}

// The arithmetic depends on what the tables say, and they lie on the device, maybe still to be
// written: only what every call moves is counted.
Cost costMove(const OpCall& c) {
  double bytes = 0;
  for (int i = 0; i < kMaxInputs; i++) bytes += bytesOf(c.in[i]);
  for (int i = 0; i < kMaxOutputs; i++) bytes += bytesOf(c.out[i]);
  return {bytes, std::numeric_limits<double>::quiet_NaN()};
}

const AttrDecl kScale = {"scale", AttrKind::kFloat, 0, "factor of the scores; 0 means 1 / sqrt(D)"};
const InputDecl kSegments = {
    "segments", kI32Bit, kPlain,
    "[S, 6] rows of qBegin, qEnd, kBegin (-1: no own keys), causalOffset, spanBegin, spanEnd"};
const InputDecl kSpans = {"spans", kI32Bit, kPlain, "[P, 2] rows of kBegin, kEnd"};

}  // namespace

void declareAttentionOps(std::vector<OpDecl>& t) {
  t.push_back({"attention",
               "Softmax attention of packed query segments: row i of a segment sees every key of "
               "the segment's spans, "
               "and own keys kBegin + j for j <= i + causalOffset. A row that sees nothing, or is "
               "in no segment, "
               "gives 0 and lse -inf.",
               {{"q", kFloatBits, kStrided, "[Tq, Hq, D]"},
                {"k", kFloatBits, kStrided, "[Tk, Hkv, D], Hq a multiple of Hkv"},
                {"v", kFloatBits, kStrided, "[Tk, Hkv, D]"},
                kSegments,
                kSpans},
               {{"out", "[Tq, Hq, D]"}, {"lse", "[Tq, Hq] f32, natural log"}},
               {kScale},
               inferAttention,
               costMove});
  t.push_back({"attentionBackward",
               "Gradients of attention. Keys that nobody sees get 0; the sums over queries have a "
               "fixed order.",
               {{"q", kFloatBits, kStrided, "[Tq, Hq, D]"},
                {"k", kFloatBits, kStrided, "[Tk, Hkv, D]"},
                {"v", kFloatBits, kStrided, "[Tk, Hkv, D]"},
                {"out", kFloatBits, kStrided, "[Tq, Hq, D], what attention returned"},
                {"lse", kF32Bit, kPlain, "[Tq, Hq], what attention returned"},
                {"dOut", kFloatBits, kStrided, "[Tq, Hq, D]"},
                kSegments,
                kSpans},
               {{"dq", "[Tq, Hq, D]"}, {"dk", "[Tk, Hkv, D]"}, {"dv", "[Tk, Hkv, D]"}},
               {kScale},
               inferAttentionBackward,
               costMove});
  t.push_back({"decodeAttention",
               "Attention of one new token a row over paged keys: the prefix of the row's group, "
               "then the row's own "
               "tokens. Equal bit for bit to the row that attention gives for the same token, "
               "whatever else is in "
               "the batch. A row with rowGroup -1 gives 0.",
               {{"q", kFloatBits, kStrided, "[B, Hq, D]"},
                {"kv", kFloatBits, kPlain, "[pages, 2, Hkv, pageSize, D], keys then values"},
                {"rowGroup", kI32Bit, kPlain,
                 "[B] in [0, G), or -1: inactive; adjacent rows of a group share work (on cpu also "
                 "those of "
                 "groups whose prefixes begin with the same pages)"},
                {"prefixPages", kI32Bit, kPlain, "[G, maxPrefixPages] page ids"},
                {"prefixLens", kI32Bit, kPlain, "[G] tokens"},
                {"ownPages", kI32Bit, kPlain, "[B, maxOwnPages] page ids"},
                {"ownLens", kI32Bit, kPlain, "[B] tokens, the new one included"}},
               {{"out", "[B, Hq, D]"}},
               {kScale},
               inferDecodeAttention,
               costMove});
}

}  // namespace callgrad
