#include "core/allocator.h"

#include <sys/mman.h>

namespace callgrad {
namespace {
constexpr size_t kAlign = 64;
constexpr size_t kSegment = size_t(64) << 20;
constexpr size_t kHugePage = size_t(2) << 20;
constexpr size_t kMaxRequest = size_t(1) << 46;
size_t roundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }
}  // namespace

Status CachingAllocator::systemAllocate(size_t bytes, void** data) {
  void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (p == MAP_FAILED) return Status(Code::kMemory, "");
  madvise(p, bytes,
          MADV_HUGEPAGE);  // weights and activations are read in long runs: fewer TLB misses
  *data = p;
  return {};
}

void CachingAllocator::systemFree(void* data, size_t bytes) { munmap(data, bytes); }

CachingAllocator::~CachingAllocator() { releaseAll(); }

void CachingAllocator::releaseAll() {
  for (Block* first : segments_) {
    size_t bytes = 0;
    char* data = first->data;
    for (Block* b = first; b;) {
      Block* next = b->next;
      bytes += b->size;
      delete b;
      b = next;
    }
    systemFree(data, bytes);
  }
  segments_.clear();
  free_.clear();
}

CachingAllocator::Block* CachingAllocator::takeFree(size_t bytes) {
  Block probe{nullptr, bytes, true, nullptr, nullptr};
  auto it = free_.lower_bound(&probe);
  if (it == free_.end()) return nullptr;
  Block* b = *it;
  free_.erase(it);
  return b;
}

Status CachingAllocator::allocate(size_t bytes, Block** out) {
  if (bytes > kMaxRequest)
    return error(Code::kMemory, "expected a tensor of at most 64 TiB, got %zu bytes", bytes);
  const size_t wanted = bytes;
  bytes = roundUp(bytes + redZone() ? bytes + redZone() : 1, kAlign);
  Block* b = takeFree(bytes);
  if (!b) {
    const size_t segment = bytes >= kSegment / 4 ? roundUp(bytes, kHugePage) : kSegment;
    if (stats_.reserved + segment > stats_.limit) trim();
    const bool allowed = stats_.reserved + segment <= stats_.limit;
    void* data = nullptr;
    Status got = allowed ? systemAllocate(segment, &data) : Status(Code::kMemory, "");
    if (allowed && got.code() == Code::kMemory && trim() > 0) got = systemAllocate(segment, &data);
    if (!got.ok() && got.code() != Code::kMemory) return got;
    if (!got.ok())
      return error(Code::kMemory,
                   "out of memory: %zu bytes wanted, %zu in use by tensors (peak %zu), %zu held, "
                   "limit %zu%s; smaller micro-batches, shorter sequences or activation "
                   "checkpointing need less",
                   bytes, stats_.allocated, stats_.peak, stats_.reserved, stats_.limit,
                   systemReport().c_str());
    stats_.reserved += segment;
    b = new Block{static_cast<char*>(data), segment, true, nullptr, nullptr};
    segments_.insert(b);
  }
  if (b->size - bytes >= kAlign) {
    Block* rest = new Block{b->data + bytes, b->size - bytes, true, b, b->next};
    if (b->next) b->next->previous = rest;
    b->next = rest;
    b->size = bytes;
    free_.insert(rest);
  }
  b->free = false;
  stats_.allocated += b->size;
  if (stats_.allocated > stats_.peak) stats_.peak = stats_.allocated;
  given(b, wanted);
  *out = b;
  return {};
}

void CachingAllocator::free(Block* b) {
  taken(b);
  stats_.allocated -= b->size;
  b->free = true;
  if (Block* n = b->next; n && n->free) {
    free_.erase(n);
    b->size += n->size;
    b->next = n->next;
    if (n->next) n->next->previous = b;
    delete n;
  }
  if (Block* p = b->previous; p && p->free) {
    free_.erase(p);
    p->size += b->size;
    p->next = b->next;
    if (b->next) b->next->previous = p;
    delete b;
    b = p;
  }
  free_.insert(b);
}

size_t CachingAllocator::trim() {
  size_t released = 0;
  waitForUsers();
  for (auto it = segments_.begin(); it != segments_.end();) {
    Block* b = *it;
    if (b->free && !b->next) {
      free_.erase(b);
      systemFree(b->data, b->size);
      released += b->size;
      delete b;
      it = segments_.erase(it);
    } else {
      ++it;
    }
  }
  stats_.reserved -= released;
  return released;
}

}  // namespace callgrad
