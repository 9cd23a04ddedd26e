// N-API glue: translates calls, owns handles and devices of one environment, holds no logic of its
// own.
//
// Op calls go through one shared Float64Array, so that a call costs one N-API crossing:
//   in:  [device, in_0 … in_n-1 (tensor or -1), attr_0 … , out_0 … (preallocated tensor or -1)]
//   out: per output [handle or -1, dtype, layout, rank, shape_0 … shape_4], from index 0.
#include <napi.h>

#include <cmath>
#include <limits>
#include <memory>
#include <string>

#include "bindings/handles.h"
#include "core/device.h"
#include "core/parallel.h"

namespace callgrad {
namespace {

constexpr size_t kArguments = 256;
constexpr int kOutputFields = 4 + kMaxRank;
constexpr double kMaxElements = 7e13;  // 2^48 bytes and no overflow of int64 anywhere

struct OpTask final : Stream::Task {
  Kernel kernel;
  Device* device;
  OpCall call;
  Status run() override {
    device->scratch().reset();
    KernelContext context{device->scratch()};
    return kernel(call, context);
  }
};

// Result of a read or a sync on its way from the worker to JS.
struct Delivery {
  napi_deferred deferred = nullptr;
  napi_ref value = nullptr;  // the array that the worker filled; none for a sync
  const char* where;
  Status status;
};

Napi::Error makeError(Napi::Env env, const std::string& where, const Status& status) {
  const std::string message =
      (status.message().rfind('[', 0) == 0 ? "" : "[" + where + "] ") + status.message();
  Napi::Error e = status.code() == Code::kType || status.code() == Code::kDType
                      ? Napi::Error(Napi::TypeError::New(env, message))
                  : status.code() == Code::kShape || status.code() == Code::kRange
                      ? Napi::Error(Napi::RangeError::New(env, message))
                      : Napi::Error::New(env, message);
  e.Value().Set("code", Napi::String::New(env, codeName(status.code())));
  return e;
}

class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports) {
    DefineAddon(exports, {
                             InstanceMethod("ops", &Addon::ops),
                             InstanceMethod("devices", &Addon::devices),
                             InstanceMethod("openDevice", &Addon::open),
                             InstanceMethod("run", &Addon::run),
                             InstanceMethod("cost", &Addon::cost),
                             InstanceMethod("create", &Addon::create),
                             InstanceMethod("view", &Addon::view),
                             InstanceMethod("release", &Addon::release),
                             InstanceMethod("upload", &Addon::upload),
                             InstanceMethod("read", &Addon::read),
                             InstanceMethod("sync", &Addon::sync),
                             InstanceMethod("memory", &Addon::memory),
                             InstanceMethod("resetPeak", &Addon::resetPeak),
                             InstanceMethod("setMemoryLimit", &Addon::setMemoryLimit),
                             InstanceMethod("trim", &Addon::trim),
                             InstanceMethod("threads", &Addon::threads),
                         });
    Napi::Float64Array arguments = Napi::Float64Array::New(env, kArguments);
    arguments_ = arguments.Data();
    argumentsReference_ = Napi::Persistent(arguments.As<Napi::Object>());
    exports.Set("arguments", arguments);
    deliver_ = Napi::ThreadSafeFunction::New(env, Napi::Function(), "callgrad stream", 0, 1);
    deliver_.Unref(env);
  }

  // The environment (also a worker thread's) closes: what runs ends, what is queued is dropped,
  // then its memory goes.
  ~Addon() {
    for (auto& d : devices_) d->stream().abandon();
    devices_drain();
    handles_.clear();
    devices_.clear();
    deliver_.Release();
  }

 private:
  void devices_drain() {
    for (auto& d : devices_) d->stream().drain();
  }

  Device* deviceAt(Napi::Env env, double index) {
    if (!(index >= 0) || index >= double(devices_.size()))
      throw makeError(env, "device",
                      error(Code::kType, "expected a device from device(), got %g", index));
    return devices_[size_t(index)].get();
  }

  Handle& handleAt(Napi::Env env, const char* where, double id) {
    if (Handle* h = handles_.find(id)) return *h;
    throw makeError(env, where,
                    error(Code::kDisposed, "expected a live tensor, got one that was disposed"));
  }

  // Napi::Number::DoubleValue of anything: NaN where JS gave something else.
  static double number(const Napi::CallbackInfo& info, size_t i) {
    return info.Length() > i && info[i].IsNumber() ? info[i].As<Napi::Number>().DoubleValue()
                                                   : std::numeric_limits<double>::quiet_NaN();
  }

