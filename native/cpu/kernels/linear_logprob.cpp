// The head fused with log-softmax. Forward: a task multiplies a few rows by one block of the
// vocabulary, reduces the tile of logits to three numbers a row, and forgets it. Backward: logits
// are recomputed by the same products; their gradients exist for one chunk of rows at a time, in
// the compute dtype. Rows without upstream gradient are left out.
#include <algorithm>
#include <vector>

#include "core/parallel.h"
#include "cpu/kernels/families.h"
#include "cpu/kernels/gemm.h"
#include "cpu/kernels/row_stats.h"

namespace callgrad::cpu::CG_ISA {
namespace {

constexpr int64_t kLogitRows =
    48;  // a tile of logits, 48 x 512 fp32, stays in L2 beside a block of weights
constexpr int64_t kForwardRows = 1024;  // rows whose block statistics are held at once

Status checkTargets(const char* op, const TensorView& targets, int64_t vocabulary) {
  const int32_t* t = targets.as<int32_t>();
  for (int64_t i = 0; i < targets.shape[0]; i++)
    if (t[i] < 0 || t[i] >= vocabulary)
      return error(Code::kRange, "[%s] expected targets in [0, %ld), got %d at row %ld", op,
                   long(vocabulary), t[i], long(i));
  return {};
}

// The head's weight as panels, and products of some rows with one block of the vocabulary.
template <typename T>
struct Head {
  const T* panels;
  int64_t vocabulary, depth;

