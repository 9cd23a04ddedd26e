// Values in tables that do not fit (a token id, a page, a segment), found by kernels and reported
// at the next read or sync with the words that `cpu` uses. The device side is in device_errors.cuh.
//
// The first call that finds one wins; within that call the entry with the lowest index, whatever
// the order in which threads ran. Where a launch finds two kinds of fault, the kind that a thread
// found first is reported.
#pragma once
#include <cstdint>

#include "core/status.h"

namespace callgrad::gpu {

// What was expected. %L is the limit, %V the value, %I the index, %O the other number.
enum class Fault : uint8_t {
  kNone,
  kRow,             // expected row indices in [0, %L), got %V at %I
  kTokenId,         // expected token ids in [0, %L), got %V at row %I
  kTarget,          // expected targets in [0, %L), got %V at row %I
  kPosition,        // expected positions in [0, %L), got %V at row %I
  kSlot,            // expected slots in [-1, %L), got %V at %I
  kRowGroup,        // expected rowGroup in [-1, %L), got %V at %I
  kOwnLength,       // expected ownLens in [0, %L], got %V at %I
  kPrefixLength,    // expected prefixLens in [0, %L], got %V at %I
  kOwnPage,         // expected ownPages in [0, %L), got %V at [%I / %O, %I % %O]
  kPrefixPage,      // expected prefixPages in [0, %L), got %V at [%I / %O, %I % %O]
  kMissingPage,     // expected ownPages of row %I to hold a page id for token %O, got %V
  kSpan,            // expected spans inside [0, %L], got [%V, %O) at %I
  kSegmentQueries,  // expected segment %I to have query rows inside [0, %L], got [%V, %O)
  kSegmentSpans,    // expected segment %I to have spans inside [0, %L], got [%V, %O)
  kSegmentKeys,     // expected segment %I to have own keys inside [0, %L], got %V from %O (rows +
                    // causalOffset)
  kSegmentOverlap,  // expected segments whose query rows do not overlap, got row %I in two
  kLogits,          // expected logits with a finite maximum, got NaN or infinity in row %I
  kOffset,          // expected offsets that rise from 0 to %L, got %V at %I
  kCount
};

// In device memory, one per device. `owner` is 0 while all is well, else (serial of the call << 24
// | op << 8 | fault). The entry with the lowest index wins `where` and `other`, each by itself:
// both begin with the index, so that they are of one entry when the kernel has ended.
struct ErrorRecord {
  unsigned long long owner;
  unsigned long long where;  // ~(index << 32 | value), see settled()
  unsigned long long other;  // ~(index << 32 | other number)
  long long limit;
};

// A word of the record in which the lowest index wins by an atomic maximum, over 0.
constexpr unsigned long long settled(long long index, int32_t number) {
  return ~(static_cast<unsigned long long>(index) << 32 | static_cast<uint32_t>(number));
}

// What KernelContext::deviceErrors points at; kernels take it by value.
struct ErrorSlot {
  ErrorRecord* record;      // device memory
  unsigned long long call;  // serial << 24 | op << 8
};

// The record as an error, as `cpu` would have worded it; OK where there is none.
Status faultStatus(const ErrorRecord& record);

}  // namespace callgrad::gpu
