// Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a
// counter-based generator. The same (key, counter) gives the same four words on every device and
// thread, which is what makes a sampled token independent of its batch: callers key it by (seed,
// step, prompt, sample, position).
#pragma once
#include <cstdint>

#ifdef __CUDACC__
#define CG_HOST_DEVICE __host__ __device__
#else
#define CG_HOST_DEVICE
#endif

namespace callgrad {

struct PhiloxWords {
  uint32_t v[4];
};

CG_HOST_DEVICE inline PhiloxWords philox4x32(uint32_t key0, uint32_t key1, uint32_t c0, uint32_t c1,
                                             uint32_t c2, uint32_t c3) {
  for (int round = 0; round < 10; round++) {
    const uint64_t p0 = uint64_t(0xD2511F53u) * c0, p1 = uint64_t(0xCD9E8D57u) * c2;
    const uint32_t n0 = uint32_t(p1 >> 32) ^ c1 ^ key0, n2 = uint32_t(p0 >> 32) ^ c3 ^ key1;
    c1 = uint32_t(p1);
    c3 = uint32_t(p0);
    c0 = n0;
    c2 = n2;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// A float in [0, 1) from 24 bits: never 1, so that an inverse CDF stays inside its support.
CG_HOST_DEVICE inline float uniform01(uint32_t word) { return float(word >> 8) * 0x1p-24f; }

}  // namespace callgrad
