// Entry of the addon: what it exports, and what happens when its environment closes.
#include "bindings/addon.h"

#include <limits>

namespace callgrad {
namespace {
constexpr size_t kArguments = 256;
}

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

double numberAt(const Napi::CallbackInfo& info, size_t i) {
  return info.Length() > i && info[i].IsNumber() ? info[i].As<Napi::Number>().DoubleValue()
                                                 : std::numeric_limits<double>::quiet_NaN();
}

Addon::Addon(Napi::Env env, Napi::Object exports) {
  DefineAddon(exports, {
                           InstanceMethod("ops", &Addon::ops),
                           InstanceMethod("run", &Addon::run),
                           InstanceMethod("cost", &Addon::cost),
                           InstanceMethod("create", &Addon::create),
                           InstanceMethod("view", &Addon::view),
                           InstanceMethod("release", &Addon::release),
                           InstanceMethod("upload", &Addon::upload),
                           InstanceMethod("read", &Addon::read),
                           InstanceMethod("sync", &Addon::sync),
                           InstanceMethod("devices", &Addon::devices),
                           InstanceMethod("openDevice", &Addon::open),
                           InstanceMethod("memory", &Addon::memory),
                           InstanceMethod("resetPeak", &Addon::resetPeak),
                           InstanceMethod("setMemoryLimit", &Addon::setMemoryLimit),
                           InstanceMethod("trim", &Addon::trim),
                           InstanceMethod("threads", &Addon::threads),
                           InstanceMethod("beginRecording", &Addon::beginRecording),
                           InstanceMethod("endRecording", &Addon::endRecording),
                           InstanceMethod("replay", &Addon::replay),
                           InstanceMethod("releaseRecording", &Addon::releaseRecording),
                       });
  Napi::Float64Array arguments = Napi::Float64Array::New(env, kArguments);
  arguments_ = arguments.Data();
  argumentsReference_ = Napi::Persistent(arguments.As<Napi::Object>());
  exports.Set("arguments", arguments);
  deliver_ = Napi::ThreadSafeFunction::New(env, Napi::Function(), "callgrad stream", 0, 1);
  deliver_.Unref(env);
}

// The environment (also a worker thread's) closes: what runs ends, what is queued is dropped, then
// its memory goes.
Addon::~Addon() {
  for (auto& device : devices_) device->abandon();
  for (auto& device : devices_) device->drain();
  recordings_.clear();
  open_.clear();
  handles_.clear();
  devices_.clear();
  deliver_.Release();
}

NODE_API_NAMED_ADDON(callgrad, Addon)

}  // namespace callgrad
