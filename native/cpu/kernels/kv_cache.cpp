// The paged cache on the CPU: row copies and table updates. Bandwidth-bound and small beside
// everything else.
//
// kv: [pages][K|V][kvHead][slot][headDim]: a page holds one head's keys contiguously, so a reader
// of 64 keys walks pageSize * headDim elements at a time.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "core/parallel.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

Status checkSlots(const char* op, const TensorView& slots, int64_t limit) {
  const int32_t* s = slots.as<int32_t>();
  for (int64_t t = 0; t < slots.shape[0]; t++)
    if (s[t] < -1 || s[t] >= limit)
      return error(Code::kRange, "[%s] expected slots in [-1, %ld), got %d at %ld", op, long(limit),
                   s[t], long(t));
  return {};
}

// Calls row(t, h, inCache, isValue) for every token that has a slot, cut over heads and not tokens:
// where a slot repeats, the later token is written last however many threads there are. inCache:
// offset of the head's row in bytes.
template <typename Row>
void forSlots(const TensorView& kv, const TensorView& slots, Row&& row) {
  const int64_t heads = kv.shape[2], pageSize = kv.shape[3], tokens = slots.shape[0];
  const int64_t bytes = kv.shape[4] * int64_t(dtypeSize(kv.dtype)), head = pageSize * bytes;
  parallelFor(2 * heads, std::max<int64_t>(1, 65536 / std::max<int64_t>(1, tokens * bytes)),
              [&](int64_t begin, int64_t end) {
                for (int64_t t = 0; t < tokens; t++) {
                  const int64_t slot = slots.as<int32_t>()[t];
                  const int64_t page = slot / pageSize * 2 * heads * head + slot % pageSize * bytes;
                  for (int64_t i = begin; i < end; i++)
                    row(t, i % heads, slot < 0 ? -1 : page + i * head, i >= heads);
                }
              });
}

// Row of token t, head h of a [T, H, D] tensor.
char* rowOf(const TensorView& x, int64_t t, int64_t h) {
  return x.as<char>() + (t * x.rowStride + h * x.shape[2]) * int64_t(dtypeSize(x.dtype));
}

Status kvWrite(const OpCall& c, KernelContext&) {
  const TensorView &k = c.in[0], &v = c.in[1], &kv = c.in[2], &slots = c.in[3];
  CG_RETURN_IF_ERROR(checkSlots("kvWrite", slots, kv.shape[0] * kv.shape[3]));
  const size_t bytes = size_t(k.shape[2]) * dtypeSize(k.dtype);
  forSlots(kv, slots, [&](int64_t t, int64_t h, int64_t at, bool isValue) {
    if (at >= 0) memcpy(kv.as<char>() + at, rowOf(isValue ? v : k, t, h), bytes);
  });
  return {};
}

Status kvRead(const OpCall& c, KernelContext&) {
  const TensorView &kv = c.in[0], &slots = c.in[1], &k = c.out[0], &v = c.out[1];
  CG_RETURN_IF_ERROR(checkSlots("kvRead", slots, kv.shape[0] * kv.shape[3]));
  const size_t bytes = size_t(kv.shape[4]) * dtypeSize(kv.dtype);
  forSlots(kv, slots, [&](int64_t t, int64_t h, int64_t at, bool isValue) {
    char* to = rowOf(isValue ? v : k, t, h);
    if (at >= 0)
      memcpy(to, kv.as<char>() + at, bytes);
    else
      memset(to, 0, bytes);
  });
  return {};
}

Status decodeSlots(const OpCall& c, KernelContext&) {
  const int32_t *pages = c.in[0].as<int32_t>(), *lens = c.in[1].as<int32_t>();
  const int64_t rows = c.in[0].shape[0], width = c.in[0].shape[1], pageSize = c.attrInt(0);
  int32_t* slots = c.out[0].as<int32_t>();
  for (int64_t r = 0; r < rows; r++) {
    const int64_t n = lens[r];
    if (n < 0 || n > width * pageSize)
      return error(Code::kRange, "[decodeSlots] expected ownLens in [0, %ld], got %ld at %ld",
                   long(width * pageSize), long(n), long(r));
    if (n == 0) {
      slots[r] = -1;
      continue;
    }
    const int64_t page = pages[r * width + (n - 1) / pageSize],
                  slot = page * pageSize + (n - 1) % pageSize;
    if (page < 0 || slot > 0x7fffffff)
      return error(
          Code::kRange,
          "[decodeSlots] expected ownPages of row %ld to hold a page id for token %ld, got %ld",
          long(r), long(n - 1), long(page));
    slots[r] = int32_t(slot);
  }
  return {};
}

Status decodeAdvance(const OpCall& c, KernelContext&) {
  const int32_t* group = c.in[0].as<int32_t>();
  int32_t *positions = c.in[1].as<int32_t>(), *lens = c.in[2].as<int32_t>();
  for (int64_t r = 0; r < c.in[0].shape[0]; r++) {
    if (group[r] < 0) continue;
    positions[r] += positions[r] < INT32_MAX;
    lens[r] += lens[r] < INT32_MAX;
  }
  return {};
}

}  // namespace

void registerKvCache(KernelTable& t) {
  t.set("kvWrite", kvWrite);
  t.set("kvRead", kvRead);
  t.set("decodeSlots", decodeSlots);
  t.set("decodeAdvance", decodeAdvance);
}

}  // namespace callgrad::cpu::CG_ISA