  Napi::Value ops(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Napi::Array list = Napi::Array::New(env);
    for (const OpDecl& d : opTable()) {
      Napi::Object op = Napi::Object::New(env);
      op.Set("name", d.name);
      op.Set("doc", d.doc);
      Napi::Array inputs = Napi::Array::New(env), outputs = Napi::Array::New(env),
                  attrs = Napi::Array::New(env);
      for (const InputDecl& i : d.inputs) {
        Napi::Object o = Napi::Object::New(env);
        o.Set("name", i.name);
        Napi::Array dtypes = Napi::Array::New(env);
        for (int k = 0; k < kDTypeCount; k++)
          if ((i.dtypes >> k) & 1) dtypes.Set(dtypes.Length(), dtypeName(DType(k)));
        o.Set("dtypes", dtypes);
        o.Set("optional", bool(i.flags & kOptional));
        o.Set("inout", bool(i.flags & kInout));
        o.Set("strided", bool(i.flags & kStrided));
        o.Set("packed", bool(i.flags & kPacked));
        o.Set("doc", i.doc);
        inputs.Set(inputs.Length(), o);
      }
      for (const OutputDecl& i : d.outputs) {
        Napi::Object o = Napi::Object::New(env);
        o.Set("name", i.name);
        o.Set("doc", i.doc);
        outputs.Set(outputs.Length(), o);
      }
      for (const AttrDecl& a : d.attrs) {
        Napi::Object o = Napi::Object::New(env);
        o.Set("name", a.name);
        o.Set("kind", a.kind == AttrKind::kFloat ? "float"
                      : a.kind == AttrKind::kInt ? "int"
                                                 : "bool");
        o.Set("default", a.defaultValue);
        o.Set("required", a.required);
        o.Set("doc", a.doc);
        attrs.Set(attrs.Length(), o);
      }
      op.Set("inputs", inputs);
      op.Set("outputs", outputs);
      op.Set("attrs", attrs);
      list.Set(list.Length(), op);
    }
    return list;
  }

  Napi::Value devices(const Napi::CallbackInfo& info) {
    Napi::Array list = Napi::Array::New(info.Env());
    initParallel();
    for (const DeviceInfo& d : listDevices()) {
      Napi::Object o = Napi::Object::New(info.Env());
      o.Set("name", d.name);
      o.Set("available", d.available);
      if (!d.reason.empty()) o.Set("reason", d.reason);
      o.Set("description", d.description);
      o.Set("bf16", d.bf16);
      list.Set(list.Length(), o);
    }
    return list;
  }

  Napi::Value open(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    if (info.Length() < 1 || !info[0].IsString())
      throw makeError(env, "device", error(Code::kType, "expected a device name"));
    const std::string name = info[0].As<Napi::String>();
    for (size_t i = 0; i < devices_.size(); i++)
      if (name == devices_[i]->name()) return Napi::Number::New(env, double(i));
    std::unique_ptr<Device> device;
    if (Status s = openDevice(name, &device); !s.ok()) throw makeError(env, "device", s);
    devices_.push_back(std::move(device));
    return Napi::Number::New(env, double(devices_.size() - 1));
  }

  // Reads the call in the argument array. On return `keep` holds every storage that the call
  // touches.
  Device* decode(Napi::Env env, const OpDecl& op, OpCall* call, double* preallocated) {
    const double* a = arguments_;
    Device* device = deviceAt(env, *a++);
    auto viewOf = [&](double id, const char* name) {
      if (id == -1) return TensorView::absent();
      Handle* h = handles_.find(id);
      if (!h)
        throw makeError(env, op.name,
                        error(Code::kDisposed,
                              "expected a live tensor for %s, got one that was disposed", name));
      if (h->storage->device != device)
        throw makeError(env, op.name,
                        error(Code::kDevice, "expected %s on device %s, got one on %s", name,
                              device->name(), h->storage->device->name()));
      return h->view;
    };
    for (const InputDecl& d : op.inputs) call->in[&d - op.inputs.data()] = viewOf(*a++, d.name);
    for (size_t i = op.inputs.size(); i < size_t(kMaxInputs); i++)
      call->in[i] = TensorView::absent();
    for (size_t i = 0; i < op.attrs.size(); i++) call->attr[i] = *a++;
    for (size_t i = 0; i < size_t(kMaxOutputs); i++) call->out[i] = TensorView::absent();
    for (size_t i = 0; i < op.outputs.size(); i++) {
      preallocated[i] = *a++;
      if (preallocated[i] != -1) call->out[i] = viewOf(preallocated[i], op.outputs[i].name);
    }
    return device;
  }

