#include "simt/check/shadow.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <mutex>

#include "simt/memory.h"

namespace callgrad::simt {
namespace {

// Segments stay where they are in memory; one that is gone has no bytes. JS allocates while the
// worker runs kernels.
std::mutex mutex;
std::deque<Segment> segments;
std::atomic<size_t> held{0};
// Each device's worker has those of the op that it runs.
thread_local Ranges ranges;
thread_local size_t lastRange = 0;

void* mapZero(size_t bytes) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return p == MAP_FAILED ? nullptr : p;
}

size_t sectors(size_t bytes) { return bytes / 32 + 2; }

}  // namespace

bool mapSegment(Segment& s, uintptr_t begin, size_t bytes) {
  s.cells = static_cast<Cell*>(mapZero((bytes / kGranule + 1) * sizeof(Cell)));
  s.state = static_cast<uint8_t*>(mapZero(bytes));
  s.readBy = static_cast<uint32_t*>(mapZero(sectors(bytes) * 4));
  s.writtenBy = static_cast<uint32_t*>(mapZero(sectors(bytes) * 4));
  s.begin = begin;
  s.bytes = bytes;
  if (s.cells && s.state && s.readBy && s.writtenBy) return true;
  unmapSegment(s);
  return false;
}

void unmapSegment(Segment& s) {
  if (s.cells) munmap(s.cells, (s.bytes / kGranule + 1) * sizeof(Cell));
  if (s.state) munmap(s.state, s.bytes);
  if (s.readBy) munmap(s.readBy, sectors(s.bytes) * 4);
  if (s.writtenBy) munmap(s.writtenBy, sectors(s.bytes) * 4);
  s = Segment{};
}

void* allocateGlobal(size_t bytes) {
  bytes = std::max<size_t>((bytes + 4095) / 4096 * 4096, 4096);
  void* data = mapZero(bytes);
  if (!data) return nullptr;
  Segment s;
  if (!mapSegment(s, reinterpret_cast<uintptr_t>(data), bytes)) {
    munmap(data, bytes);
    return nullptr;
  }
  std::lock_guard lock(mutex);
  held += bytes;
  for (Segment& old : segments) {
    if (old.bytes == 0) {
      old = s;
      return data;
    }
  }
  segments.push_back(s);
  return data;
}

void freeGlobal(void* data) {
  if (!data) return;
  std::lock_guard lock(mutex);
  for (Segment& s : segments) {
    if (s.bytes == 0 || s.begin != reinterpret_cast<uintptr_t>(data)) continue;
    held -= s.bytes;
    const size_t bytes = s.bytes;
    unmapSegment(s);
    munmap(data, bytes);
    return;
  }
}

size_t memoryHeld() { return held; }

Segment* segmentOf(uintptr_t p) {
  std::lock_guard lock(mutex);
  for (Segment& s : segments)
    if (p - s.begin < s.bytes) return &s;
  return nullptr;
}

void forgetHistory() {
  std::lock_guard lock(mutex);
  for (Segment& s : segments)
    if (s.bytes) madvise(s.cells, (s.bytes / kGranule + 1) * sizeof(Cell), MADV_DONTNEED);
}

void written(const void* data, size_t bytes) {
  const uintptr_t p = reinterpret_cast<uintptr_t>(data);
  Segment* s = segmentOf(p);
  if (s && s->contains(p, bytes)) memset(s->state + (p - s->begin), kWritten, bytes);
}

static void addRange(const gpu::Region& r) {
  const uintptr_t begin = reinterpret_cast<uintptr_t>(r.data);
  if (r.rows == 0 || r.width == 0) return;
  Segment* s = segmentOf(begin);
  if (!s) return;
  const bool dense = r.rows <= 1 || r.stride == r.width;
  const size_t bytes = dense ? r.rows * r.width : (r.rows - 1) * r.stride + r.width;
  if (r.undefined)
    for (size_t i = 0; i < (dense ? 1 : r.rows); i++)
      memset(s->state + (begin - s->begin) + i * r.stride, kUnwritten, dense ? bytes : r.width);
  ranges.push_back(
      {begin, bytes, r.width, dense ? 0 : r.stride, r.writable, r.name ? r.name : "", s});
}

bool checksAccesses() { return true; }

void setRegions(const gpu::Region* regions, size_t count, bool begins) {
  if (begins) ranges.clear();
  lastRange = 0;
  for (size_t i = 0; i < count; i++) addRange(regions[i]);
}

const Range* rangeOf(uintptr_t p, size_t n) {
  if (lastRange < ranges.size() && ranges[lastRange].contains(p, n)) return &ranges[lastRange];
  const Range* found = nullptr;
  for (size_t i = 0; i < ranges.size(); i++) {
    if (!ranges[i].contains(p, n)) continue;
    // The same memory may be an input and an output: what may be written counts.
    if (!found || ranges[i].writable) {
      found = &ranges[i];
      lastRange = i;
    }
  }
  if (found || !ranges.empty()) return found;
  // No op has said what it touches: memory from the runtime, as a whole.
  static thread_local Range whole;
  Segment* s = segmentOf(p);
  if (!s || !s->contains(p, n)) return nullptr;
  whole = {s->begin, s->bytes, s->bytes, 0, true, "", s};
  return &whole;
}

std::string describeInside(uintptr_t p) {
  for (const Range& r : ranges)
    if (r.contains(p, 1))
      return (r.name.empty() ? "device memory" : r.name) + " + " + std::to_string(p - r.begin) +
             " bytes";
  return "device memory";
}

std::string describe(uintptr_t p, size_t n) {
  const Range* nearest = nullptr;
  size_t distance = size_t(-1);
  bool after = false;
  for (const Range& r : ranges) {
    if (p - r.begin < r.bytes && r.stride) {
      const size_t in = (p - r.begin) % r.stride;
      return "between the rows of " + r.name + ", " +
             std::to_string(in >= r.width ? in - r.width : 0) + " bytes past row " +
             std::to_string((p - r.begin) / r.stride);
    }
    const bool behind = p >= r.begin;
    const size_t end = r.begin + r.bytes;
    const size_t away = behind ? (p >= end ? p - end : 0) : r.begin - p;
    if (away < distance) {
      distance = away;
      nearest = &r;
      after = behind;
    }
  }
  if (!nearest || distance > (size_t(1) << 30)) {
    char text[64];
    snprintf(text, sizeof text, "address 0x%zx, in no memory of the op", size_t(p));
    return text;
  }
  const std::string name = nearest->name.empty() ? "device memory" : nearest->name;
  if (distance == 0 && p + n > nearest->begin + nearest->bytes &&
      p < nearest->begin + nearest->bytes)
    return "across the end of " + name;
  return std::to_string(distance) + " bytes " + (after ? "past the end of " : "before ") + name;
}

}  // namespace callgrad::simt
