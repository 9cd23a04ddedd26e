// One decode step of attention over paged keys and values, with prefixes shared by groups.
//
// q, out: [B, Hq, D]; kv: [pages, 2, Hkv, pageSize, D]. Keys are cut into parts of kPart, so that
// long contexts fill the device at small batches; each part leaves a row's partial maximum, sum and
// values in scratch, and a last launch merges them in order. A part of a prefix is one block's work
// for up to kRows / group adjacent rows of the group: its pages are read once for all of them and
// folded into one tile (tensor cores, for bf16). A part of own keys is a block's for one row.
//
// Traffic: each prefix once for every kRows / group rows of its group, own keys once; partials are
// (D + 2) floats a row and part, under 2 % of the keys of a part. Limited by memory.
#include <cmath>

#include "cuda/attention_core.cuh"
#include "cuda/device_errors.cuh"
#include "cuda/families.h"

namespace callgrad::gpu {
namespace {

constexpr int kPart = 512;

struct DecodeTables {
  const int32_t *rowGroup, *prefixPages, *prefixLens, *ownPages, *ownLens;
  int64_t prefixWidth, ownWidth;  // pages of a row of the tables
  int batch, groups, pageSize;
  int64_t pages;
};

// One thread a row of the tables: lengths and page ids.
__global__ void CG_LAUNCH_BOUNDS(256, 1) checkTablesKernel(DecodeTables t, ErrorSlot errors) {
  const int64_t i = int64_t(blockIdx.x) * 256 + threadIdx.x;
  const bool prefix = i < t.groups;
  const int64_t r = prefix ? i : i - t.groups;
  if (!prefix && r >= t.batch) return;
  if (!prefix && (t.rowGroup[r] < -1 || t.rowGroup[r] >= t.groups)) {
    reportFault(errors, Fault::kRowGroup, r, t.rowGroup[r], t.groups);
    return;
  }
  if (prefix) {  // prefixes that no row uses are not looked at
    bool used = false;
    for (int b = 0; b < t.batch && !used; b++) used = t.rowGroup[b] == r;
    if (!used) return;
  } else if (t.rowGroup[r] < 0) {
    return;
  }
  const int64_t width = prefix ? t.prefixWidth : t.ownWidth;
  const int64_t tokens = (prefix ? t.prefixLens : t.ownLens)[r];
  if (tokens < 0 || tokens > width * t.pageSize) {
    reportFault(errors, prefix ? Fault::kPrefixLength : Fault::kOwnLength, r, int32_t(tokens),
                width * t.pageSize);
    return;
  }
  const int32_t* pages = (prefix ? t.prefixPages : t.ownPages) + r * width;
  for (int64_t p = 0; p * t.pageSize < tokens; p++)
    if (pages[p] < 0 || pages[p] >= t.pages)
      reportFault(errors, prefix ? Fault::kPrefixPage : Fault::kOwnPage, r * width + p, pages[p],
                  t.pages, width);
}

struct Partial {
  float* state;   // [parts, B, Hq, 2]: maximum in base 2, sum
  float* values;  // [parts, B, Hq, D], not divided
};

template <typename T>
struct DecodeArguments {
  const T *q, *kv;
  int64_t qStride;
  int heads, kvHeads, dim;
  int prefixParts, ownParts;
  int tokens;  // rows of a tile of the prefix
  float scale;
  Partial partial;
};

// Keys [begin, end) of a page table.
template <typename T, int kKeys>
struct PagedKeys {
  KeyBlock<T> block;
  int64_t at, end;
  CG_DEVICE KeyBlock<T> operator()() {
    const int64_t left = end - at;
    block.first = at;
    block.count = left <= 0 ? 0 : left < kKeys ? int(left) : kKeys;
    at += kKeys;
    return block;
  }
};

// blockIdx.x: a row of the batch (the first of a run, for prefixes); y: kv head; z: part.
template <typename Core, bool kPrefix>
__global__ void CG_LAUNCH_BOUNDS(Core::kThreads, 1)
    decodePartKernel(DecodeTables t, DecodeArguments<typename Core::T> a, ErrorSlot errors) {
  using T = typename Core::T;
  CG_DYNAMIC_SHARED(float, memory);
  if (faultPending(errors)) return;
  const int first = int(blockIdx.x), kvHead = int(blockIdx.y), part = int(blockIdx.z);
  const int group = t.rowGroup[first];
  if (group < 0) return;
  int rows = 1;
  if (kPrefix) {
    // Runs of rows of one group are cut into tiles from their start.
    int start = first;
    while (start > 0 && t.rowGroup[start - 1] == group) start--;
    if ((first - start) % a.tokens != 0) return;
    while (rows < a.tokens && first + rows < t.batch && t.rowGroup[first + rows] == group) rows++;
  }
  const int64_t length = kPrefix ? t.prefixLens[group] : t.ownLens[first];
  const int64_t begin = int64_t(part) * kPart;
  const int64_t end = begin + kPart < length ? begin + kPart : length;
  const int fold = a.heads / a.kvHeads;
  Core core(memory, a.dim, a.scale);
  core.begin([&](int r) -> const T* {
    if (r >= rows * fold) return nullptr;
    return a.q + (first + r / fold) * a.qStride + int64_t(kvHead * fold + r % fold) * a.dim;
  });
  KeyBlock<T> block;
  block.pageSize = t.pageSize;
  block.kStride = block.vStride = a.dim;
  block.pageStride = int64_t(2) * a.kvHeads * t.pageSize * a.dim;
  block.k = a.kv + int64_t(kvHead) * t.pageSize * a.dim;
  block.v = block.k + int64_t(a.kvHeads) * t.pageSize * a.dim;
  block.pages = kPrefix ? t.prefixPages + group * t.prefixWidth : t.ownPages + first * t.ownWidth;
  PagedKeys<T, Core::kKeys> keys{block, begin, end};
  core.attend(keys, [&](int r, const KeyBlock<T>& b) { return r < rows * fold ? b.count : 0; });

  const int64_t slot = int64_t(kPrefix ? part : a.prefixParts + part) * t.batch;
  core.each([&](int r, int column, const auto& values, float maximum, float sum) {
    if (r >= rows * fold) return;
    const int64_t at = (slot + first + r / fold) * a.heads + kvHead * fold + r % fold;
    float* to = a.partial.values + at * a.dim + column;
    to[0] = values[0];
    if constexpr (sizeof(values) == 8) to[1] = values[1];
    if (column == 0) a.partial.state[2 * at] = maximum, a.partial.state[2 * at + 1] = sum;
  });
}

// blockIdx.x: a row of the batch; y: head.
template <typename T>
__global__ void CG_LAUNCH_BOUNDS(128, 1)
    mergePartsKernel(DecodeTables t, DecodeArguments<T> a, T* out, int64_t outStride,
                     ErrorSlot errors) {
  if (faultPending(errors)) return;
  const int row = int(blockIdx.x), head = int(blockIdx.y), group = t.rowGroup[row];
  T* to = out + row * outStride + int64_t(head) * a.dim;
  const auto partsOf = [](int64_t length) { return int((length + kPart - 1) / kPart); };
  const int prefix = group < 0 ? 0 : partsOf(t.prefixLens[group]);
  const int own = group < 0 ? 0 : partsOf(t.ownLens[row]);
  const auto slot = [&](int i) {  // of the i-th part that the row has
    const int64_t part = i < prefix ? i : a.prefixParts + (i - prefix);
    return (part * t.batch + row) * a.heads + head;
  };
  float most = -INFINITY;
  for (int i = 0; i < prefix + own; i++) {
    const float m = a.partial.state[2 * slot(i)];
    most = m > most || m != m ? m : most;
  }
  float sum = 0;
  for (int i = 0; i < prefix + own; i++) {
    const float m = a.partial.state[2 * slot(i)];
    sum += m == -INFINITY ? 0.0f : exp2f(m - most) * a.partial.state[2 * slot(i) + 1];
  }
  const float inverse = overSum(sum);
  for (int c = int(threadIdx.x); c < a.dim; c += 128) {
    float value = 0;
    for (int i = 0; i < prefix + own; i++) {
      const float m = a.partial.state[2 * slot(i)];
      if (m != -INFINITY)
        value = fmaf(exp2f(m - most), a.partial.values[slot(i) * a.dim + c], value);
    }
    to[c] = fromFloat<T>(value * inverse);
  }
}

template <typename Core>
Status decode(const OpCall& c, KernelContext& context) {
  using T = typename Core::T;
  const TensorView &q = c.in[0], &kv = c.in[1], &prefixPages = c.in[3], &ownPages = c.in[5],
                   &out = c.out[0];
  const int64_t batch = q.shape[0], heads = q.shape[1], dim = q.shape[2], kvHeads = kv.shape[2],
                pageSize = kv.shape[3];
  const DecodeTables t{c.in[2].as<int32_t>(),
                       prefixPages.as<int32_t>(),
                       c.in[4].as<int32_t>(),
                       ownPages.as<int32_t>(),
                       c.in[6].as<int32_t>(),
                       prefixPages.shape[1],
                       ownPages.shape[1],
                       int(batch),
                       int(c.in[4].shape[0]),
                       int(pageSize),
                       kv.shape[0]};
  Gpu& gpu = *context.gpu;
  CG_RETURN_IF_ERROR(launch(gpu, "decode tables", checkTablesKernel,
                            dim3(unsigned(ceilDiv(t.groups + batch, 256))), dim3(256), 0, t,
                            *context.deviceErrors));
  const int fold = int(heads / kvHeads);
  // Parts that tables of this width may have: lengths are on the device.
  const int prefixParts = int(ceilDiv(t.prefixWidth * pageSize, kPart));
  const int ownParts = int(ceilDiv(t.ownWidth * pageSize, kPart));
  const size_t slots = size_t(prefixParts + ownParts) * size_t(batch * heads);
  const DecodeArguments<T> a{
      q.as<T>(),
      kv.as<T>(),
      q.rowStride,
      int(heads),
      int(kvHeads),
      int(dim),
      prefixParts,
      ownParts,
      Core::kRows / fold > 0 ? Core::kRows / fold : 1,
      softmaxScale(c.attr[0], dim),
      {context.scratch.get<float>(slots * 2), context.scratch.get<float>(slots * size_t(dim))}};
  const size_t shared = Core::sharedBytes(int(dim));
  const auto grid = [&](int parts) {
    return dim3(unsigned(batch), unsigned(kvHeads), unsigned(parts));
  };
  CG_RETURN_IF_ERROR(launch(gpu, "decode prefix", decodePartKernel<Core, true>, grid(prefixParts),
                            dim3(Core::kThreads), shared, t, a, *context.deviceErrors));
  CG_RETURN_IF_ERROR(launch(gpu, "decode own", decodePartKernel<Core, false>, grid(ownParts),
                            dim3(Core::kThreads), shared, t, a, *context.deviceErrors));
  return launch(gpu, "decode merge", mergePartsKernel<T>, dim3(unsigned(batch), unsigned(heads)),
                dim3(128), 0, t, a, out.as<T>(), out.rowStride, *context.deviceErrors);
}

Status decodeAttention(const OpCall& c, KernelContext& context) {
  const TensorView &q = c.in[0], &kv = c.in[1];
  if (q.shape[0] == 0) return {};
  const int64_t dim = q.shape[2], fold = q.shape[1] / kv.shape[2];
  return withCore(
      q.dtype, dim, wide(q, dim, 16) && wide(kv, dim, 16), [&]<typename Core>() -> Status {
        if (fold > Core::kRows)
          return error(Code::kShape, "expected at most %d query heads for a kv head, got %ld",
                       Core::kRows, long(fold));
        return decode<Core>(c, context);
      });
}

}  // namespace

void registerDecodeAttention(KernelTable& t) { t.set("decodeAttention", decodeAttention); }

}  // namespace callgrad::gpu
