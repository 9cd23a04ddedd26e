// The paged cache of keys and values: rows in and out, and the tables that a decode step advances.
//
// kv: [pages][K|V][kvHead][slot][headDim]. A block takes one token: its threads copy the key's and
// the value's heads by 16 bytes (by elements where rows are not aligned). No value of a step comes
// from the host, so a decode step is recorded once and replayed. Blocks run in no order: the slots
// of one kvWrite must differ, and where one is out of range, some of the other tokens may have been
// written before it was found (cpu looks first and writes none). Limited by memory, and at one
// token by the launch.
#include "cuda/device_errors.cuh"
#include "cuda/families.h"
#include "cuda/rows.cuh"

namespace callgrad::gpu {
namespace {

constexpr unsigned kBlock = 256;

struct Cache {
  char* data;
  int64_t slots;  // pages * pageSize
  int32_t pageSize, heads, rowBytes;

  // Bytes of the row of `head` in `slot`; heads of values follow those of keys.
  CG_DEVICE char* row(int64_t slot, int head, bool value) const {
    const int64_t page = slot / pageSize, in = slot - page * pageSize;
    return data + (((page * 2 + (value ? 1 : 0)) * heads + head) * pageSize + in) * rowBytes;
  }
};

Cache cacheOf(const TensorView& kv) {
  return {kv.as<char>(), kv.shape[0] * kv.shape[3], int32_t(kv.shape[3]), int32_t(kv.shape[2]),
          int32_t(kv.shape[4] * int64_t(dtypeSize(kv.dtype)))};
}

template <int kBytes>
CG_DEVICE void zeroUnit(void* to) {
  if constexpr (kBytes == 16)
    st16(to, make_uint4(0, 0, 0, 0));
  else if constexpr (kBytes == 4)
    st4(to, 0);
  else
    *static_cast<uint16_t*>(to) = 0;
}

// Keys and values of the tokens as bytes.
struct Tokens {
  char *k, *v;
  int64_t kStride, vStride;  // bytes
};

template <int kBytes, bool kWrite>
__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    kvCopyKernel(Tokens t, Cache cache, const int32_t* slots, ErrorSlot errors) {
  const int64_t token = blockIdx.x;
  const int32_t slot = slots[token];
  if (slot < -1 || slot >= cache.slots) {
    if (threadIdx.x == 0) reportFault(errors, Fault::kSlot, token, slot, cache.slots);
    return;
  }
  if constexpr (kWrite) {
    if (slot < 0 || faultPending(errors)) return;
  }
  const int perRow = cache.rowBytes / kBytes, perSide = cache.heads * perRow;
  for (int i = int(threadIdx.x); i < 2 * perSide; i += int(blockDim.x)) {
    const bool value = i >= perSide;
    const int j = value ? i - perSide : i, head = j / perRow, at = (j - head * perRow) * kBytes;
    char* outside = (value ? t.v + token * t.vStride : t.k + token * t.kStride) +
                    int64_t(head) * cache.rowBytes + at;
    if constexpr (kWrite)
      moveBytes<kBytes>(cache.row(slot, head, value) + at, outside);
    else if (slot >= 0)
      moveBytes<kBytes>(outside, cache.row(slot, head, value) + at);
    else
      zeroUnit<kBytes>(outside);
  }
}

template <bool kWrite>
Status kvCopy(const char* name, const TensorView& k, const TensorView& v, const TensorView& kv,
              const TensorView& slots, KernelContext& context) {
  const int64_t size = int64_t(dtypeSize(kv.dtype)), row = kv.shape[4] * size;
  const Tokens tokens{k.as<char>(), v.as<char>(), k.rowStride * size, v.rowStride * size};
  const auto start = [&]<int kBytes>() {
    return launch(*context.gpu, name, kvCopyKernel<kBytes, kWrite>, dim3(unsigned(slots.shape[0])),
                  dim3(threadsFor(2 * kv.shape[2] * row / kBytes, kBlock)), 0, tokens, cacheOf(kv),
                  slots.as<int32_t>(), *context.deviceErrors);
  };
  const auto fits = [&](unsigned bytes) {
    return row % bytes == 0 && allWide(kv.shape[4], bytes, k, v) &&
           reinterpret_cast<uintptr_t>(kv.data) % bytes == 0;
  };
  return fits(16)  ? start.template operator()<16>()
         : fits(4) ? start.template operator()<4>()
                   : start.template operator()<2>();
}

Status kvWrite(const OpCall& c, KernelContext& context) {
  return kvCopy<true>("kvWrite", c.in[0], c.in[1], c.in[2], c.in[3], context);
}

Status kvRead(const OpCall& c, KernelContext& context) {
  return kvCopy<false>("kvRead", c.out[0], c.out[1], c.in[0], c.in[1], context);
}

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    decodeSlotsKernel(const int32_t* pages, const int32_t* lens, int64_t rows, int64_t width,
                      int64_t pageSize, int32_t* slots, ErrorSlot errors) {
  const int64_t r = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (r >= rows) return;
  const int64_t n = lens[r];
  slots[r] = -1;
  if (n == 0) return;
  if (n < 0 || n > width * pageSize) {
    reportFault(errors, Fault::kOwnLength, r, int32_t(n), width * pageSize);
    return;
  }
  const int64_t page = pages[r * width + (n - 1) / pageSize];
  const int64_t slot = page * pageSize + (n - 1) % pageSize;
  if (page < 0 || slot > 0x7fffffff)
    reportFault(errors, Fault::kMissingPage, r, int32_t(page), 0, int32_t(n - 1));
  else
    slots[r] = int32_t(slot);
}

Status decodeSlots(const OpCall& c, KernelContext& context) {
  const int64_t rows = c.in[0].shape[0];
  return launch(*context.gpu, "decodeSlots", decodeSlotsKernel,
                dim3(unsigned(ceilDiv(rows, kBlock))), dim3(kBlock), 0, c.in[0].as<int32_t>(),
                c.in[1].as<int32_t>(), rows, c.in[0].shape[1], int64_t(c.attr[0]),
                c.out[0].as<int32_t>(), *context.deviceErrors);
}

__global__ void CG_LAUNCH_BOUNDS(kBlock, 1)
    decodeAdvanceKernel(const int32_t* group, int64_t rows, int32_t* positions, int32_t* lens,
                        ErrorSlot errors) {
  const int64_t r = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (r >= rows || group[r] < 0 || faultPending(errors)) return;
  positions[r] += positions[r] < INT32_MAX;
  lens[r] += lens[r] < INT32_MAX;
}

Status decodeAdvance(const OpCall& c, KernelContext& context) {
  const int64_t rows = c.in[0].shape[0];
  return launch(*context.gpu, "decodeAdvance", decodeAdvanceKernel,
                dim3(unsigned(ceilDiv(rows, kBlock))), dim3(kBlock), 0, c.in[0].as<int32_t>(), rows,
                c.in[1].as<int32_t>(), c.in[2].as<int32_t>(), *context.deviceErrors);
}

}  // namespace

void registerKvCache(KernelTable& t) {
  t.set("kvWrite", kvWrite);
  t.set("kvRead", kvRead);
  t.set("decodeSlots", decodeSlots);
  t.set("decodeAdvance", decodeAdvance);
}

}  // namespace callgrad::gpu
