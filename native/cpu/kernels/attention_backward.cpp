// Attention of packed segments on the CPU, backward: one thread a kv head, row by row.
#include <vector>

#include "core/parallel.h"
#include "cpu/kernels/attention_plan.h"
#include "cpu/kernels/families.h"

namespace callgrad::cpu::CG_ISA {
namespace {

template <typename T>
Status backward(const OpCall& c, KernelContext& context) {
  const TensorView &q = c.in[0], &k = c.in[1], &v = c.in[2], &out = c.in[3], &lse = c.in[4], &dOut = c.in[5],
                   &dq = c.out[0], &dk = c.out[1], &dv = c.out[2];
  const int64_t heads = q.shape[1], kvHeads = k.shape[1], group = heads / kvHeads, dim = q.shape[2], keys = k.shape[0];
  const HeadShape shape(dim, c.attr[0]);
  AttentionPlan plan;
  CG_RETURN_IF_ERROR(makePlan("attentionBackward", c.in[6], c.in[7], q.shape[0], keys, &plan));
  forUncoveredRows(plan, q.shape[0], [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) std::fill_n(dq.as<T>() + t * dq.rowStride, heads * dim, T{});
  });
  float* sums = context.scratch.get<float>(size_t(kvHeads * keys * dim * 2));
  parallelTasks(kvHeads, [&](int64_t h, int) {
    float *sumK = sums + h * keys * dim * 2, *sumV = sumK + keys * dim;
    std::fill_n(sumK, keys * dim * 2, 0.0f);
    std::vector<float> sumQ(static_cast<size_t>(dim));
    for (const SegmentPlan& s : plan.segments)
      for (int64_t t = s.qBegin; t < s.qEnd; t++)
        for (int64_t head = h * group; head < (h + 1) * group; head++) {
          const T *pq = q.as<T>() + t * q.rowStride + head * dim, *po = out.as<T>() + t * out.rowStride + head * dim,
                  *pd = dOut.as<T>() + t * dOut.rowStride + head * dim;
          float delta = 0;
          for (int64_t d = 0; d < dim; d++) delta += toFloat(po[d]) * toFloat(pd[d]);
          std::fill(sumQ.begin(), sumQ.end(), 0.0f);
          auto see = [&](int64_t begin, int64_t end) {
            for (int64_t j = begin; j < end; j++) {
              const T *pk = k.as<T>() + j * k.rowStride + h * dim, *pv = v.as<T>() + j * v.rowStride + h * dim;
              float score = 0, dp = 0;
              for (int64_t d = 0; d < dim; d++) {
                score += toFloat(pq[d]) * toFloat(pk[d]);
                dp += toFloat(pd[d]) * toFloat(pv[d]);
              }
              const float p = std::exp(score * shape.scale - lse.as<float>()[t * heads + head]);
              const float ds = p * (dp - delta) * shape.scale;
              for (int64_t d = 0; d < dim; d++) {
                sumQ[size_t(d)] += ds * toFloat(pk[d]);
                sumK[j * dim + d] += ds * toFloat(pq[d]);
                sumV[j * dim + d] += p * toFloat(pd[d]);
              }
            }
          };
          for (const SpanUse& u : s.spans) {
            const int64_t first = plan.runs[size_t(u.run)].begin;
            see(first, first + u.length);
          }
          if (s.ownRun >= 0) {
            const int64_t first = plan.runs[size_t(s.ownRun)].begin;
            see(first, first + s.ownVisible + (t - s.qBegin));
          }
          T* to = dq.as<T>() + t * dq.rowStride + head * dim;
          for (int64_t d = 0; d < dim; d++) to[d] = fromFloat<T>(sumQ[size_t(d)]);
        }
    for (int64_t j = 0; j < keys; j++)
      for (int64_t d = 0; d < dim; d++) {
        dk.as<T>()[j * dk.rowStride + h * dim + d] = fromFloat<T>(sumK[j * dim + d]);
        dv.as<T>()[j * dv.rowStride + h * dim + d] = fromFloat<T>(sumV[j * dim + d]);
      }
  });
  return {};
}

Status attentionBackward(const OpCall& c, KernelContext& context) {
  return c.in[0].dtype == DType::kF32 ? backward<float>(c, context) : backward<BFloat16>(c, context);
}

}  // namespace

void registerAttentionBackward(KernelTable& t) { t.set("attentionBackward", attentionBackward); }

}  // namespace callgrad::cpu::CG_ISA
