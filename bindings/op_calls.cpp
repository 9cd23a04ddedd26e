// Op calls go through one shared Float64Array, so that a call costs one N-API crossing:
//   in:  [device, in_0 … in_n-1 (tensor or -1), attr_0 … , out_0 … (preallocated tensor or -1)]
//   out: per output [handle or -1, dtype, layout, rank, shape_0 … shape_4], from index 0.
#include <algorithm>
#include <cmath>
#include <memory>

#include "bindings/addon.h"

namespace callgrad {
namespace {
constexpr int kOutputFields = 4 + kMaxRank;
}

Napi::Value Addon::ops(const Napi::CallbackInfo& info) {
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

// Reads the call in the argument array. An open recording keeps the memory that the call touches.
Device* Addon::decode(Napi::Env env, const OpDecl& op, OpCall* call, double* preallocated) {
  const double* a = arguments_->data();
  Device* device = deviceAt(env, *a++);
  auto* kept = device->recording() ? &open_[device] : nullptr;
  auto viewOf = [&](double id, const char* name) {
    if (id == -1) return TensorView::absent();
    Handle* h = handles_.find(id);
    if (!h)
      throw makeError(
          env, op.name,
          error(Code::kDisposed, "expected a live tensor for %s, got one that was disposed", name));
    if (h->storage->device != device)
      throw makeError(env, op.name,
                      error(Code::kDevice, "expected %s on device %s, got one on %s", name,
                            device->name(), h->storage->device->name()));
    if (kept) kept->push_back(h->storage);
    return h->view;
  };
  for (const InputDecl& d : op.inputs) call->in[&d - op.inputs.data()] = viewOf(*a++, d.name);
  for (size_t i = op.inputs.size(); i < size_t(kMaxInputs); i++) call->in[i] = TensorView::absent();
  for (size_t i = 0; i < op.attrs.size(); i++) call->attr[i] = *a++;
  for (size_t i = 0; i < size_t(kMaxOutputs); i++) call->out[i] = TensorView::absent();
  for (size_t i = 0; i < op.outputs.size(); i++) {
    preallocated[i] = *a++;
    if (preallocated[i] != -1) call->out[i] = viewOf(preallocated[i], op.outputs[i].name);
  }
  return device;
}

const OpDecl& Addon::opAt(Napi::Env env, const Napi::CallbackInfo& info) {
  const double i = numberAt(info, 0);
  if (!(i >= 0 && i < double(opTable().size())) || i != std::floor(i))
    throw makeError(env, "run", error(Code::kType, "expected the number of an op, got %g", i));
  return opTable()[size_t(i)];
}

Napi::Value Addon::run(const Napi::CallbackInfo& info) {
  queueOp(info, false);
  return info.Env().Undefined();
}

// run() with the product multiplied by cuBLAS, for benchmarks: same arguments, checks and results.
Napi::Value Addon::runCublas(const Napi::CallbackInfo& info) {
  queueOp(info, true);
  return info.Env().Undefined();
}

void Addon::queueOp(const Napi::CallbackInfo& info, bool byCublas) {
  Napi::Env env = info.Env();
  const OpDecl& op = opAt(env, info);
  auto task = std::make_unique<OpTask>();
  OpCall& call = task->call;
  double preallocated[kMaxOutputs];
  Device* device = decode(env, op, &call, preallocated);
  if (byCublas) refuseWhileRecording(env, op.name, *device);
  task->device = device;
  task->op = int(&op - opTable().data());
  if (!device->kernel(task->op))
    throw makeError(env, op.name,
                    error(Code::kDevice, "device %s has no kernel for this op", device->name()));
  OutputSpec specs[kMaxOutputs];
  if (Status s = checkAndInfer(op, call, specs, device->traits()); !s.ok())
    throw makeError(env, op.name, s);

  double results[kMaxOutputs];
  std::vector<double> made;
  try {
    for (size_t i = 0; i < op.outputs.size(); i++) {
      results[i] = preallocated[i];
      makeOutput(env, op, i, specs[i], device, &call.out[i], &results[i], &made);
    }
    for (size_t i = 0; i < op.outputs.size(); i++) writeResult(results[i], call.out[i], int(i));
    if (byCublas) {
      const Status s = device->submitToCublas(std::move(task));
      if (!s.ok()) throw makeError(env, op.name, s);
    } else {
      device->submit(std::move(task));
    }
  } catch (...) {
    for (double id : made) handles_.release(id);
    throw;
  }
}

// Output i of a call: checks the given tensor (`*result` is its number, `*out` its view), or makes
// one. `*result` is -1 where the op leaves the output out.
void Addon::makeOutput(Napi::Env env, const OpDecl& op, size_t i, const OutputSpec& spec,
                       Device* device, TensorView* out, double* result, std::vector<double>* made) {
  const char* name = op.outputs[i].name;
  if (spec.rank < 0) {
    if (out->present())
      throw makeError(
          env, op.name,
          error(Code::kType, "expected no output %s, which this call leaves out", name));
    *out = TensorView::absent();
    *result = -1;
    return;
  }
  // Sizes come from tensors and attributes that are fine each: their product may still be beyond
  // any memory.
  double elements = 1;
  for (int k = 0; k < spec.rank; k++) elements *= double(std::max<int64_t>(spec.shape[k], 1));
  if (!(elements < kMaxElements))
    throw makeError(
        env, op.name,
        error(Code::kMemory, "expected %s to fit memory, got %g elements", name, elements));
  TensorView fresh;
  fresh.dtype = spec.dtype;
  fresh.layout = spec.layout;
  fresh.rank = spec.rank;
  std::copy(spec.shape, spec.shape + kMaxRank, fresh.shape);
  fresh.rowStride = fresh.rowSize();
  if (out->present()) {
    if (out->dtype != spec.dtype || out->layout != spec.layout || !out->sameShape(fresh))
      throw makeError(env, op.name,
                      error(Code::kShape, "expected the given output %s to be %s %s, got %s %s",
                            name, dtypeName(spec.dtype), fresh.shapeText().c_str(),
                            dtypeName(out->dtype), out->shapeText().c_str()));
    // Kernels step over rows of dimension 0; a vector has none to step over.
    if (out->rank == 1 && !out->contiguous())
      throw makeError(env, op.name,
                      error(Code::kShape,
                            "expected the given output %s to be contiguous, got elements that lie "
                            "%ld apart",
                            name, long(out->rowStride)));
    return;
  }
  const int64_t bytes =
      spec.bytes >= 0 ? spec.bytes : fresh.numel() * int64_t(dtypeSize(fresh.dtype));
  std::shared_ptr<Storage> storage;
  allocate(env, op.name, device, size_t(bytes), &storage);
  fresh.data = storage->block->data;
  if (device->recording()) open_[device].push_back(storage);
  *result = handles_.add(std::move(storage), fresh);
  made->push_back(*result);
  *out = fresh;
}

void Addon::writeResult(double id, const TensorView& v, int slot) {
  double* r = arguments_->data() + slot * kOutputFields;
  r[0] = id;
  if (id == -1) return;
  r[1] = double(int(v.dtype));
  r[2] = v.layout;
  r[3] = v.rank;
  for (int k = 0; k < kMaxRank; k++) r[4 + k] = double(v.shape[k]);
}

// [bytes, flops] that the call in the argument array needs at least.
Napi::Value Addon::cost(const Napi::CallbackInfo& info) {
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
  (*arguments_)[0] = c.bytes;
  (*arguments_)[1] = c.flops;
  return env.Undefined();
}

}  // namespace callgrad
