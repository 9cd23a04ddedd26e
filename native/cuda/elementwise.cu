// add, fill, copy (with conversion) and row gathers and scatters.
//
// Views are [T, ...] with rows of dimension 0 any distance apart; where all of a call's views are
// dense, the whole tensor counts as one row. One thread moves kWidth elements, by 16-byte accesses
// where addresses and strides allow, else one at a time. Traffic: each input read once, each output
// written once, 1.0x the least; scatterRows adds 4 bytes for each row of its target and 8 for each
// index. Limited by memory.
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr unsigned kBlock = 256;

// The tensors of one call as `rows` rows of `width` elements.
struct Shape {
  int64_t rows, width;
};

template <typename... Views>
Shape shapeOf(const TensorView& first, const Views&... others) {
  if (first.contiguous() && (others.contiguous() && ...)) return {1, first.numel()};
  return {first.rank ? first.shape[0] : 1, first.rowSize()};
}

template <typename T>
struct Rows {
  T* data;
  int64_t stride;
  CG_DEVICE T* at(int64_t row, int64_t column) const { return data + row * stride + column; }
};
template <typename T>
Rows<T> strided(const TensorView& v) {
  return {v.as<T>(), v.rowStride};
}

// Item i of a call, as the place of its first element.
struct Item {
  int64_t row, column;
};
CG_DEVICE Item itemOf(int64_t i, int64_t itemsPerRow, int width) {
  if (i < itemsPerRow) return {0, i * width};
  const int64_t row = i / itemsPerRow;
  return {row, (i - row * itemsPerRow) * width};
}
CG_DEVICE int64_t globalThread() { return int64_t(blockIdx.x) * kBlock + threadIdx.x; }

template <typename T, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    addKernel(Rows<T> a, Rows<T> b, Rows<T> y, int64_t items, int64_t itemsPerRow) {
  const int64_t i = globalThread();
  if (i >= items) return;
  const Item at = itemOf(i, itemsPerRow, kWidth);
  float u[kWidth], v[kWidth];
  read(u, a.at(at.row, at.column));
  read(v, b.at(at.row, at.column));
  CG_UNROLL
  for (int k = 0; k < kWidth; k++) u[k] += v[k];
  write(y.at(at.row, at.column), u);
}

// Elements are moved as bits: 2 or 4 bytes each, one of them or as many as 16 bytes hold.
template <typename Bits, int kWidth>
inline constexpr int kMoved = kWidth == 1 ? int(sizeof(Bits)) : 16;

template <typename Bits, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    copyKernel(Rows<Bits> x, Rows<Bits> y, int64_t items, int64_t itemsPerRow) {
  const int64_t i = globalThread();
  if (i >= items) return;
  const Item at = itemOf(i, itemsPerRow, kWidth);
  moveBytes<kMoved<Bits, kWidth>>(y.at(at.row, at.column), x.at(at.row, at.column));
}

template <typename From, typename To, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    convertKernel(Rows<From> x, Rows<To> y, int64_t items, int64_t itemsPerRow) {
  const int64_t i = globalThread();
  if (i >= items) return;
  const Item at = itemOf(i, itemsPerRow, kWidth);
  float v[kWidth];
  read(v, x.at(at.row, at.column));
  write(y.at(at.row, at.column), v);
}

template <typename Bits, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    fillKernel(Rows<Bits> x, uint32_t word, int64_t items, int64_t itemsPerRow) {
  const int64_t i = globalThread();
  if (i >= items) return;
  const Item at = itemOf(i, itemsPerRow, kWidth);
  Bits* to = x.at(at.row, at.column);
  if constexpr (kWidth == 1)
    *to = Bits(word);
  else
    st16(to, make_uint4(word, word, word, word));
}

// Starts kernel(views…, items, itemsPerRow) with as many threads as there are items.
template <typename... P, typename... A>
Status overItems(Gpu& gpu, const char* name, void (*kernel)(P...), Shape shape, int width,
                 A... views) {
  const int64_t perRow = shape.width / width, items = shape.rows * perRow;
  return launch(gpu, name, kernel, dim3(unsigned(ceilDiv(items, kBlock))), dim3(kBlock), 0,
                views..., items, perRow);
}

