// The way back to JavaScript: what a device's stream has finished settles promises on the JS
// thread.
#pragma once
#include <napi.h>

#include <memory>
#include <mutex>

#include "core/status.h"

namespace callgrad {

// Result of a read or a sync on its way from the worker to JS.
struct Delivery {
  napi_deferred deferred = nullptr;
  napi_ref value = nullptr;  // the array that the device filled; none for a sync
  const char* where = "";
  Status status;
};

// A thread-safe function of Node's, as long as there is one: Node finalizes it when the environment
// closes, before the addon's own destructor and while streams may still finish work. From then on
// nothing may touch it (its memory goes, and Node 24 ends the environment under its lock), so its
// finalizer tells this object, which the completions of all streams share.
class DeliveryQueue {
 public:
  // Throws Napi::Error where Node refuses.
  static std::shared_ptr<DeliveryQueue> open(Napi::Env env);

  // On the JS thread: one more delivery will come, and the event loop stays alive for it.
  void expect(napi_env env);
  // From any thread: settles the delivery's promise, or drops it where the environment closes.
  void send(std::unique_ptr<Delivery> delivery);

 private:
  using Shared = std::shared_ptr<DeliveryQueue>;
  static void deliver(napi_env env, napi_value, void* queue, void* delivery);
  static void finalize(napi_env env, void* shared, void*);
  void received(napi_env env);

  std::mutex mutex_;
  napi_threadsafe_function function_ = nullptr;  // null once it must not be touched any more
  int expected_ = 0;                             // of the JS thread alone
};

}  // namespace callgrad
