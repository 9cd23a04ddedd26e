// Promises that a device settles: reads and syncs.
#include "bindings/addon.h"

namespace callgrad {

Napi::Value Addon::sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, numberAt(info, 0));
  refuseWhileRecording(env, "sync", *device);
  Device::Completion done;
  Napi::Value promise = promiseOf(env, env.Undefined(), "sync", &done);
  device->sync(std::move(done));
  return promise;
}

// A promise that `done` settles, from any thread: with `value`, or with the status as an error.
Napi::Value Addon::promiseOf(Napi::Env env, Napi::Value value, const char* where,
                             Device::Completion* done) {
  auto d = std::make_unique<Delivery>();
  d->where = where;
  napi_value promise;
  napi_status made = napi_create_promise(env, &d->deferred, &promise);
  if (made == napi_ok && value.IsObject()) made = napi_create_reference(env, value, 1, &d->value);
  if (made != napi_ok) throw Napi::Error::New(env);
  if (pending_++ == 0) deliver_.Ref(env);
  *done = [this, d = d.release(), deliver = deliver_](const Status& status) {
    d->status = status;
    const napi_status queued = deliver.NonBlockingCall(
        d, [this](Napi::Env env, Napi::Function, Delivery* d) { settle(env, d); });
    if (queued != napi_ok) delete d;  // the environment is closing: nobody is left to receive it
  };
  return Napi::Value(env, promise);
}

// Settles a promise. An environment that is being terminated (a worker's) refuses any of these
// calls: then nobody waits any more, and throwing here would end the whole process. So: the C
// interface, whose statuses go unused.
void Addon::settle(napi_env env, Delivery* d) {
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

}  // namespace callgrad
