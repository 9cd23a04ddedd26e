// Promises that a device settles: syncs and times.
#include "bindings/deliveries.h"

#include "bindings/addon.h"

namespace callgrad {
namespace {

// An environment that is being terminated (a worker's) refuses any of these calls: then nobody
// waits any more, and throwing here would end the whole process. So: the C interface, whose
// statuses go unused.
void settle(napi_env env, const Delivery& d) {
  napi_handle_scope scope;
  if (napi_open_handle_scope(env, &scope) != napi_ok) return;
  napi_value value = nullptr;
  if (!d.status.ok()) {
    try {
      value = makeError(env, d.where, d.status).Value();
    } catch (const Napi::Error&) {
    }
    if (value) napi_reject_deferred(env, d.deferred, value);
  } else {
    if (d.value)
      napi_get_reference_value(env, d.value, &value);
    else
      napi_get_undefined(env, &value);
    if (value) napi_resolve_deferred(env, d.deferred, value);
  }
  if (d.value) napi_delete_reference(env, d.value);
  napi_close_handle_scope(env, scope);
}

}  // namespace

std::shared_ptr<DeliveryQueue> DeliveryQueue::open(Napi::Env env) {
  auto queue = std::make_shared<DeliveryQueue>();
  auto shared = std::make_unique<Shared>(queue);
  const Napi::String name = Napi::String::New(env, "callgrad stream");
  if (napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, shared.get(), &finalize,
                                      queue.get(), &deliver, &queue->function_) != napi_ok)
    throw Napi::Error::New(env);
  shared.release();  // finalize() deletes it
  napi_unref_threadsafe_function(env, queue->function_);
  return queue;
}

void DeliveryQueue::expect(napi_env env) {
  std::lock_guard lock(mutex_);
  if (expected_++ == 0 && function_) napi_ref_threadsafe_function(env, function_);
}

void DeliveryQueue::received(napi_env env) {
  std::lock_guard lock(mutex_);
  if (--expected_ == 0 && function_) napi_unref_threadsafe_function(env, function_);
}

void DeliveryQueue::send(std::unique_ptr<Delivery> delivery) {
  std::lock_guard lock(mutex_);
  if (!function_) return;
  const napi_status sent =
      napi_call_threadsafe_function(function_, delivery.get(), napi_tsfn_nonblocking);
  if (sent == napi_ok) delivery.release();        // deliver() deletes it
  if (sent == napi_closing) function_ = nullptr;  // and with that answer our use of it has ended
}

// Without an environment a delivery that was still queued is dropped; the queue is gone by then,
// and Node may hold its lock.
void DeliveryQueue::deliver(napi_env env, napi_value, void* queue, void* delivery) {
  const std::unique_ptr<Delivery> own(static_cast<Delivery*>(delivery));
  if (!env) return;
  static_cast<DeliveryQueue*>(queue)->received(env);
  settle(env, *own);
}

// Gives up our use of the function, without which Node would keep it for ever.
void DeliveryQueue::finalize(napi_env, void* shared, void*) {
  const std::unique_ptr<Shared> own(static_cast<Shared*>(shared));
  DeliveryQueue& queue = **own;
  std::lock_guard lock(queue.mutex_);
  if (queue.function_) napi_release_threadsafe_function(queue.function_, napi_tsfn_release);
  queue.function_ = nullptr;
}

Napi::Value Addon::sync(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, numberAt(info, 0));
  refuseWhileRecording(env, "sync", *device);
  Device::Completion done;
  Napi::Value promise = promiseOf(env, env.Undefined(), "sync", &done);
  device->sync(std::move(done));
  return promise;
}

Napi::Value Addon::startTimer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, numberAt(info, 0));
  refuseWhileRecording(env, "startTimer", *device);
  device->startTimer();
  return env.Undefined();
}

// A promise of an array of one number, the microseconds.
Napi::Value Addon::stopTimer(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, numberAt(info, 0));
  refuseWhileRecording(env, "stopTimer", *device);
  Napi::Float64Array microseconds = Napi::Float64Array::New(env, 1);
  Device::Completion done;
  Napi::Value promise = promiseOf(env, microseconds, "stopTimer", &done);
  device->stopTimer(microseconds.Data(), std::move(done));
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
  deliveries_->expect(env);
  *done = [d = d.release(), deliveries = deliveries_](const Status& status) {
    d->status = status;
    deliveries->send(std::unique_ptr<Delivery>(d));
  };
  return Napi::Value(env, promise);
}

}  // namespace callgrad
