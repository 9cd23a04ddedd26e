// N-API glue: translates calls, owns handles and devices of one environment, holds no logic of its
// own. Its methods are in op_calls.cpp, tensors.cpp, deliveries.cpp and device_calls.cpp.
#pragma once
#include <napi.h>

#include <array>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <unordered_map>
#include <vector>

#include "bindings/deliveries.h"
#include "bindings/handles.h"
#include "core/device.h"

namespace callgrad {

// A Status as a JS error: TypeError, RangeError or Error with `code`, its text behind "[where]".
Napi::Error makeError(Napi::Env env, const std::string& where, const Status& status);

// Argument `i` as a number: NaN where JS gave something else.
double numberAt(const Napi::CallbackInfo& info, size_t i);

// Ops that were recorded, and the memory that they use.
struct Recorded {
  Device* device = nullptr;
  std::shared_ptr<Recording> recording;
  std::vector<std::shared_ptr<Storage>> storages;
};

class Addon : public Napi::Addon<Addon> {
 public:
  Addon(Napi::Env env, Napi::Object exports);
  ~Addon();

 private:
  static constexpr size_t kArguments = 256;
  static constexpr double kMaxElements = 7e13;  // 2^48 bytes and no overflow of int64 anywhere

  // Every method is called through here: nothing that C++ throws (no memory left for a table, say)
  // may reach Node, which would end the process.
  template <Napi::Value (Addon::*method)(const Napi::CallbackInfo&)>
  Napi::Value guarded(const Napi::CallbackInfo& info) {
    try {
      return (this->*method)(info);
    } catch (const Napi::Error&) {
      throw;
    } catch (const std::bad_alloc&) {
      throw makeError(info.Env(), "callgrad",
                      error(Code::kMemory, "expected host memory for the call, got none"));
    } catch (const std::exception& e) {
      throw makeError(info.Env(), "callgrad", Status(Code::kInternal, e.what()));
    }
  }
  Napi::Value shareArguments(Napi::Env env);
  void stopBeforeExit(Napi::Env env);

  // op_calls.cpp
  Napi::Value ops(const Napi::CallbackInfo& info);
  Napi::Value run(const Napi::CallbackInfo& info);
  Napi::Value runCublas(const Napi::CallbackInfo& info);
  void queueOp(const Napi::CallbackInfo& info, bool byCublas);
  Napi::Value cost(const Napi::CallbackInfo& info);
  const OpDecl& opAt(Napi::Env env, const Napi::CallbackInfo& info);
  Device* decode(Napi::Env env, const OpDecl& op, OpCall* call, double* preallocated);
  void makeOutput(Napi::Env env, const OpDecl& op, size_t i, const OutputSpec& spec, Device* device,
                  TensorView* out, double* result, std::vector<double>* made);
  void writeResult(double id, const TensorView& v, int slot);

  // tensors.cpp
  Napi::Value create(const Napi::CallbackInfo& info);
  Napi::Value view(const Napi::CallbackInfo& info);
  Napi::Value release(const Napi::CallbackInfo& info);
  Napi::Value upload(const Napi::CallbackInfo& info);
  Napi::Value read(const Napi::CallbackInfo& info);
  Handle& handleAt(Napi::Env env, const char* where, double id);
  void readSpec(Napi::Env env, const double* a, TensorView* v);
  void allocate(Napi::Env env, const char* where, Device* device, size_t bytes,
                std::shared_ptr<Storage>* storage);

  // deliveries.cpp
  Napi::Value sync(const Napi::CallbackInfo& info);
  Napi::Value startTimer(const Napi::CallbackInfo& info);
  Napi::Value stopTimer(const Napi::CallbackInfo& info);
  Napi::Value promiseOf(Napi::Env env, Napi::Value value, const char* where,
                        Device::Completion* done);

  // device_calls.cpp
  Napi::Value devices(const Napi::CallbackInfo& info);
  Napi::Value open(const Napi::CallbackInfo& info);
  Napi::Value memory(const Napi::CallbackInfo& info);
  Napi::Value resetPeak(const Napi::CallbackInfo& info);
  Napi::Value setMemoryLimit(const Napi::CallbackInfo& info);
  Napi::Value trim(const Napi::CallbackInfo& info);
  Napi::Value cublas(const Napi::CallbackInfo& info);
  Napi::Value count(const Napi::CallbackInfo& info);
  Napi::Value threads(const Napi::CallbackInfo& info);
  Napi::Value beginRecording(const Napi::CallbackInfo& info);
  Napi::Value endRecording(const Napi::CallbackInfo& info);
  Napi::Value replay(const Napi::CallbackInfo& info);
  Napi::Value releaseRecording(const Napi::CallbackInfo& info);
  void stopDevices();
  Device* deviceAt(Napi::Env env, double index);
  void refuseWhileRecording(Napi::Env env, const char* where, const Device& device);

  std::shared_ptr<std::array<double, kArguments>> arguments_;
  std::shared_ptr<DeliveryQueue> deliveries_;
  HandleTable handles_;
  std::vector<std::unique_ptr<Device>> devices_;
  // Recordings by number. At most one is open for a device: its storages collect in `open_`.
  std::unordered_map<uint64_t, Recorded> recordings_;
  std::unordered_map<const Device*, std::vector<std::shared_ptr<Storage>>> open_;
  uint64_t nextRecording_ = 1;
};

}  // namespace callgrad
