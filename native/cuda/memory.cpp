#include "cuda/memory.h"

#include <algorithm>

namespace callgrad::gpu {
namespace {
constexpr size_t kAlign = 256;
constexpr size_t kFirstChunk = size_t(16) << 20;
}  // namespace

Status GpuAllocator::systemAllocate(size_t bytes, void** data) {
  Status status = runtime_.use(device_);
  if (status.ok()) status = runtime_.allocate(bytes, data);
  return status.ok() || status.code() == Code::kMemory ? status : explain_(status);
}

void GpuAllocator::systemFree(void* data, size_t) {
  if (runtime_.use(device_).ok()) runtime_.free(data);
}

std::string GpuAllocator::systemReport() {
  size_t free = 0, total = 0;
  if (!runtime_.use(device_).ok() || !runtime_.memoryInfo(&free, &total).ok()) return "";
  return "; the device has " + std::to_string(free) + " of " + std::to_string(total) +
         " bytes free";
}

GpuScratch::~GpuScratch() {
  for (Chunk& c : chunks_) runtime_.free(c.data);
}

void* GpuScratch::get(size_t bytes) {
  void* data = take(bytes);
  if (reported_) runtime_.addRegion({data, 1, bytes, bytes, "scratch", true, true}, reported_);
  return data;
}

void* GpuScratch::take(size_t bytes) {
  bytes = std::max(kAlign, (bytes + kAlign - 1) / kAlign * kAlign);
  for (Chunk& c : chunks_) {
    if (c.size - c.used < bytes) continue;
    char* p = c.data + c.used;
    c.used += bytes;
    return p;
  }
  // At least as much as is held already: a growing need costs few chunks, and at most twice itself.
  const size_t size = std::max({bytes, kFirstChunk, held_.load()});
  void* data = nullptr;
  if (!runtime_.allocate(size, &data).ok()) {
    if (Status s = runtime_.allocate(bytes, &data); !s.ok()) {
      if (s.code() != Code::kMemory) throw ScratchError(s);
      throw ScratchError(error(Code::kMemory,
                               "out of device memory for %zu bytes of a kernel's scratch space; a "
                               "lower memory limit of the device leaves room (%s)",
                               bytes, s.message().c_str()));
    }
    chunks_.push_back({static_cast<char*>(data), bytes, bytes});
    held_ += bytes;
    return data;
  }
  chunks_.push_back({static_cast<char*>(data), size, bytes});
  held_ += size;
  return data;
}

void GpuScratch::reset() {
  for (Chunk& c : chunks_) c.used = 0;
}

}  // namespace callgrad::gpu
