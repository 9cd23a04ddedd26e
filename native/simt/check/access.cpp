#include "simt/check/access.h"

#include <link.h>

#include <cstring>

#include "simt/check/counters.h"
#include "simt/twins.h"

namespace callgrad::simt {
namespace {

// Constant tables of the kernels' own code, and the arguments of a launch.
struct Image {
  uintptr_t begin = 0, end = 0;
};
const Image& image() {
  static const Image value = [] {
    Image found;
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void* data) {
          auto* image = static_cast<Image*>(data);
          const uintptr_t here = reinterpret_cast<uintptr_t>(&checkAccess);
          uintptr_t begin = ~uintptr_t(0), end = 0;
          for (int i = 0; i < info->dlpi_phnum; i++) {
            if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
            const uintptr_t from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            const uintptr_t to = from + info->dlpi_phdr[i].p_memsz;
            begin = from < begin ? from : begin;
            end = to > end ? to : end;
          }
          if (here < begin || here >= end) return 0;
          *image = {begin, end};
          return 1;
        },
        &found);
    return found;
  }();
  return value;
}

bool ours(const Executor& e, uintptr_t p) {
  const uintptr_t self = reinterpret_cast<uintptr_t>(&e);
  if (p - self < sizeof(Executor)) return true;
  const uintptr_t packed = reinterpret_cast<uintptr_t>(e.launch->packed);
  if (p - packed < e.launch->packedBytes) return true;
  return p >= image().begin && p < image().end;
}

const char* verb(AccessKind kind) {
  return kind == AccessKind::kWrite    ? "write"
         : kind == AccessKind::kAtomic ? "atomic access"
                                       : "read";
}

std::string sized(size_t bytes, AccessKind kind) {
  return std::string(verb(kind)) + " of " + std::to_string(bytes) + " bytes";
}

// Whether a shared access lies in one variable.
bool insideShared(const Executor& e, size_t offset, size_t bytes) {
  if (offset + bytes <= e.launch->sharedBytes) return true;
  for (const auto& v : e.statics())
    if (offset >= v.offset && offset + bytes <= v.offset + v.site->bytes) return true;
  return false;
}

std::string outsideShared(Executor& e, size_t offset) {
  std::string name = "dynamic shared memory of " + std::to_string(e.launch->sharedBytes) + " bytes";
  size_t end = e.launch->sharedBytes;
  for (const auto& v : e.statics()) {
    if (v.offset > offset) continue;
    name =
        "shared " + std::string(v.site->name) + " of " + std::to_string(v.site->bytes) + " bytes";
    end = v.offset + v.site->bytes;
  }
  return std::to_string(offset >= end ? offset - end : 0) + " bytes past the end of " + name;
}

}  // namespace

void checkAligned(const void* p, size_t bytes, const void* place) {
  if (reinterpret_cast<uintptr_t>(p) % bytes == 0) return;
  executor().fail("misaligned access of " + std::to_string(bytes) + " bytes, " +
                      std::to_string(reinterpret_cast<uintptr_t>(p) % bytes) +
                      " past a multiple of its width",
                  place);
}

void checkAccess(const void* address, size_t bytes, AccessKind kind, const void* place,
                 bool counted) {
  const uintptr_t p = reinterpret_cast<uintptr_t>(address);
  Executor& e = executor();
  if (e.stacks_.contains(address)) return;
  const size_t offset = p - reinterpret_cast<uintptr_t>(e.shared());
  Segment* segment;
  if (offset < Executor::kSharedBytes + Executor::kSharedSlack) {
    if (!insideShared(e, offset, bytes))
      e.fail("out of bounds: " + sized(bytes, kind) + " " + outsideShared(e, offset), place);
    segment = &sharedSegment();
  } else {
    const Range* range = rangeOf(p, bytes);
    if (!range) {
      if (ours(e, p) && !writes(kind)) return;
      e.fail("out of bounds: " + sized(bytes, kind) + " " + describe(p, bytes), place);
    }
    if (writes(kind) && !range->writable) e.fail("write to the input " + describeInside(p), place);
    segment = range->segment;
  }
  uint8_t* state = segment->state + (p - segment->begin);
  if (kind != AccessKind::kWrite) {
    for (size_t i = 0; i < bytes; i++) {
      if (state[i] == kWritten) continue;
      const bool shared = segment == &sharedSegment();
      const std::string where = shared ? describeShared(e, p + i) : describeInside(p + i);
      if (state[i] == kInFlight) e.fail("read of cp.async data before its wait: " + where, place);
      e.fail("read of memory that nobody wrote: " + where, place);
    }
  }
  // Which of the two would stay is anybody's guess; `counted` is false where the copy itself lands.
  if (kind == AccessKind::kWrite && counted && memchr(state, kInFlight, bytes))
    e.fail("write to where a cp.async may still land: " + describeShared(e, p), place);
  record(*segment, p, bytes, kind, place);
  if (writes(kind)) memset(state, kWritten, bytes);
  if (counted && counting()) count(*segment, p, bytes, kind, place);
}

void markWritten(const void* address, size_t bytes) {
  const uintptr_t p = reinterpret_cast<uintptr_t>(address);
  Segment* s = &sharedSegment();
  if (!s->contains(p, bytes)) {
    const Range* range = rangeOf(p, bytes);
    if (!range) return;
    s = range->segment;
  }
  memset(s->state + (p - s->begin), kWritten, bytes);
}

// ---- what the engine and the twins call ------------------------------------------------------

void loadChecked(void* to, const void* from, unsigned bytes) {
  const void* place = __builtin_return_address(0);
  checkAligned(from, bytes, place);
  checkAccess(from, bytes, AccessKind::kRead, place);
  memcpy(to, from, bytes);
}

void storeChecked(void* to, const void* from, unsigned bytes) {
  const void* place = __builtin_return_address(0);
  checkAligned(to, bytes, place);
  checkAccess(to, bytes, AccessKind::kWrite, place);
  memcpy(to, from, bytes);
}

void checkMatrixRow(const void* p, const void* place) {
  Executor& e = executor();
  if (reinterpret_cast<uintptr_t>(p) - reinterpret_cast<uintptr_t>(e.shared()) >=
      Executor::kSharedBytes)
    e.fail("ldmatrix of an address that is not in shared memory", place);
  checkAligned(p, 16, place);
  checkAccess(p, 16, AccessKind::kRead, place);
}

void fence(bool device) { fenceMade(device); }

}  // namespace callgrad::simt
