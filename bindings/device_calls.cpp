// Devices: listing and opening them, their memory, and recordings of ops on them.
#include <algorithm>
#include <cmath>

#include "bindings/addon.h"
#include "core/parallel.h"

namespace callgrad {

// devices(name?): all of them, or those of the named one's kind: asking for "cpu" wakes no driver.
Napi::Value Addon::devices(const Napi::CallbackInfo& info) {
  Napi::Array list = Napi::Array::New(info.Env());
  initParallel();
  const std::string only =
      info.Length() > 0 && info[0].IsString() ? std::string(info[0].As<Napi::String>()) : "";
  for (const DeviceInfo& d : listDevices(only)) {
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("name", d.name);
    o.Set("available", d.available);
    if (!d.reason.empty()) o.Set("reason", d.reason);
    o.Set("description", d.description);
    o.Set("bf16", d.bf16);
    o.Set("replays", d.replays);
    o.Set("packedWeights", d.packed);
    if (!d.pciBusId.empty()) o.Set("pciBusId", d.pciBusId);
    list.Set(list.Length(), o);
  }
  return list;
}

Device* Addon::deviceAt(Napi::Env env, double index) {
  if (!(index >= 0 && index < double(devices_.size())) || index != std::floor(index))
    throw makeError(env, "device",
                    error(Code::kType, "expected a device from device(), got %g", index));
  return devices_[size_t(index)].get();
}

Napi::Value Addon::open(const Napi::CallbackInfo& info) {
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

Napi::Value Addon::memory(const Napi::CallbackInfo& info) {
  Device* device = deviceAt(info.Env(), numberAt(info, 0));
  const MemoryStats& s = device->allocator().stats();
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("allocated", double(s.allocated));
  o.Set("peak", double(s.peak));
  o.Set("reserved", double(s.reserved));
  o.Set("limit", double(s.limit));
  o.Set("scratch", double(device->scratchHeld()));
  o.Set("tensors", double(handles_.live()));
  return o;
}

Napi::Value Addon::resetPeak(const Napi::CallbackInfo& info) {
  deviceAt(info.Env(), numberAt(info, 0))->allocator().resetPeak();
  return info.Env().Undefined();
}

Napi::Value Addon::setMemoryLimit(const Napi::CallbackInfo& info) {
  const double bytes = numberAt(info, 1);
  if (!(bytes >= 0))
    throw makeError(info.Env(), "device",
                    error(Code::kRange, "expected a limit in bytes, got %g", bytes));
  // a limit beyond any machine is none; as a double it would not fit size_t
  const size_t limit = bytes < 0x1p62 ? size_t(bytes) : size_t(1) << 62;
  deviceAt(info.Env(), numberAt(info, 0))->allocator().setLimit(limit);
  return info.Env().Undefined();
}

// count(device, start) → the counts of each kernel since the last call, see core/kernel_counts.h.
Napi::Value Addon::count(const Napi::CallbackInfo& info) {
  Device* device = deviceAt(info.Env(), numberAt(info, 0));
  const bool start = info.Length() > 1 && info[1].IsBoolean() && info[1].As<Napi::Boolean>();
  device->drain();
  Napi::Array list = Napi::Array::New(info.Env());
  for (const KernelCounts& k : device->count(start)) {
    Napi::Object o = Napi::Object::New(info.Env());
    o.Set("kernel", k.kernel);
    const std::pair<const char*, uint64_t> figures[] = {{"launches", k.launches},
                                                        {"blocks", k.blocks},
                                                        {"threads", k.threads},
                                                        {"barriers", k.barriers},
                                                        {"warpBarriers", k.warpBarriers},
                                                        {"mma", k.mma},
                                                        {"fma", k.fma},
                                                        {"readSectors", k.readSectors},
                                                        {"writeSectors", k.writeSectors},
                                                        {"leastSectors", k.leastSectors},
                                                        {"readUnique", k.readUnique},
                                                        {"writeUnique", k.writeUnique},
                                                        {"sharedWaves", k.sharedWaves},
                                                        {"sharedLeast", k.sharedLeast},
                                                        {"uncertain", k.uncertain}};
    for (const auto& [name, value] : figures) o.Set(name, double(value));
    list.Set(list.Length(), o);
  }
  return list;
}

// cublas(device) → { name } or { reason }: whether benchmarks can compare with it there.
Napi::Value Addon::cublas(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  std::string name;
  const Status status = deviceAt(info.Env(), numberAt(info, 0))->cublas(&name);
  if (status.ok())
    o.Set("name", name);
  else
    o.Set("reason", status.message());
  return o;
}

Napi::Value Addon::trim(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(),
                           double(deviceAt(info.Env(), numberAt(info, 0))->allocator().trim()));
}

Napi::Value Addon::threads(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), threadCount());
}

// Drops what is queued and waits for what runs, on all devices; nothing runs on them afterwards.
void Addon::stopDevices() {
  for (auto& device : devices_) device->abandon();
  for (auto& device : devices_) device->drain();
}

void Addon::refuseWhileRecording(Napi::Env env, const char* where, const Device& device) {
  if (device.recording())
    throw makeError(
        env, where,
        error(Code::kDevice, "expected only ops while device %s records", device.name()));
}

Napi::Value Addon::beginRecording(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, numberAt(info, 0));
  refuseWhileRecording(env, "record", *device);
  if (Status s = device->beginRecording(); !s.ok()) throw makeError(env, "record", s);
  open_[device].clear();
  return env.Undefined();
}

// Ends the recording that beginRecording() began; returns its number. The memory that its ops use
// lives until releaseRecording(), whatever happens to the tensors.
Napi::Value Addon::endRecording(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device* device = deviceAt(env, numberAt(info, 0));
  if (!device->recording())
    throw makeError(env, "record", error(Code::kDevice, "expected a recording that has begun"));
  Recorded recorded{device, device->endRecording(), std::move(open_[device])};
  open_.erase(device);
  std::sort(recorded.storages.begin(), recorded.storages.end());
  recorded.storages.erase(std::unique(recorded.storages.begin(), recorded.storages.end()),
                          recorded.storages.end());
  recordings_.emplace(nextRecording_, std::move(recorded));
  return Napi::Number::New(env, double(nextRecording_++));
}

Napi::Value Addon::replay(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const double id = numberAt(info, 0);
  const auto found =
      id >= 1 && id < double(nextRecording_) ? recordings_.find(uint64_t(id)) : recordings_.end();
  if (found == recordings_.end())
    throw makeError(env, "replay",
                    error(Code::kDisposed, "expected a live recording, got one that was released"));
  Recorded& recorded = found->second;
  refuseWhileRecording(env, "replay", *recorded.device);
  recorded.device->replay(recorded.recording);
  return env.Undefined();
}

Napi::Value Addon::releaseRecording(const Napi::CallbackInfo& info) {
  const double id = numberAt(info, 0);
  const bool live = id >= 1 && id < double(nextRecording_) && recordings_.erase(uint64_t(id)) > 0;
  return Napi::Boolean::New(info.Env(), live);
}

}  // namespace callgrad
