#include "ops/op_table.h"

#include <cmath>

namespace callgrad {

const std::vector<OpDecl>& opTable() {
  static const std::vector<OpDecl> table = [] {
    std::vector<OpDecl> t;
    declareElementwiseOps(t);
    declareNormOps(t);
    declareActivationOps(t);
    declareRopeOps(t);
    declareEmbeddingOps(t);
    declareOptimizerOps(t);
    declareMatmulOps(t);
    declareLinearLogprobOps(t);
    declareGrpoLossOps(t);
    declareSampleOps(t);
    declareAttentionOps(t);
    declareKvCacheOps(t);
    return t;
  }();
  return table;
}

int findOp(std::string_view name) {
  const auto& table = opTable();
  for (size_t i = 0; i < table.size(); i++)
    if (name == table[i].name) return int(i);
  return -1;
}

double bytesOf(const TensorView& t) {
  return t.present() ? double(t.numel()) * double(dtypeSize(t.dtype)) : 0;
}

Status expectRank(const char* where, const TensorView& t, int rank) {
  if (t.rank == rank) return {};
  return error(Code::kShape, "expected %s to have %d dimensions, got shape %s", where, rank,
               t.shapeText().c_str());
}

Status expectShape(const char* where, const TensorView& t, std::initializer_list<int64_t> shape) {
  bool same = t.rank == int(shape.size());
  std::string want = "[";
  int i = 0;
  for (int64_t n : shape) {
    if (same && n >= 0 && t.shape[i] != n) same = false;
    want += (i++ ? ", " : "") + (n < 0 ? std::string("any") : std::to_string(n));
  }
  if (same) return {};
  return error(Code::kShape, "expected %s of shape %s], got %s", where, want.c_str(),
               t.shapeText().c_str());
}

Status expectSameShape(const char* a, const TensorView& x, const char* b, const TensorView& y) {
  if (x.sameShape(y)) return {};
  return error(Code::kShape, "expected %s and %s of one shape, got %s and %s", a, b,
               x.shapeText().c_str(), y.shapeText().c_str());
}

Status expectSameDType(const char* a, const TensorView& x, const char* b, const TensorView& y) {
  if (x.dtype == y.dtype) return {};
  return error(Code::kDType, "expected %s and %s of one dtype, got %s and %s", a, b,
               dtypeName(x.dtype), dtypeName(y.dtype));
}

namespace {

// Whether rows of `written` touch `table`, which is contiguous.
bool liesOn(const TensorView& written, const TensorView& table) {
  if (written.numel() == 0 || table.numel() == 0) return false;
  const auto size = int64_t(dtypeSize(written.dtype));
  const int64_t tableBegin = 0, tableEnd = table.numel() * int64_t(dtypeSize(table.dtype));
  const int64_t begin = int64_t(uintptr_t(written.data)) - int64_t(uintptr_t(table.data));
  const int64_t rows = written.rank ? written.shape[0] : 1;
  const int64_t width = written.rowSize() * size, stride = written.rowStride * size;
  // the first row that ends past the table's begin
  int64_t row = 0;
  if (begin + width <= tableBegin && rows > 1) row = (tableBegin - begin - width) / stride + 1;
  const int64_t at = begin + row * stride;
  return row < rows && at < tableEnd && at + width > tableBegin;
}

// Kernels check the values of a table (ids, pages, segments), then use them as addresses: nothing
// that the same call writes may lie on it.
Status expectTablesUntouched(const OpDecl& op, const OpCall& call) {
  const auto check = [&](const char* name, const TensorView& written) -> Status {
    if (!written.present()) return {};
    for (size_t i = 0; i < op.inputs.size(); i++) {
      const InputDecl& d = op.inputs[i];
      if (d.dtypes != kI32Bit || (d.flags & (kInout | kStrided)) || !call.in[i].present()) continue;
      if (liesOn(written, call.in[i]))
        return error(Code::kRange, "expected %s beside the memory of %s, got both in one", name,
                     d.name);
    }
    return {};
  };
  for (size_t i = 0; i < op.inputs.size(); i++)
    if (op.inputs[i].flags & kInout) CG_RETURN_IF_ERROR(check(op.inputs[i].name, call.in[i]));
  for (size_t i = 0; i < op.outputs.size(); i++)
    CG_RETURN_IF_ERROR(check(op.outputs[i].name, call.out[i]));
  return {};
}

}  // namespace

Status checkAndInfer(const OpDecl& op, const OpCall& call, OutputSpec* outputs,
                     const DeviceTraits& device) {
  for (size_t i = 0; i < op.inputs.size(); i++) {
    const InputDecl& d = op.inputs[i];
    const TensorView& t = call.in[i];
    if (!t.present()) {
      if (d.flags & kOptional) continue;
      return error(Code::kType, "expected a tensor for %s, got none", d.name);
    }
    if (!((d.dtypes >> int(t.dtype)) & 1)) {
      std::string want;
      for (int k = 0; k < kDTypeCount; k++)
        if ((d.dtypes >> k) & 1)
          want += (want.empty() ? "" : " or ") + std::string(dtypeName(DType(k)));
      return error(Code::kDType, "expected %s of dtype %s, got %s", d.name, want.c_str(),
                   dtypeName(t.dtype));
    }
    if (t.layout && !(d.flags & kPacked))
      return error(Code::kType, "expected %s in plain layout, got a packed weight", d.name);
    if (!(d.flags & kStrided) && !t.contiguous())
      return error(Code::kShape,
                   "expected %s to be contiguous, got rows of %ld elements that lie %ld apart",
                   d.name, long(t.rowSize()), long(t.rowStride));
  }
  for (size_t i = 0; i < op.attrs.size(); i++) {
    const AttrDecl& a = op.attrs[i];
    const double v = call.attr[i];
    if (a.kind != AttrKind::kFloat &&
        (std::isnan(v) || v != std::floor(v) || std::fabs(v) > 9007199254740991.0))
      return error(Code::kRange, "expected %s to be an integer, got %g", a.name, v);
  }
  CG_RETURN_IF_ERROR(expectTablesUntouched(op, call));
  return op.infer(call, outputs, device);
}

}  // namespace callgrad
