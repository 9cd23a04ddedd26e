// The shadow of device memory: who touched which two bytes last, and which bytes were written.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "cuda/runtime.h"

namespace callgrad::simt {

inline constexpr uintptr_t kGranule = 2;  // bytes of one cell: the smallest element that is written

// `read` has a kind in its upper two bits, `write` a flag in its top bit; the rest is a context.
struct Cell {
  uint32_t write, writePlace, read, readPlace;
};
inline constexpr uint32_t kContextBits = 30, kContextMask = (1u << kContextBits) - 1;
inline constexpr uint32_t kAtomicFlag = 1u << 31;
enum ReadKind : uint32_t { kOneThread = 0, kOneWarp = 1, kOneBlock = 2, kManyBlocks = 3 };

enum State : uint8_t { kUnwritten = 0, kWritten = 1, kInFlight = 2 };

// Memory that came from the runtime in one piece, or the shared memory of a block.
struct Segment {
  uintptr_t begin = 0;
  size_t bytes = 0;
  Cell* cells = nullptr;
  uint8_t* state = nullptr;       // one for each byte
  uint32_t* readBy = nullptr;     // launch that read a sector of 32 bytes last
  uint32_t* writtenBy = nullptr;  // likewise
  bool contains(uintptr_t p, size_t n) const {
    return p - begin < bytes && n <= bytes - (p - begin);
  }
};

bool mapSegment(Segment& s, uintptr_t begin, size_t bytes);
void unmapSegment(Segment& s);

// A part of a segment that the running op may touch.
struct Range {
  uintptr_t begin;
  size_t bytes;          // from the first to the last byte
  size_t width, stride;  // rows; stride 0: dense
  bool writable;
  std::string name;
  Segment* segment;
  bool contains(uintptr_t p, size_t n) const {
    if (p - begin >= bytes || n > bytes - (p - begin)) return false;
    return stride == 0 || (p - begin) % stride + n <= width;
  }
};

Segment* segmentOf(uintptr_t p);
// What the running op may touch; null where there is none such.
const Range* rangeOf(uintptr_t p, size_t n);
// The range nearest to an address, in words: "8 bytes past the end of x".
std::string describe(uintptr_t p, size_t n);
std::string describeInside(uintptr_t p);
void forgetHistory();  // of all segments

using Ranges = std::vector<Range>;

}  // namespace callgrad::simt
