#include "cuda/providers.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "cuda/device.h"

namespace callgrad {
namespace gpu {
namespace {

std::string version(int number) {
  return std::to_string(number / 1000) + "." + std::to_string(number % 1000 / 10);
}

std::string gigabytes(size_t bytes) {
  char text[32];
  snprintf(text, sizeof text, "%.1f GB", double(bytes) / 1e9);
  return text;
}

// First driver release for a major version of the runtime; NVIDIA's compatibility table.
std::string release(int runtime) {
  return runtime / 1000 == 13   ? " (release 580 or newer)"
         : runtime / 1000 == 12 ? " (release 525 or newer)"
                                : "";
}

// Why the runtime sees no device, and what to do.
std::string noDevice(Runtime& runtime, const Status& status) {
  const Versions v = runtime.versions();
  if (v.driver == 0)
    return "no NVIDIA driver was found (libcuda.so.1); install one for CUDA " + version(v.runtime) +
           release(v.runtime);
  if (v.driver / 1000 < v.runtime / 1000)
    return "the NVIDIA driver is too old: it supports CUDA " + version(v.driver) +
           " and this build needs " + version(v.runtime) + "; update the driver" +
           release(v.runtime);
  const char* visible = getenv("CUDA_VISIBLE_DEVICES");
  return status.message() + (visible ? "; CUDA_VISIBLE_DEVICES is \"" + std::string(visible) + "\""
                                     : "; nvidia-smi shows what the driver sees");
}

std::string tooOld(const Backend& backend, const Properties& p) {
  if (p.major * 10 + p.minor >= backend.oldestCapability) return "";
  return p.name + " has compute capability " + std::to_string(p.major) + "." +
         std::to_string(p.minor) + "; the kernels need " +
         std::to_string(backend.oldestCapability / 10) + "." +
         std::to_string(backend.oldestCapability % 10) + " or newer";
}

bool synchronous() {
  const char* text = getenv("CALLGRAD_CUDA_SYNC");
  return text && *text && strcmp(text, "0") != 0;
}

// "cuda:3" → 3, else -1.
int cudaIndex(const std::string& name) {
  if (name.rfind("cuda:", 0) != 0 || name.size() < 6 || name.size() > 8) return -1;
  int index = 0;
  for (size_t i = 5; i < name.size(); i++) {
    if (name[i] < '0' || name[i] > '9') return -1;
    index = index * 10 + (name[i] - '0');
  }
  return index;
}

constexpr const char* kNoCuda =
    "this build has no CUDA kernels: nvcc was not found when it was built";

}  // namespace

std::vector<DeviceInfo> listCuda(const Backend& backend) {
  Runtime& runtime = *backend.runtime;
  int count = 0;
  const Status counted = runtime.deviceCount(&count);
  if (!counted.ok() || count == 0) {
    return {{"cuda:0", false, noDevice(runtime, counted), "NVIDIA GPU", true, true}};
  }
  const Versions v = runtime.versions();
  std::vector<DeviceInfo> list;
  for (int i = 0; i < count; i++) {
    DeviceInfo info{"cuda:" + std::to_string(i), true, "", "NVIDIA GPU", true, true};
    Properties p;
    if (Status s = runtime.properties(i, &p); !s.ok()) {
      info.reason = s.message();
    } else {
      info.description = p.name + ", compute capability " + std::to_string(p.major) + "." +
                         std::to_string(p.minor) + ", " + gigabytes(p.memoryBytes) + ", CUDA " +
                         version(v.runtime) + " on a driver for " + version(v.driver);
      info.pciBusId = p.pciBusId;
      info.reason = tooOld(backend, p);
    }
    info.available = info.reason.empty();
    list.push_back(std::move(info));
  }
  return list;
}

Status openCuda(const Backend& backend, const std::string& name, std::unique_ptr<Device>* device) {
  for (const DeviceInfo& info : listCuda(backend)) {
    if (info.name != name) continue;
    if (!info.available)
      return error(Code::kDevice, "%s is not available: %s", name.c_str(), info.reason.c_str());
    return openGpu(backend, {name, cudaIndex(name), synchronous(), true}, device);
  }
  return error(Code::kDevice, "expected one of the devices that devices() lists, got \"%.100s\"",
               name.c_str());
}

// simt: the same kernels in a library of their own beside the addon
// --------------------------------

namespace {

std::string besideThisLibrary(const char* file) {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&besideThisLibrary), &info) || !info.dli_fname) return file;
  std::string path = info.dli_fname;
  const size_t slash = path.rfind('/');
  return (slash == std::string::npos ? "" : path.substr(0, slash + 1)) + file;
}

bool wantsChecked() {
  const char* kind = getenv("CALLGRAD_SIMT");
  return kind && strcmp(kind, "checked") == 0;
}

std::string simtPath() {
  return besideThisLibrary(wantsChecked() ? "callgrad_simt_checked.so" : "callgrad_simt.so");
}

// Opened once in a process and never closed: its kernels' code may still be on a worker's stack.
Status simtBackend(const Backend** backend) {
  static std::mutex mutex;
  static const Backend* opened = nullptr;
  std::lock_guard lock(mutex);
  if (!opened) {
    const std::string path = simtPath();
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!library) return error(Code::kDevice, "cannot open %s: %s", path.c_str(), dlerror());
    using Entry = const Backend* (*)();
    auto entry = reinterpret_cast<Entry>(dlsym(library, "callgrad_gpu_backend"));
    const Backend* found = entry ? entry() : nullptr;
    if (!found || found->abi != kBackendAbi)
      return error(Code::kDevice, "%s was built from another version; build it again",
                   path.c_str());
    opened = found;
  }
  *backend = opened;
  return {};
}

std::vector<DeviceInfo> listSimt() {
  const std::string path = simtPath();
  const bool there = access(path.c_str(), R_OK) == 0;
  return {{"simt", there, there ? "" : "this build has no " + path,
           std::string("the CUDA kernels on the CPU, for tests and counters") +
               (wantsChecked() ? ", with all checks" : ""),
           false, true}};
}

}  // namespace
}  // namespace gpu

DeviceProvider cudaDevices() {
  using namespace gpu;
  return {[] {
            if (cudaBackend) return listCuda(*cudaBackend());
            return std::vector<DeviceInfo>{{"cuda:0", false, kNoCuda, "NVIDIA GPU", true, true}};
          },
          [](const std::string& name) { return cudaIndex(name) >= 0; },
          [](const std::string& name, std::unique_ptr<Device>* device) -> Status {
            if (!cudaBackend) return error(Code::kDevice, "%s", kNoCuda);
            return openCuda(*cudaBackend(), name, device);
          }};
}

DeviceProvider simtDevices() {
  using namespace gpu;
  return {listSimt, [](const std::string& name) { return name == "simt"; },
          [](const std::string&, std::unique_ptr<Device>* device) -> Status {
            const Backend* backend = nullptr;
            CG_RETURN_IF_ERROR(simtBackend(&backend));
            return openGpu(*backend, {"simt", 0, false, false}, device);
          }};
}

}  // namespace callgrad
