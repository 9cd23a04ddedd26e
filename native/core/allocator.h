// Caching allocator for device memory on the host side of a stream.
//
// It runs on the JS thread, in program order: a freed block may be handed out at once, because the
// stream that uses it is in order. Segments of at least 64 MiB come from the system and are cut
// into blocks; neighbours that are free merge again. Nothing is returned to the system except by
// trim(), or before giving up on a request.
#pragma once
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "core/status.h"

namespace callgrad {

struct MemoryStats {
  size_t allocated = 0;  // bytes in live blocks
  size_t peak = 0;       // highest `allocated` since resetPeak()
  size_t reserved = 0;   // bytes held from the system
  size_t limit = 0;      // requests that would take `reserved` past this fail
};

class CachingAllocator {
 public:
  struct Block;

  explicit CachingAllocator(size_t limit) { stats_.limit = limit; }
  virtual ~CachingAllocator();
  CachingAllocator(const CachingAllocator&) = delete;
  CachingAllocator& operator=(const CachingAllocator&) = delete;

  // 64-byte aligned memory of at least `bytes`; contents undefined.
  Status allocate(size_t bytes, Block** block);
  void free(Block* block);
  // Gives wholly free segments back to the system; returns the bytes released.
  size_t trim();
  const MemoryStats& stats() const { return stats_; }
  void resetPeak() { stats_.peak = stats_.allocated; }
  void setLimit(size_t bytes) { stats_.limit = bytes; }

  struct Block {
    char* data;
    size_t size;
    bool free;
    Block* previous;  // neighbours inside the segment
    Block* next;
  };

 protected:
  // Called before memory goes back to the system: queued work may still use blocks that JS has
  // freed.
  virtual void waitForUsers() {}
  // The only calls that touch the system; a device backs them by its own memory.
  // kMemory where there is none: what is cached is given back and the call made again. Any other
  // failure goes to the caller as it is.
  virtual Status systemAllocate(size_t bytes, void** data);
  virtual void systemFree(void* data, size_t bytes);
  // What the system says about its memory, for the report of a failure: "; …" or nothing.
  virtual std::string systemReport() { return ""; }
  // For tools that watch memory: `bytes` of a block were given out; the block was taken back.
  // Blocks are larger by redZone() than what was asked for.
  virtual void given(Block*, size_t /*bytes*/) {}
  virtual void taken(Block*) {}
  virtual size_t redZone() const { return 0; }
  // Frees every segment; destructors of derived classes call it while their overrides still stand.
  void releaseAll();

 private:
  struct BySize {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->data < b->data;
    }
  };
  Block* takeFree(size_t bytes);
  std::set<Block*, BySize> free_;
  std::set<Block*> segments_;  // first block of each segment
  MemoryStats stats_;
};

}  // namespace callgrad
