// Entry of the addon: what it exports, and what happens when its environment closes.
#include "bindings/addon.h"

#include <limits>

namespace callgrad {

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
  DefineAddon(exports,
              {
                  InstanceMethod("ops", &Addon::guarded<&Addon::ops>),
                  InstanceMethod("run", &Addon::guarded<&Addon::run>),
                  InstanceMethod("runCublas", &Addon::guarded<&Addon::runCublas>),
                  InstanceMethod("cost", &Addon::guarded<&Addon::cost>),
                  InstanceMethod("create", &Addon::guarded<&Addon::create>),
                  InstanceMethod("view", &Addon::guarded<&Addon::view>),
                  InstanceMethod("release", &Addon::guarded<&Addon::release>),
                  InstanceMethod("upload", &Addon::guarded<&Addon::upload>),
                  InstanceMethod("read", &Addon::guarded<&Addon::read>),
                  InstanceMethod("sync", &Addon::guarded<&Addon::sync>),
                  InstanceMethod("startTimer", &Addon::guarded<&Addon::startTimer>),
                  InstanceMethod("stopTimer", &Addon::guarded<&Addon::stopTimer>),
                  InstanceMethod("devices", &Addon::guarded<&Addon::devices>),
                  InstanceMethod("openDevice", &Addon::guarded<&Addon::open>),
                  InstanceMethod("memory", &Addon::guarded<&Addon::memory>),
                  InstanceMethod("resetPeak", &Addon::guarded<&Addon::resetPeak>),
                  InstanceMethod("setMemoryLimit", &Addon::guarded<&Addon::setMemoryLimit>),
                  InstanceMethod("trim", &Addon::guarded<&Addon::trim>),
                  InstanceMethod("cublas", &Addon::guarded<&Addon::cublas>),
                  InstanceMethod("count", &Addon::guarded<&Addon::count>),
                  InstanceMethod("threads", &Addon::guarded<&Addon::threads>),
                  InstanceMethod("beginRecording", &Addon::guarded<&Addon::beginRecording>),
                  InstanceMethod("endRecording", &Addon::guarded<&Addon::endRecording>),
                  InstanceMethod("replay", &Addon::guarded<&Addon::replay>),
                  InstanceMethod("releaseRecording", &Addon::guarded<&Addon::releaseRecording>),
              });
  exports.Set("arguments", shareArguments(env));
  deliveries_ = DeliveryQueue::open(env);
  stopBeforeExit(env);
}

// process.exit() ends the process without closing the environment, and the static objects of
// libraries (a GPU's runtime, oneDNN) go while streams still use them. So the streams stop when
// the process, or a worker, says that it ends.
void Addon::stopBeforeExit(Napi::Env env) {
  const Napi::Value process = env.Global().Get("process");
  if (!process.IsObject()) return;
  const auto object = process.As<Napi::Object>();
  const Napi::Value once = object.Get("once");
  if (!once.IsFunction()) return;
  const auto stop = Napi::Function::New(env, [this](const Napi::CallbackInfo&) { stopDevices(); });
  once.As<Napi::Function>().Call(object, {Napi::String::New(env, "exit"), stop});
}

// The array's memory lives as long as its last user: JS can take its buffer away (by transferring
// it to a worker), and the addon goes on reading memory that is there.
Napi::Value Addon::shareArguments(Napi::Env env) {
  arguments_ = std::make_shared<std::array<double, kArguments>>();
  using Owner = decltype(arguments_);
  auto* owner = new Owner(arguments_);
  napi_value buffer;
  if (napi_create_external_arraybuffer(
          env, owner->get()->data(), sizeof(*arguments_),
          [](napi_env, void*, void* owner) { delete static_cast<Owner*>(owner); }, owner,
          &buffer) != napi_ok) {
    delete owner;
    throw Napi::Error::New(env);
  }
  return Napi::Float64Array::New(env, kArguments, Napi::ArrayBuffer(env, buffer), 0);
}

// The environment (also a worker thread's) closes: what runs ends, what is queued is dropped, then
// its memory goes. What ends here is delivered to nobody: the queue has closed before.
Addon::~Addon() {
  stopDevices();
  recordings_.clear();
  open_.clear();
  handles_.clear();
  devices_.clear();
}

NODE_API_NAMED_ADDON(callgrad, Addon)

}  // namespace callgrad
