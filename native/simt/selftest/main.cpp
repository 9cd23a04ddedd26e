// simt-selftest            runs every case, a JSON line each: {"name", "expected", "error"}
// simt-selftest NAME…      those cases
#include <cstdio>
#include <cstdlib>

#include "cuda/families.h"
#include "simt/selftest/cases.h"

namespace callgrad::gpu {

extern "C" const Backend* callgrad_gpu_backend();

// No op: the cases launch their kernels themselves.
void registerKernels(KernelTable&) {}

Bench::Bench(Runtime& runtime) : runtime_(runtime) {
  gpu.runtime = &runtime;
  gpu.op = "selftest";
  if (!runtime.createStream(&gpu.stream).ok()) gpu.stream = nullptr;
}

Bench::~Bench() {
  for (void* block : blocks_) runtime_.free(block);
  if (gpu.stream) runtime_.destroyStream(gpu.stream);
}

void* Bench::make(size_t bytes, const void* values, const char* name, bool writable) {
  void* data = nullptr;
  if (!runtime_.allocate(bytes + 64, &data).ok()) return nullptr;
  blocks_.push_back(data);
  if (values && !runtime_.upload(data, values, bytes, gpu.stream).ok()) return nullptr;
  regions_.push_back({data, 1, bytes, bytes, name, writable, values == nullptr});
  return data;
}

namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + "\"";
}

int main_(int argc, char** argv) {
  std::vector<Case> cases;
  addBounds(cases);
  addRaces(cases);
  addBarriers(cases);
  addCopies(cases);
  addTwins(cases);
  addCounters(cases);
  Runtime& runtime = *callgrad_gpu_backend()->runtime;
  for (const Case& c : cases) {
    bool wanted = argc < 2;
    for (int i = 1; i < argc; i++) wanted = wanted || strcmp(argv[i], c.name) == 0;
    if (!wanted || (c.expected && !runtime.checksAccesses())) continue;
    Bench bench(runtime);
    const Status status = c.run(bench);
    printf("{\"name\":%s,\"expected\":%s,\"error\":%s}\n", quoted(c.name).c_str(),
           c.expected ? quoted(c.expected).c_str() : "null", quoted(status.message()).c_str());
    fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace callgrad::gpu

int main(int argc, char** argv) { return callgrad::gpu::main_(argc, argv); }
