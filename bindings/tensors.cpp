// Tensors: making, viewing, filling and reading them.
#include <cmath>
#include <cstdlib>

#include "bindings/addon.h"

namespace callgrad {
namespace {

constexpr size_t kMaxTypedArray =
    0xffffffff;  // V8's limit of elements; past it, it ends the process
constexpr size_t kLargeRead = size_t(16) << 20;

// V8 ends the process when it cannot allocate, so what is large enough to fail on a sound machine
// is asked for here first. (Memory of our own would not do: older Nodes refuse to transfer it.)
Napi::ArrayBuffer hostBuffer(Napi::Env env, size_t bytes) {
  if (bytes >= kLargeRead) {
    void* volatile probe = malloc(bytes);
    if (!probe) throw std::bad_alloc();
    free(probe);
  }
  return Napi::ArrayBuffer::New(env, bytes);
}

}  // namespace

Handle& Addon::handleAt(Napi::Env env, const char* where, double id) {
  if (Handle* h = handles_.find(id)) return *h;
  throw makeError(env, where,
                  error(Code::kDisposed, "expected a live tensor, got one that was disposed"));
}

void Addon::allocate(Napi::Env env, const char* where, Device* device, size_t bytes,
                     std::shared_ptr<Storage>* storage) {
  CachingAllocator::Block* block;
  if (Status s = device->allocator().allocate(bytes, &block); !s.ok())
    throw makeError(env, where, s);
  *storage = std::make_shared<Storage>(device, block);
}

// Arguments: [device, dtype, rank, shape…] → [handle]. Contents undefined.
Napi::Value Addon::create(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, (*arguments_)[0]);
  TensorView v;
  readSpec(env, arguments_->data() + 1, &v);
  v.rowStride = v.rowSize();
  std::shared_ptr<Storage> storage;
  allocate(env, "tensor", device, size_t(v.numel()) * dtypeSize(v.dtype), &storage);
  v.data = storage->block->data;
  return Napi::Number::New(env, handles_.add(std::move(storage), v));
}

// [dtype, rank, shape…]; the number of elements is bounded so that byte counts cannot overflow.
void Addon::readSpec(Napi::Env env, const double* a, TensorView* v) {
  if (!(a[0] >= 0 && a[0] < kDTypeCount) || !(a[1] >= 0 && a[1] <= kMaxRank) ||
      a[0] != std::floor(a[0]) || a[1] != std::floor(a[1]))
    throw makeError(env, "tensor",
                    error(Code::kType, "expected a dtype and at most %d dimensions", kMaxRank));
  v->dtype = DType(int(a[0]));
  v->rank = int(a[1]);
  double n = 1;
  for (int i = 0; i < v->rank; i++) {
    const double d = a[2 + i];
    if (!(d >= 0) || d != std::floor(d) || (n *= d > 1 ? d : 1) > kMaxElements)
      throw makeError(env, "tensor",
                      error(Code::kShape,
                            "expected dimensions that are whole numbers and fit memory, "
                            "got %g",
                            d));
    v->shape[i] = int64_t(d);
  }
}

// Arguments: [base, offset (elements), rowStride, dtype, rank, shape…] → handle that shares the
// base's memory.
Napi::Value Addon::view(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const double* a = arguments_->data();
  Handle& base = handleAt(env, "view", a[0]);
  TensorView v;
  readSpec(env, a + 3, &v);
  if (base.view.layout || v.dtype != base.view.dtype)
    throw makeError(env, "view", error(Code::kType, "expected a plain tensor and its own dtype"));
  const double offset = a[1], stride = a[2];
  if (!(offset >= 0) || offset != std::floor(offset) || !(stride >= 0) ||
      stride != std::floor(stride) || stride > kMaxElements || offset > kMaxElements)
    throw makeError(
        env, "view",
        error(Code::kRange, "expected a whole offset and stride, got %g and %g", offset, stride));
  v.rowStride = int64_t(stride);
  // Extent of the base in elements from its own start, and of the view.
  const TensorView& b = base.view;
  const int64_t baseExtent =
      b.numel() == 0 ? 0 : (b.rank ? (b.shape[0] - 1) * b.rowStride : 0) + b.rowSize();
  const int64_t rows = v.rank ? v.shape[0] : 1;
  const double extent = v.numel() == 0 ? 0 : double(rows - 1) * stride + double(v.rowSize());
  const bool empty = v.numel() == 0;  // reaches nothing, wherever it starts
  if (!empty && ((rows > 1 && v.rowStride < v.rowSize()) || offset + extent > double(baseExtent)))
    throw makeError(
        env, "view",
        error(Code::kRange, "expected a view inside the tensor's %ld elements, got %s at %g",
              long(baseExtent), v.shapeText().c_str(), offset));
  v.data = static_cast<char*>(b.data) + (empty ? 0 : int64_t(offset) * int64_t(dtypeSize(b.dtype)));
  std::shared_ptr<Storage> storage = base.storage;  // `base` may move when the table grows
  return Napi::Number::New(env, handles_.add(std::move(storage), v));
}

