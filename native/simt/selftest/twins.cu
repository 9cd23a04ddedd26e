// The twins of mma, ldmatrix and movmatrix against plain loops over the documented fragments.
#include "simt/selftest/cases.h"

namespace callgrad::gpu {
namespace {

// D[16 kM, 8 kN] = A[16 kM, 16] B[16, 8 kN] with operands loaded by ldmatrix from row-major A and
// B.
template <int kM, int kN>
__global__ void product(const BFloat16* a, const BFloat16* b, float* d) {
  CG_SHARED(BFloat16, sa, [16 * kM][16]);
  CG_SHARED(BFloat16, sb, [16][8 * kN]);
  const int lane = laneId();
  for (int i = lane; i < 16 * kM * 16; i += 32) (&sa[0][0])[i] = a[i];
  for (int i = lane; i < 16 * 8 * kN; i += 32) (&sb[0][0])[i] = b[i];
  __syncwarp();
  uint32_t fa[kM][4], fb[kN][2];
  SharedAddress rows[kM];
  for (int i = 0; i < kM; i++) rows[i] = sharedAddress(&sa[16 * i + lane % 16][lane / 16 * 8]);
  ldmatrix_x4(fa, rows);
  for (int j = 0; j < kN; j++) ldmatrix_x2_trans(fb[j], sharedAddress(&sb[lane % 16][8 * j]));
  float acc[kM][kN][4] = {};
  mma_tiles_bf16(acc, fa, fb);
  for (int i = 0; i < kM; i++)
    for (int j = 0; j < kN; j++)
      for (int e = 0; e < 4; e++)
        d[(16 * i + lane / 4 + e / 2 * 8) * 8 * kN + 8 * j + lane % 4 * 2 + e % 2] = acc[i][j][e];
}

__global__ void productTf32(const float* a, const float* b, float* d) {
  const int g = laneId() / 4, t = laneId() % 4;
  const uint32_t fa[4] = {toTf32(a[g * 8 + t]), toTf32(a[(g + 8) * 8 + t]),
                          toTf32(a[g * 8 + t + 4]), toTf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {toTf32(b[t * 8 + g]), toTf32(b[(t + 4) * 8 + g])};
  float acc[4] = {};
  mma_m16n8k8_tf32(acc, fa, fb);
  for (int e = 0; e < 4; e++) d[(g + e / 2 * 8) * 8 + 2 * t + e % 2] = acc[e];
}

__global__ void transposed(uint32_t* y) {
  const uint32_t lane = uint32_t(laneId());
  y[lane] = movmatrix_trans(2 * lane | (2 * lane + 1) << 16);
}

__global__ void conversions(const float* x, uint32_t* y) {
  const int i = int(threadIdx.x);
  y[i] = packBf16x2(x[i], x[i]);
  y[32 + i] = toTf32(x[i]);
}

template <int kM, int kN>
Status productCase(Bench& bench) {
  constexpr int m = 16 * kM, n = 8 * kN;
  std::vector<BFloat16> a(m * 16), b(16 * n);
  const auto value = [](int i) { return float(i * 37 % 19 - 9); };
  for (int i = 0; i < m * 16; i++) a[size_t(i)] = toBFloat16(value(i));
  for (int i = 0; i < 16 * n; i++) b[size_t(i)] = toBFloat16(value(i + 5));
  float* d = bench.output<float>(size_t(m * n));
  CG_RETURN_IF_ERROR(bench.run(product<kM, kN>, dim3(1), dim3(32), 0, bench.input(a, "a"),
                               bench.input(b, "b"), d));
  for (int i = 0; i < m; i++)
    for (int j = 0; j < n; j++) {
      double sum = 0;
      for (int k = 0; k < 16; k++) sum += value(i * 16 + k) * value(k * n + j + 5);
      CG_RETURN_IF_ERROR(expectEqual(d[i * n + j], sum, "product"));
    }
  return {};
}

}  // namespace

void addTwins(std::vector<Case>& cases) {
  cases.push_back({"mma m16n8k16", nullptr, productCase<1, 1>});
  cases.push_back({"mma tiles 2x4", nullptr, productCase<2, 4>});
  cases.push_back({"mma tiles 1x17", nullptr, productCase<1, 17>});
  cases.push_back({"mma m16n8k8 tf32", nullptr, [](Bench& bench) {
                     std::vector<float> a(128), b(64);
                     for (int i = 0; i < 128; i++) a[size_t(i)] = float(i % 11 - 5);
                     for (int i = 0; i < 64; i++) b[size_t(i)] = float(i % 7 - 3);
                     float* d = bench.output<float>(128);
                     CG_RETURN_IF_ERROR(bench.run(productTf32, dim3(1), dim3(32), 0,
                                                  bench.input(a, "a"), bench.input(b, "b"), d));
                     for (int i = 0; i < 16; i++)
                       for (int j = 0; j < 8; j++) {
                         double sum = 0;
                         for (int k = 0; k < 8; k++)
                           sum += a[size_t(i * 8 + k)] * b[size_t(k * 8 + j)];
                         CG_RETURN_IF_ERROR(expectEqual(d[i * 8 + j], sum, "product"));
                       }
                     return Status();
                   }});
  cases.push_back({"movmatrix", nullptr, [](Bench& bench) {
                     uint32_t* y = bench.output<uint32_t>(32);
                     CG_RETURN_IF_ERROR(bench.run(transposed, dim3(1), dim3(32), 0, y));
                     for (int l = 0; l < 32; l++) {
                       const int g = l / 4, t = l % 4 * 2;
                       CG_RETURN_IF_ERROR(
                           expectEqual(y[l], t * 8 + g + (((t + 1) * 8 + g) << 16), "element"));
                     }
                     return Status();
                   }});
  cases.push_back({"conversions", nullptr, [](Bench& bench) {
                     std::vector<float> x(32);
                     x[0] = asFloat(0x3f808000u);  // halfway: to even
                     x[1] = asFloat(0x3f818000u);
                     x[2] = asFloat(0x7f800001u);  // NaN
                     x[3] = asFloat(0x3f801000u);  // halfway for tf32: away from zero
                     uint32_t* y = bench.output<uint32_t>(64);
                     CG_RETURN_IF_ERROR(
                         bench.run(conversions, dim3(1), dim3(32), 0, bench.input(x), y));
                     CG_RETURN_IF_ERROR(expectEqual(y[0] >> 16, 0x3f80, "bf16"));
                     CG_RETURN_IF_ERROR(expectEqual(y[1] & 0xffffu, 0x3f82, "bf16"));
                     CG_RETURN_IF_ERROR(expectEqual(y[2] & 0xffffu, 0x7fff, "bf16"));
                     return expectEqual(y[32 + 3], 0x3f802000u, "tf32");
                   }});
}

}  // namespace callgrad::gpu
