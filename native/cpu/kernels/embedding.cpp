// Token embedding on the CPU. The backward sorts tokens by (id, row): each id's rows then lie
// together, one thread owns them, and they add up in the order of the rows.
#include <algorithm>

#include "cpu/kernels/families.h"
#include "cpu/kernels/pointwise.h"

namespace callgrad::cpu::CG_ISA {
namespace {

Status checkIds(const char* op, const int32_t* ids, int64_t n, int64_t vocab) {
  for (int64_t i = 0; i < n; i++)
    if (ids[i] < 0 || ids[i] >= vocab)
      return error(Code::kRange, "[%s] expected token ids in [0, %ld), got %d at row %ld", op,
                   long(vocab), ids[i], long(i));
  return {};
}

Status embedding(const OpCall& c, KernelContext&) {
  const TensorView &w = c.in[0], &y = c.out[0];
  const int32_t* ids = c.in[1].as<int32_t>();
  const int64_t rows = y.shape[0], size = int64_t(dtypeSize(w.dtype)), width = w.shape[1];
  CG_RETURN_IF_ERROR(checkIds("embedding", ids, rows, w.shape[0]));
  parallelFor(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
              [&](int64_t begin, int64_t end) {
                for (int64_t t = begin; t < end; t++)
                  memcpy(y.as<char>() + t * y.rowStride * size,
                         w.as<char>() + ids[t] * w.rowStride * size, size_t(width * size));
              });
  return {};
}

template <typename T>
void addRows(const TensorView& dy, const TensorView& dw, const uint64_t* order, int64_t begin,
             int64_t end) {
  const int64_t width = dy.shape[1];
  for (int64_t k = begin; k < end; k++) {
    const T* from = dy.as<T>() + int64_t(order[k] & 0xffffffffu) * dy.rowStride;
    float* to = dw.as<float>() + int64_t(order[k] >> 32) * width;
    overLanes(width, [&](int64_t i, int n) {
      storeLanes(to + i, loadLanes(to + i, n) + loadLanes(from + i, n), n);
    });
  }
}

Status embeddingBackward(const OpCall& c, KernelContext& context) {
  const TensorView &dy = c.in[0], &dw = c.in[2];
  const int32_t* ids = c.in[1].as<int32_t>();
  const int64_t rows = dy.shape[0];
  CG_RETURN_IF_ERROR(checkIds("embeddingBackward", ids, rows, dw.shape[0]));
  if (rows > int64_t(0xffffffff))
    return error(Code::kRange, "[embeddingBackward] expected fewer than 2^32 rows, got %ld",
                 long(rows));
  uint64_t* order = context.scratch.get<uint64_t>(size_t(rows));
  for (int64_t t = 0; t < rows; t++) order[t] = uint64_t(ids[t]) << 32 | uint64_t(t);
  std::sort(order, order + rows);
  // A chunk's bounds move forward to the next change of id, so that no id is shared by two chunks.
  auto boundary = [&](int64_t k) {
    while (k > 0 && k < rows && order[k] >> 32 == order[k - 1] >> 32) k++;
    return k;
  };
  parallelFor(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, dy.shape[1])),
              [&](int64_t begin, int64_t end) {
                begin = boundary(begin);
                end = boundary(end);
                dy.dtype == DType::kF32 ? addRows<float>(dy, dw, order, begin, end)
                                        : addRows<BFloat16>(dy, dw, order, begin, end);
              });
  return {};
}

}  // namespace

void registerEmbedding(KernelTable& t) {
  t.set("embedding", embedding);
  t.set("embeddingBackward", embeddingBackward);
}

}  // namespace callgrad::cpu::CG_ISA
