// Element-wise ops and row gathers on the CPU. Bandwidth-bound: one pass, rows cut over threads.
#include <algorithm>

#include "core/parallel.h"
#include "cpu/kernels/families.h"
#include "cpu/kernels/simd.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kGrain = 16384;  // elements below which a second thread costs more than it brings

// Calls row(begin, end, i) over rows; a contiguous tensor counts as one long row cut into pieces.
struct Rows {
  int64_t rows, width;
};
Rows rowsOf(const TensorView& a, const TensorView& b) {
  if (a.contiguous() && b.contiguous()) {
    const int64_t n = a.numel();
    constexpr int64_t kPiece = 4096;
    if (n % kPiece == 0) return {n / kPiece, kPiece};
    return {1, n};
  }
  return {a.rank ? a.shape[0] : 1, a.rowSize()};
}

template <typename T>
void addRows(const OpCall& c) {
  const TensorView &a = c.in[0], &b = c.in[1], &y = c.out[0];
  const int64_t rows = a.rank ? a.shape[0] : 1, width = a.rowSize();
  parallelFor(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
              [&](int64_t begin, int64_t end) {
                for (int64_t r = begin; r < end; r++) {
                  const T *pa = a.as<T>() + r * a.rowStride, *pb = b.as<T>() + r * b.rowStride;
                  T* py = y.as<T>() + r * y.rowStride;
                  int64_t i = 0;
                  for (; i + kLanes <= width; i += kLanes)
                    store(py + i, load(pa + i) + load(pb + i));
                  for (; i < width; i++) py[i] = fromFloat<T>(toFloat(pa[i]) + toFloat(pb[i]));
                }
              });
}

Status add(const OpCall& c, KernelContext&) {
  c.in[0].dtype == DType::kF32 ? addRows<float>(c) : addRows<BFloat16>(c);
  return {};
}

template <typename T>
void fillRows(const TensorView& x, T value) {
  const int64_t rows = x.rank ? x.shape[0] : 1, width = x.rowSize();
  parallelFor(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
              [&](int64_t begin, int64_t end) {
                for (int64_t r = begin; r < end; r++)
                  std::fill_n(x.as<T>() + r * x.rowStride, width, value);
              });
}

Status fill(const OpCall& c, KernelContext&) {
  const double v = c.attr[0];
  switch (c.in[0].dtype) {
    case DType::kF32:
      fillRows(c.in[0], float(v));
      break;
    case DType::kBF16:
      fillRows(c.in[0], toBFloat16(float(v)));
      break;
    default:
      fillRows(c.in[0], v >= -2147483648.0 && v <= 2147483647.0 ? int32_t(v) : 0);
  }
  return {};
}

template <typename From, typename To>
void convertRows(const TensorView& x, const TensorView& y) {
  const Rows rows = rowsOf(x, y);
  const bool dense = x.contiguous() && y.contiguous();
  const int64_t sx = dense ? rows.width : x.rowStride, sy = dense ? rows.width : y.rowStride;
  parallelFor(rows.rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, rows.width)),
              [&](int64_t begin, int64_t end) {
                for (int64_t r = begin; r < end; r++) {
                  const From* px = x.as<From>() + r * sx;
                  To* py = y.as<To>() + r * sy;
                  int64_t i = 0;
                  for (; i + kLanes <= rows.width; i += kLanes) store(py + i, load(px + i));
                  for (; i < rows.width; i++) py[i] = fromFloat<To>(toFloat(px[i]));
                }
              });
}

void copyBytes(const TensorView& x, const TensorView& y) {
  const Rows rows = rowsOf(x, y);
  const bool dense = x.contiguous() && y.contiguous();
  const int64_t size = int64_t(dtypeSize(x.dtype));
  const int64_t sx = (dense ? rows.width : x.rowStride) * size,
                sy = (dense ? rows.width : y.rowStride) * size;
  parallelFor(rows.rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, rows.width)),
              [&](int64_t begin, int64_t end) {
                for (int64_t r = begin; r < end; r++)
                  memmove(y.as<char>() + r * sy, x.as<char>() + r * sx, size_t(rows.width * size));
              });
}

Status copy(const OpCall& c, KernelContext&) {
  const TensorView &x = c.in[0], &y = c.in[1];
  if (x.dtype == y.dtype) {
    copyBytes(x, y);
  } else if (x.dtype == DType::kF32 && y.dtype == DType::kBF16) {
    convertRows<float, BFloat16>(x, y);
  } else if (x.dtype == DType::kBF16 && y.dtype == DType::kF32) {
    convertRows<BFloat16, float>(x, y);
  } else {
    return error(Code::kDType, "[copy] expected i32 on both sides or floats on both, got %s to %s",
                 dtypeName(x.dtype), dtypeName(y.dtype));
  }
  return {};
}

// Checked as it is used: an i32 output may be the index list itself, so a check up front could be
// overtaken.
inline bool rowFits(int32_t row, int64_t limit) { return row >= 0 && row < limit; }

Status badRow(const char* op, int32_t row, int64_t at, int64_t limit) {
  return error(Code::kRange, "[%s] expected row indices in [0, %ld), got %d at %ld", op,
               long(limit), row, long(at));
}

Status gatherRows(const OpCall& c, KernelContext&) {
  const TensorView &x = c.in[0], &y = c.out[0];
  const int32_t* rows = c.in[1].as<int32_t>();
  const int64_t n = c.in[1].shape[0], size = int64_t(dtypeSize(x.dtype)),
                width = x.rowSize() * size;
  for (int64_t i = 0; i < n; i++) {
    const int32_t row = rows[i];
    if (!rowFits(row, x.shape[0])) return badRow("gatherRows", row, i, x.shape[0]);
    memmove(y.as<char>() + i * y.rowStride * size, x.as<char>() + row * x.rowStride * size,
            size_t(width));
  }
  return {};
}

Status scatterRows(const OpCall& c, KernelContext&) {
  const TensorView &x = c.in[0], &y = c.in[2];
  const int32_t* rows = c.in[1].as<int32_t>();
  const int64_t n = c.in[1].shape[0], size = int64_t(dtypeSize(x.dtype)),
                width = x.rowSize() * size;
  for (int64_t i = 0; i < n; i++) {
    const int32_t row = rows[i];
    if (!rowFits(row, y.shape[0])) return badRow("scatterRows", row, i, y.shape[0]);
    memmove(y.as<char>() + row * y.rowStride * size, x.as<char>() + i * x.rowStride * size,
            size_t(width));
  }
  return {};
}

}  // namespace

void registerElementwise(KernelTable& t) {
  t.set("add", add);
  t.set("fill", fill);
  t.set("copy", copy);
  t.set("gatherRows", gatherRows);
  t.set("scatterRows", scatterRows);
}

}  // namespace callgrad::cpu::CG_ISA