  const OpDecl& opAt(Napi::Env env, const Napi::CallbackInfo& info) {
    const double i = number(info, 0);
    if (!(i >= 0) || i >= double(opTable().size()))
      throw makeError(env, "run", error(Code::kType, "expected the number of an op, got %g", i));
    return opTable()[size_t(i)];
  }

  void allocate(Napi::Env env, const char* where, Device* device, size_t bytes,
                std::shared_ptr<Storage>* storage) {
    CachingAllocator::Block* block;
    if (Status s = device->allocator().allocate(bytes, &block); !s.ok())
      throw makeError(env, where, s);
    *storage = std::make_shared<Storage>(device, block);
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    const OpDecl& op = opAt(env, info);
    const int index = int(&op - opTable().data());
    auto task = std::make_unique<OpTask>();
    OpCall& call = task->call;
    double preallocated[kMaxOutputs];
    Device* device = decode(env, op, &call, preallocated);
    task->device = device;
    task->kernel = device->kernel(index);
    if (!task->kernel)
      throw makeError(env, op.name,
                      error(Code::kDevice, "device %s has no kernel for this op", device->name()));
    OutputSpec specs[kMaxOutputs];
    if (Status s = checkAndInfer(op, call, specs, device->traits()); !s.ok())
      throw makeError(env, op.name, s);

    double results[kMaxOutputs];
    std::vector<double> made;
    try {
      for (size_t i = 0; i < op.outputs.size(); i++) {
        const OutputSpec& spec = specs[i];
        results[i] = -1;
        TensorView& out = call.out[i];
        if (spec.rank < 0) {
          out = TensorView::absent();
          continue;
        }
        // Sizes come from tensors and attributes that are fine each: their product may still be
        // beyond any memory.
        double elements = 1;
        for (int k = 0; k < spec.rank; k++) elements *= double(std::max<int64_t>(spec.shape[k], 1));
        if (!(elements < kMaxElements))
          throw makeError(env, op.name,
                          error(Code::kMemory, "expected %s to fit memory, got %g elements",
                                op.outputs[i].name, elements));
        if (out.present()) {
          bool same = out.dtype == spec.dtype && out.rank == spec.rank && out.layout == spec.layout;
          for (int k = 0; same && k < spec.rank; k++) same = out.shape[k] == spec.shape[k];
          if (!same) {
            TensorView want;
            want.rank = spec.rank;
            std::copy(spec.shape, spec.shape + kMaxRank, want.shape);
            throw makeError(
                env, op.name,
                error(Code::kShape, "expected the given output %s to be %s %s, got %s %s",
                      op.outputs[i].name, dtypeName(spec.dtype), want.shapeText().c_str(),
                      dtypeName(out.dtype), out.shapeText().c_str()));
          }
          // Kernels step over rows of dimension 0; a vector has none to step over.
          if (out.rank == 1 && !out.contiguous())
            throw makeError(env, op.name,
                            error(Code::kShape,
                                  "expected the given output %s to be contiguous, got elements "
                                  "that lie %ld apart",
                                  op.outputs[i].name, long(out.rowStride)));
          results[i] = preallocated[i];
          continue;
        }
        TensorView v;
        v.dtype = spec.dtype;
        v.layout = spec.layout;
        v.rank = spec.rank;
        std::copy(spec.shape, spec.shape + kMaxRank, v.shape);
        v.rowStride = v.rowSize();
        const int64_t bytes =
            spec.bytes >= 0 ? spec.bytes : v.numel() * int64_t(dtypeSize(v.dtype));
        std::shared_ptr<Storage> storage;
        allocate(env, op.name, device, size_t(bytes), &storage);
        v.data = storage->block->data;
        results[i] = handles_.add(std::move(storage), v);
        made.push_back(results[i]);
        out = v;
      }
    } catch (...) {
      for (double id : made) handles_.release(id);
      throw;
    }
    for (size_t i = 0; i < op.outputs.size(); i++)
      writeResult(double(results[i]), call.out[i], int(i));
    device->stream().enqueue(std::move(task));
    return env.Undefined();
  }

  void writeResult(double id, const TensorView& v, int slot) {
    double* r = arguments_ + slot * kOutputFields;
    r[0] = id;
    if (id == -1) return;
    r[1] = double(int(v.dtype));
    r[2] = v.layout;
    r[3] = v.rank;
    for (int k = 0; k < kMaxRank; k++) r[4 + k] = double(v.shape[k]);
  }