Napi::Value Addon::release(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), handles_.release(numberAt(info, 0)));
}

// upload(handle, typedArray): copies at once, for the stream to write in its turn.
Napi::Value Addon::upload(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Handle& h = handleAt(env, "tensor", numberAt(info, 0));
  if (info.Length() < 2 || !info[1].IsTypedArray())
    throw makeError(
        env, "tensor",
        error(Code::kType, "expected a Float32Array, Int32Array, Uint16Array or Uint8Array"));
  // Not TypedArray::ArrayBuffer(): Node-API describes no shared memory, but views of it.
  napi_typedarray_type type;
  size_t length;
  void* from;
  if (napi_get_typedarray_info(env, info[1], &type, &length, &from, nullptr, nullptr) != napi_ok)
    throw makeError(env, "tensor", error(Code::kType, "expected a typed array"));
  const TensorView v = h.view;
  const napi_typedarray_type want = v.dtype == DType::kF32    ? napi_float32_array
                                    : v.dtype == DType::kBF16 ? napi_uint16_array
                                    : v.dtype == DType::kI32  ? napi_int32_array
                                                              : napi_uint8_array;
  if (type != want || v.layout || !v.contiguous() || int64_t(length) != v.numel())
    throw makeError(
        env, "tensor",
        error(Code::kShape,
              "expected %ld elements for a contiguous %s tensor, got %zu of another kind or number",
              long(v.numel()), dtypeName(v.dtype), length));
  refuseWhileRecording(env, "tensor", *h.storage->device);
  h.storage->device->upload(v, from);
  return env.Undefined();
}

// read(handle) → promise of a typed array with the tensor's contents (rows packed tightly).
Napi::Value Addon::read(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Handle& h = handleAt(env, "toArray", numberAt(info, 0));
  const TensorView v = h.view;
  refuseWhileRecording(env, "toArray", *h.storage->device);
  if (v.layout)
    throw makeError(env, "toArray",
                    error(Code::kType, "expected a plain tensor, got a packed weight"));
  const size_t n = size_t(v.numel()), size = dtypeSize(v.dtype);
  if (n > kMaxTypedArray)
    throw makeError(env, "toArray",
                    error(Code::kRange,
                          "expected at most %zu elements at once, got %zu: read views of its rows",
                          kMaxTypedArray, n));
  Napi::ArrayBuffer buffer = hostBuffer(env, n * size);
  Napi::Value array;
  switch (v.dtype) {
    case DType::kF32:
      array = Napi::Float32Array::New(env, n, buffer, 0);
      break;
    case DType::kBF16:
      array = Napi::Uint16Array::New(env, n, buffer, 0);
      break;
    case DType::kI32:
      array = Napi::Int32Array::New(env, n, buffer, 0);
      break;
    case DType::kU8:
      array = Napi::Uint8Array::New(env, n, buffer, 0);
      break;
  }
  Device::Completion done;
  Napi::Value promise = promiseOf(env, array, "toArray", &done);
  h.storage->device->read(v, buffer.Data(), std::move(done));
  return promise;
}

}  // namespace callgrad
