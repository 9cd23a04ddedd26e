#include "simt/memory.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <unordered_map>

namespace callgrad::simt {
namespace {

std::mutex mutex;
std::unordered_map<void*, size_t> live;
std::atomic<size_t> held{0};

}  // namespace

void* allocateGlobal(size_t bytes) {
  bytes = std::max<size_t>((bytes + 255) / 256 * 256, 256);
  void* data = std::aligned_alloc(256, bytes);
  if (!data) return nullptr;
  std::lock_guard lock(mutex);
  live[data] = bytes;
  held += bytes;
  return data;
}

void freeGlobal(void* data) {
  if (!data) return;
  {
    std::lock_guard lock(mutex);
    const auto at = live.find(data);
    if (at == live.end()) return;
    held -= at->second;
    live.erase(at);
  }
  std::free(data);
}

size_t memoryHeld() { return held; }

size_t memoryTotal() {
  size_t bytes = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  if (FILE* f = fopen("/sys/fs/cgroup/memory.max", "r")) {
    unsigned long long limit;
    if (fscanf(f, "%llu", &limit) == 1) bytes = std::min<size_t>(bytes, limit);
    fclose(f);
  }
  return bytes;
}

#ifndef CG_SIMT_CHECKED
void written(const void*, size_t) {}
#endif

}  // namespace callgrad::simt