  // [bytes, flops] that the call in the argument array needs at least.
  Napi::Value cost(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    const OpDecl& op = opAt(env, info);
    OpCall call;
    double preallocated[kMaxOutputs];
    Device* device = decode(env, op, &call, preallocated);
    OutputSpec specs[kMaxOutputs];
    if (Status s = checkAndInfer(op, call, specs, device->traits()); !s.ok())
      throw makeError(env, op.name, s);
    for (size_t i = 0; i < op.outputs.size(); i++) {
      TensorView& v = call.out[i];
      v.rank = specs[i].rank;
      v.dtype = specs[i].dtype;
      std::copy(specs[i].shape, specs[i].shape + kMaxRank, v.shape);
    }
    const Cost c = op.cost(call);
    arguments_[0] = c.bytes;
    arguments_[1] = c.flops;
    return env.Undefined();
  }

  // Arguments: [device, dtype, rank, shape…] → [handle]. Contents undefined.
  Napi::Value create(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Device* device = deviceAt(env, arguments_[0]);
    TensorView v;
    readSpec(env, arguments_ + 1, &v);
    v.rowStride = v.rowSize();
    std::shared_ptr<Storage> storage;
    allocate(env, "tensor", device, size_t(v.numel()) * dtypeSize(v.dtype), &storage);
    v.data = storage->block->data;
    return Napi::Number::New(env, handles_.add(std::move(storage), v));
  }