  int64_t columns(int64_t block) const {
    return std::min(kStatsBlock, vocabulary - block * kStatsBlock);
  }
  void logits(const T* rows, int64_t stride, int64_t count, int64_t block, float* tile) const {
    Product<T, float> p;
    p.a = plainRows(rows, stride);
    p.panelStride = panelSize(kDTypeOf<T>, depth);
    p.b = panels + block * (kStatsBlock / kPanel) * p.panelStride;
    p.m = count, p.n = columns(block), p.depth = depth;
    p.c = tile, p.cStride = kStatsBlock;
    productOnThread(p);
  }
};

template <typename T>
void runForward(const OpCall& c, KernelContext& context) {
  const TensorView &h = c.in[0], &w = c.in[1];
  const int32_t* targets = c.in[2].as<int32_t>();
  float *logprob = c.out[0].as<float>(), *lse = c.out[1].as<float>(),
        *entropy = c.out[2].as<float>();
  const float scale = temperatureScale(c.attr[0]);
  const int64_t rows = h.shape[0];
  if (rows == 0) return;
  const Head<T> head{weightPanels<T>(w, false, context), w.shape[0], w.shape[1]};
  const int64_t blocks = statsBlocks(head.vocabulary), most = std::min(rows, kForwardRows);
  BlockStats* stats = context.scratch.get<BlockStats>(size_t(most * blocks));
  float* targetLogit = context.scratch.get<float>(size_t(most));
  float* tiles = context.scratch.get<float>(size_t(threadCount() * kLogitRows * kStatsBlock));

  for (int64_t r0 = 0; r0 < rows; r0 += most) {
    const int64_t count = std::min(most, rows - r0), groups = (count + kLogitRows - 1) / kLogitRows;
    parallelTasks(blocks * groups, [&](int64_t task, int thread) {
      const int64_t block = task / groups, group = task % groups;
      const int64_t begin = count * group / groups, end = count * (group + 1) / groups;
      float* tile = tiles + thread * kLogitRows * kStatsBlock;
      head.logits(h.as<T>() + (r0 + begin) * h.rowStride, h.rowStride, end - begin, block, tile);
      for (int64_t r = begin; r < end; r++) {
        const float* logits = tile + (r - begin) * kStatsBlock;
        stats[r * blocks + block] = blockStats(logits, head.columns(block), scale);
        const int64_t target = targets[r0 + r] - block * kStatsBlock;
        if (target >= 0 && target < kStatsBlock) targetLogit[r] = logits[target];
      }
    });
    for (int64_t r = 0; r < count; r++) {
      const RowStats s = mergeStats(stats + r * blocks, blocks);
      logprob[r0 + r] = s.logprob(targetLogit[r] * scale);
      lse[r0 + r] = s.lse();
      entropy[r0 + r] = s.entropy;
    }
  }
}

Status linearLogprob(const OpCall& c, KernelContext& context) {
  CG_RETURN_IF_ERROR(checkTargets("linearLogprob", c.in[2], c.in[1].shape[0]));
  c.in[0].dtype == DType::kF32 ? runForward<float>(c, context) : runForward<BFloat16>(c, context);
  return {};
}

// What one row's logits' gradients are made of.
struct RowGradient {
  int64_t row;
  float lse, entropy, dLogprob, dEntropy;
  int32_t target;
};

// d logits of one row and block: with z = logits * scale and p = e^(z - lse),
// scale * (dLogprob (onehot - p) - dEntropy p (log p + entropy)).
template <typename T>
void logitGradient(const RowGradient& g, const float* logits, int64_t columns, int64_t target,
                   float scale, T* to) {
  const Vec s = splat(scale), lse = splat(g.lse), entropy = splat(g.entropy);
  const Vec dl = splat(-g.dLogprob * scale), de = splat(-g.dEntropy * scale);
  const bool entropic = g.dEntropy != 0;
  auto gradient = [&](Vec logit) {
    const Vec logp = logit * s - lse, p = exp(logp);
    return p * (entropic ? fma(de, vmax(logp, splat(-128.0f)) + entropy, dl) : dl);
  };
  int64_t i = 0;
  for (; i + kLanes <= columns; i += kLanes) store(to + i, gradient(load(logits + i)));
  if (i < columns)
    storePartial(to + i, gradient(loadPartial(logits + i, int(columns - i))), int(columns - i));
  if (target >= 0 && target < columns) {
    const float logp = logits[target] * scale - g.lse, p = exp(splat(logp))[0];
    const float ofEntropy =
        entropic ? g.dEntropy * p * (std::max(logp, -128.0f) + g.entropy) : 0.0f;
    to[target] = fromFloat<T>(scale * (g.dLogprob * (1.0f - p) - ofEntropy));
  }
}

std::vector<RowGradient> activeRows(const OpCall& c) {
  const float *lse = c.in[3].as<float>(), *entropy = c.in[4].as<float>(),
              *dLogprob = c.in[5].as<float>();
  const float* dEntropy = c.in[6].present() ? c.in[6].as<float>() : nullptr;
  std::vector<RowGradient> rows;
  for (int64_t t = 0; t < c.in[0].shape[0]; t++) {
    const float de = dEntropy ? dEntropy[t] : 0.0f;
    if (dLogprob[t] != 0 || de != 0)
      rows.push_back({t, lse[t], entropy[t], dLogprob[t], de, c.in[2].as<int32_t>()[t]});
  }
  return rows;
}

// Rows of a chunk: its gradients of logits should not outgrow the last-level cache by much, and few
// chunks mean few passes over dw.
int64_t chunkRows(int64_t vocabulary, int64_t elementSize) {
  const int64_t fit = (int64_t(32) << 20) / (vocabulary * elementSize);
  return std::clamp<int64_t>(fit / kLogitRows * kLogitRows, 2 * kLogitRows, 8 * kLogitRows);
}

template <typename T>
void runBackward(const OpCall& c, KernelContext& context) {
  const TensorView &h = c.in[0], &w = c.in[1], &wTransposed = c.in[7].present() ? c.in[7] : c.in[1],
                   &dw = c.in[8], &dh = c.out[0];
  const float scale = temperatureScale(c.attr[0]);
  const int64_t depth = w.shape[1], vocabulary = w.shape[0];
  for (int64_t t = 0; t < dh.shape[0]; t++) std::fill_n(dh.as<T>() + t * dh.rowStride, depth, T{});
  const std::vector<RowGradient> active = activeRows(c);
  if (active.empty() || depth == 0) return;

  const Head<T> head{weightPanels<T>(w, false, context), vocabulary, depth};
  const T* transposed = weightPanels<T>(wTransposed, true, context);
  const int64_t blocks = statsBlocks(vocabulary), total = int64_t(active.size());
  const int64_t most = std::min(total, chunkRows(vocabulary, sizeof(T)));
  // Rows of d logits start on a cache line and leave the tail of an odd vocabulary unread.
  const int64_t stride = roundUp(vocabulary, 64 / int64_t(sizeof(T)));
  T* gathered = context.scratch.get<T>(size_t(most * depth));
  T* dLogits = context.scratch.get<T>(size_t(most * stride));
  T* dGathered = context.scratch.get<T>(size_t(most * depth));
  T* hPanels = context.scratch.get<T>(size_t(packedSize(h.dtype, most, depth)));
  const int64_t threads = threadCount(), leftSize = packedSize(h.dtype, most, kStatsBlock);
  float* tiles = context.scratch.get<float>(size_t(threads * kLogitRows * kStatsBlock));
  T* lefts = context.scratch.get<T>(size_t(threads * leftSize));

  for (int64_t r0 = 0; r0 < total; r0 += most) {
    const int64_t count = std::min(most, total - r0);
    const RowGradient* rows = active.data() + r0;
    for (int64_t r = 0; r < count; r++)
      std::copy_n(h.as<T>() + rows[r].row * h.rowStride, depth, gathered + r * depth);
    if (dw.present()) pack(gathered, depth, count, depth, false, hPanels);

    parallelTasks(blocks, [&](int64_t block, int thread) {
      const int64_t first = block * kStatsBlock, columns = head.columns(block);
      float* tile = tiles + thread * kLogitRows * kStatsBlock;
      for (int64_t r = 0; r < count; r += kLogitRows) {
        const int64_t some = std::min(kLogitRows, count - r);
        head.logits(gathered + r * depth, depth, some, block, tile);
        for (int64_t i = 0; i < some; i++)
          logitGradient(rows[r + i], tile + i * kStatsBlock, columns, rows[r + i].target - first,
                        scale, dLogits + (r + i) * stride + first);
      }
      if (!dw.present()) return;
      // dw's rows of this block += d logits^T h
      T* left = lefts + thread * leftSize;
      packOnThread(dLogits + first, stride, count, columns, false, left);
      for (int64_t v = 0; v < columns; v += kPanel) {
        Product<T, float> p;
        p.a =
            panelRows(static_cast<const T*>(left + v / kPanel * panelSize(h.dtype, count)), count);
        p.b = hPanels;
        p.panelStride = panelSize(h.dtype, count);
        p.m = std::min(kPanel, columns - v), p.n = depth,
        p.depth = roundUp(count, depthGroup(h.dtype));
        p.c = dw.as<float>() + (first + v) * dw.rowStride, p.cStride = dw.rowStride;
        p.accumulate = true;
        productOnThread(p);
      }
    });

    Product<T, T> p;
    p.a = plainRows(static_cast<const T*>(dLogits), stride);
    p.b = transposed;
    p.panelStride = panelSize(h.dtype, vocabulary);
    p.m = count, p.n = depth, p.depth = vocabulary;
    p.c = dGathered, p.cStride = depth;
    product(p, context);
    for (int64_t r = 0; r < count; r++)
      std::copy_n(dGathered + r * depth, depth, dh.as<T>() + rows[r].row * dh.rowStride);
  }
}

Status linearLogprobBackward(const OpCall& c, KernelContext& context) {
  CG_RETURN_IF_ERROR(checkTargets("linearLogprobBackward", c.in[2], c.in[1].shape[0]));
  c.in[0].dtype == DType::kF32 ? runBackward<float>(c, context) : runBackward<BFloat16>(c, context);
  return {};
}

}  // namespace

void registerLinearLogprob(KernelTable& t) {
  t.set("linearLogprob", linearLogprob);
  t.set("linearLogprobBackward", linearLogprobBackward);
}

}  // namespace callgrad::cpu::CG_ISA