template <typename T>
Status addOf(const OpCall& c, KernelContext& context) {
  const TensorView &a = c.in[0], &b = c.in[1], &y = c.out[0];
  const Shape shape = shapeOf(a, b, y);
  constexpr int kWide = kPerVector<T>;
  const bool vectors = allWide(shape.width, 16, a, b, y);
  return overItems(*context.gpu, "add", vectors ? addKernel<T, kWide> : addKernel<T, 1>, shape,
                   vectors ? kWide : 1, strided<T>(a), strided<T>(b), strided<T>(y));
}

Status add(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? addOf<float>(c, context) : addOf<BFloat16>(c, context);
}

template <typename Bits>
Status fillBits(const TensorView& x, uint32_t word, KernelContext& context) {
  const Shape shape = shapeOf(x);
  constexpr int kWide = kPerVector<Bits>;
  const bool vectors = allWide(shape.width, 16, x);
  return overItems(*context.gpu, "fill", vectors ? fillKernel<Bits, kWide> : fillKernel<Bits, 1>,
                   shape, vectors ? kWide : 1, strided<Bits>(x), word);
}

uint32_t floatBits(double v) {
  const float f = float(v);
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

Status fill(const OpCall& c, KernelContext& context) {
  const double v = c.attr[0];
  const uint32_t bits = floatBits(v);
  switch (c.in[0].dtype) {
    case DType::kF32:
      return fillBits<uint32_t>(c.in[0], bits, context);
    case DType::kBF16: {
      // To nearest even, NaN to 0x7fff.
      const uint32_t half = v != v ? 0x7fffu : (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
      return fillBits<uint16_t>(c.in[0], half | half << 16, context);
    }
    default: {
      const int32_t i = v >= -2147483648.0 && v <= 2147483647.0 ? int32_t(v) : 0;
      return fillBits<uint32_t>(c.in[0], uint32_t(i), context);
    }
  }
}

template <typename Bits>
Status copyBits(const TensorView& x, const TensorView& y, KernelContext& context) {
  const Shape shape = shapeOf(x, y);
  constexpr int kWide = kPerVector<Bits>;
  const bool vectors = allWide(shape.width, 16, x, y);
  return overItems(*context.gpu, "copy", vectors ? copyKernel<Bits, kWide> : copyKernel<Bits, 1>,
                   shape, vectors ? kWide : 1, strided<Bits>(x), strided<Bits>(y));
}

template <typename From, typename To>
Status convert(const TensorView& x, const TensorView& y, KernelContext& context) {
  const Shape shape = shapeOf(x, y);
  constexpr int kWide = 8;  // 16 bytes of bf16, 32 of fp32
  const bool vectors = shape.width % kWide == 0 && allWide(shape.width, 16, x, y);
  return overItems(*context.gpu, "convert",
                   vectors ? convertKernel<From, To, kWide> : convertKernel<From, To, 1>, shape,
                   vectors ? kWide : 1, strided<From>(x), strided<To>(y));
}

Status copy(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &y = c.in[1];
  if (x.dtype == y.dtype)
    return dtypeSize(x.dtype) == 4 ? copyBits<uint32_t>(x, y, context)
                                   : copyBits<uint16_t>(x, y, context);
  if (x.dtype == DType::kF32 && y.dtype == DType::kBF16)
    return convert<float, BFloat16>(x, y, context);
  if (x.dtype == DType::kBF16 && y.dtype == DType::kF32)
    return convert<BFloat16, float>(x, y, context);
  return error(Code::kDType, "[copy] expected i32 on both sides or floats on both, got %s to %s",
               dtypeName(x.dtype), dtypeName(y.dtype));
}

// ---- rows by index ---------------------------------------------------------------------------

// One block a row.
template <typename Bits, int kWidth>
CG_DEVICE void moveRow(Bits* to, const Bits* from, int64_t width) {
  for (int64_t c = int64_t(threadIdx.x) * kWidth; c < width; c += int64_t(kBlock) * kWidth)
    moveBytes<kMoved<Bits, kWidth>>(to + c, from + c);
}

template <typename Bits, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    gatherKernel(Rows<Bits> x, int64_t limit, const int32_t* rows, Rows<Bits> y, int64_t width,
                 ErrorSlot errors) {
  const int64_t i = blockIdx.x;
  const int32_t row = rows[i];
  if (row < 0 || row >= limit) {
    if (threadIdx.x == 0) reportFault(errors, Fault::kRow, i, row, limit);
    return;
  }
  moveRow<Bits, kWidth>(y.at(i, 0), x.at(row, 0), width);
}

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1) noWriterKernel(int32_t* writer, int64_t n) {
  const int64_t i = globalThread();
  if (i < n) writer[i] = -1;
}

// The last index that names a row is its writer.
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    writerKernel(const int32_t* rows, int64_t n, int64_t limit, int32_t* writer, ErrorSlot errors) {
  const int64_t i = globalThread();
  if (i >= n) return;
  const int32_t row = rows[i];
  if (row < 0 || row >= limit)
    reportFault(errors, Fault::kRow, i, row, limit);
  else
    atomicMax(writer + row, int32_t(i));
}

template <typename Bits, int kWidth>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    scatterKernel(Rows<Bits> x, const int32_t* rows, int64_t limit, const int32_t* writer,
                  Rows<Bits> y, int64_t width) {
  const int64_t i = blockIdx.x;
  const int32_t row = rows[i];
  if (row < 0 || row >= limit || writer[row] != int32_t(i)) return;
  moveRow<Bits, kWidth>(y.at(row, 0), x.at(i, 0), width);
}

template <typename Bits>
Status gatherBits(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &rows = c.in[1], &y = c.out[0];
  const int64_t width = x.rowSize();
  const bool vectors = allWide(width, 16, x, y);
  return launch(*context.gpu, "gatherRows",
                vectors ? gatherKernel<Bits, kPerVector<Bits>> : gatherKernel<Bits, 1>,
                dim3(unsigned(rows.shape[0])), dim3(kBlock), 0, strided<Bits>(x), x.shape[0],
                rows.as<int32_t>(), strided<Bits>(y), width, *context.deviceErrors);
}

Status gatherRows(const OpCall& c, KernelContext& context) {
  return dtypeSize(c.in[0].dtype) == 4 ? gatherBits<uint32_t>(c, context)
                                       : gatherBits<uint16_t>(c, context);
}

template <typename Bits>
Status scatterBits(const OpCall& c, KernelContext& context) {
  const TensorView &x = c.in[0], &rows = c.in[1], &y = c.in[2];
  const int64_t n = rows.shape[0], limit = y.shape[0], width = x.rowSize();
  if (n == 0) return {};
  Gpu& gpu = *context.gpu;
  int32_t* writer = context.scratch.get<int32_t>(size_t(limit));
  CG_RETURN_IF_ERROR(launch(gpu, "noWriter", noWriterKernel, dim3(unsigned(ceilDiv(limit, kBlock))),
                            dim3(kBlock), 0, writer, limit));
  CG_RETURN_IF_ERROR(launch(gpu, "writer", writerKernel, dim3(unsigned(ceilDiv(n, kBlock))),
                            dim3(kBlock), 0, rows.as<int32_t>(), n, limit, writer,
                            *context.deviceErrors));
  const bool vectors = allWide(width, 16, x, y);
  return launch(gpu, "scatterRows",
                vectors ? scatterKernel<Bits, kPerVector<Bits>> : scatterKernel<Bits, 1>,
                dim3(unsigned(n)), dim3(kBlock), 0, strided<Bits>(x), rows.as<int32_t>(), limit,
                writer, strided<Bits>(y), width);
}

Status scatterRows(const OpCall& c, KernelContext& context) {
  return dtypeSize(c.in[0].dtype) == 4 ? scatterBits<uint32_t>(c, context)
                                       : scatterBits<uint16_t>(c, context);
}

}  // namespace

void registerElementwise(KernelTable& t) {
  t.set("add", add);
  t.set("fill", fill);
  t.set("copy", copy);
  t.set("gatherRows", gatherRows);
  t.set("scatterRows", scatterRows);
}

}  // namespace callgrad::gpu