  // [dtype, rank, shape…]; the number of elements is bounded so that byte counts cannot overflow.
  void readSpec(Napi::Env env, const double* a, TensorView* v) {
    if (!(a[0] >= 0 && a[0] < kDTypeCount) || !(a[1] >= 0 && a[1] <= kMaxRank))
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
  Napi::Value view(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    const double* a = arguments_;
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
    v.data =
        static_cast<char*>(b.data) + (empty ? 0 : int64_t(offset) * int64_t(dtypeSize(b.dtype)));
    std::shared_ptr<Storage> storage = base.storage;  // `base` may move when the table grows
    return Napi::Number::New(env, handles_.add(std::move(storage), v));
  }

  Napi::Value release(const Napi::CallbackInfo& info) {
    return Napi::Boolean::New(info.Env(), handles_.release(number(info, 0)));
  }

  // upload(handle, typedArray, elementOffset): copies at once; f32 into bf16 and i32 as is are
  // converted on the stream.
  Napi::Value upload(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Handle& h = handleAt(env, "tensor", number(info, 0));
    if (info.Length() < 2 || !info[1].IsTypedArray())
      throw makeError(
          env, "tensor",
          error(Code::kType, "expected a Float32Array, Int32Array, Uint16Array or Uint8Array"));
    Napi::TypedArray array = info[1].As<Napi::TypedArray>();
    const TensorView v = h.view;
    const napi_typedarray_type want = v.dtype == DType::kF32    ? napi_float32_array
                                      : v.dtype == DType::kBF16 ? napi_uint16_array
                                      : v.dtype == DType::kI32  ? napi_int32_array
                                                                : napi_uint8_array;
    if (array.TypedArrayType() != want || v.layout || !v.contiguous() ||
        int64_t(array.ElementLength()) != v.numel())
      throw makeError(
          env, "tensor",
          error(
              Code::kShape,
              "expected %ld elements for a contiguous %s tensor, got %zu of another kind or number",
              long(v.numel()), dtypeName(v.dtype), array.ElementLength()));
    struct Upload final : Stream::Task {
      std::vector<char> data;
      void* to;
      Status run() override {
        memcpy(to, data.data(), data.size());
        return {};
      }
    };
    auto task = std::make_unique<Upload>();
    const char* from = static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
    task->data.assign(from, from + array.ByteLength());
    task->to = v.data;
    h.storage->device->stream().enqueue(std::move(task));
    return env.Undefined();
  }

  // read(handle) → promise of a typed array with the tensor's contents (rows packed tightly).
  Napi::Value read(const Napi::CallbackInfo& info) {
    Napi::Env env = info.Env();
    Handle& h = handleAt(env, "toArray", number(info, 0));
    const TensorView v = h.view;
    if (v.layout)
      throw makeError(env, "toArray",
                      error(Code::kType, "expected a plain tensor, got a packed weight"));
    const size_t n = size_t(v.numel()), size = dtypeSize(v.dtype);
    Napi::ArrayBuffer buffer = Napi::ArrayBuffer::New(env, n * size);
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
    char* to = static_cast<char*>(buffer.Data());
    return enqueueDelivery(env, *h.storage->device, array, "toArray", [v, to, size]() -> Status {
      const size_t width = size_t(v.rowSize()) * size;
      if (v.contiguous()) {
        memcpy(to, v.data, size_t(v.numel()) * size);
      } else {
        for (int64_t r = 0; r < v.shape[0]; r++)
          memcpy(to + size_t(r) * width,
                 static_cast<char*>(v.data) + size_t(r * v.rowStride) * size, width);
      }
      return {};
    });
  }

  Napi::Value sync(const Napi::CallbackInfo& info) {
    Device* device = deviceAt(info.Env(), number(info, 0));
    return enqueueDelivery(info.Env(), *device, info.Env().Undefined(), "sync", nullptr);
  }

  Napi::Value enqueueDelivery(Napi::Env env, Device& device, Napi::Value value, const char* where,
                              std::function<Status()> work) {
    auto d = std::make_unique<Delivery>();
    d->where = where;
    napi_value promise;
    napi_status made = napi_create_promise(env, &d->deferred, &promise);
    if (made == napi_ok && value.IsObject()) made = napi_create_reference(env, value, 1, &d->value);
    if (made != napi_ok) throw Napi::Error::New(env);
    if (pending_++ == 0) deliver_.Ref(env);
    Napi::ThreadSafeFunction deliver = deliver_;
    device.stream().complete(
        std::move(work), [this, d = d.release(), deliver](const Status& status) {
          d->status = status;
          const napi_status queued = deliver.NonBlockingCall(
              d, [this](Napi::Env env, Napi::Function, Delivery* d) { settle(env, d); });
          if (queued != napi_ok)
            delete d;  // the environment is closing: nobody is left to receive it
        });
    return Napi::Value(env, promise);
  }

  // Settles a promise. An environment that is being terminated (a worker's) refuses any of these
  // calls: then nobody waits any more, and throwing here would end the whole process. So: the C
  // interface, whose statuses go unused.
  void settle(napi_env env, Delivery* d) {
    std::unique_ptr<Delivery> own(d);
    if (!env) return;
    if (--pending_ == 0) napi_unref_threadsafe_function(env, deliver_);
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    napi_value value = nullptr;
    if (!d->status.ok()) {
      try {
        value = makeError(env, d->where, d->status).Value();
      } catch (const Napi::Error&) {
      }
      if (value) napi_reject_deferred(env, d->deferred, value);
    } else {
      if (d->value)
        napi_get_reference_value(env, d->value, &value);
      else
        napi_get_undefined(env, &value);
      if (value) napi_resolve_deferred(env, d->deferred, value);
    }
    if (d->value) napi_delete_reference(env, d->value);
    napi_close_handle_scope(env, scope);
  }

  Napi::Value memory(const Napi::CallbackInfo& info) {
    Device* device = deviceAt(info.Env(), number(info, 0));
    const MemoryStats& s = device->allocator().stats();
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("allocated", double(s.allocated));
    o.Set("peak", double(s.peak));
    o.Set("reserved", double(s.reserved));
    o.Set("limit", double(s.limit));
    o.Set("scratch", double(device->scratch().held()));
    o.Set("tensors", double(handles_.live()));
    return o;
  }

  Napi::Value resetPeak(const Napi::CallbackInfo& info) {
    deviceAt(info.Env(), number(info, 0))->allocator().resetPeak();
    return info.Env().Undefined();
  }

  Napi::Value setMemoryLimit(const Napi::CallbackInfo& info) {
    const double bytes = number(info, 1);
    if (!(bytes >= 0))
      throw makeError(info.Env(), "device",
                      error(Code::kRange, "expected a limit in bytes, got %g", bytes));
    deviceAt(info.Env(), number(info, 0))->allocator().setLimit(size_t(bytes));
    return info.Env().Undefined();
  }

  Napi::Value trim(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(),
                             double(deviceAt(info.Env(), number(info, 0))->allocator().trim()));
  }

  Napi::Value threads(const Napi::CallbackInfo& info) {
    return Napi::Number::New(info.Env(), threadCount());
  }

  double* arguments_ = nullptr;
  Napi::ObjectReference argumentsReference_;
  Napi::ThreadSafeFunction deliver_;
  int pending_ = 0;
  HandleTable handles_;
  std::vector<std::unique_ptr<Device>> devices_;
};

NODE_API_NAMED_ADDON(callgrad, Addon)

}  // namespace
}  // namespace callgrad
