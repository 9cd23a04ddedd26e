// What samplers of all devices do alike, so that they draw the same token: scales, random numbers,
// and thresholds of filters.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "core/philox.h"

namespace callgrad {

// What logits are multiplied by: temperature 0 (greedy) reports temperature 1's log-probs.
inline float temperatureScale(double temperature) {
  return temperature == 0 ? 1.0f : float(1.0 / temperature);
}

// The number in [0, 1) that draws the token of a position. key: seed and row, two words each. 53
// bits, so that tokens of less than 2^-24 can still be drawn.
CG_HOST_DEVICE inline double samplingUniform(const int32_t* key, int32_t position) {
  constexpr uint32_t kStream = 0x73616d70;  // other users of the same key must differ from it
  const PhiloxWords words = philox4x32(uint32_t(key[0]), uint32_t(key[1]), uint32_t(position),
                                       uint32_t(key[2]), uint32_t(key[3]), kStream);
  return double((uint64_t(words.v[0]) << 21) ^ (words.v[1] >> 11)) * 0x1p-53;
}

// The lowest logit that min-p keeps: p >= minP * max p on the scaled logits, up to fp32's rounding
// of them, so that equals of the largest stay at minP 1.
CG_HOST_DEVICE inline float minPThreshold(float max, double logMinP, float scale) {
  const double lowest = (double(max) + logMinP) / double(scale);
  return float(lowest - 2e-7 * fmax(1.0, fabs(lowest)));
}

// Floats as integers of the same order, so that a bisection ends.
CG_HOST_DEVICE inline int64_t floatOrder(float x) {
  int32_t i;
  memcpy(&i, &x, 4);
  return i >= 0 ? i : -2147483648ll - i;
}
CG_HOST_DEVICE inline float floatOfOrder(int64_t order) {
  const int32_t i = int32_t(order >= 0 ? order : -2147483648ll - order);
  float x;
  memcpy(&x, &i, 4);
  return x;
}

// A float between two others, not equal to either; the lower one where there is none. Halving the
// distance gets to few elements sooner where logits are spread, halving the number of floats
// between ends in 32 steps where they are not.
CG_HOST_DEVICE inline float floatBetween(float low, float high, bool byOrder) {
  const float middle = low + (high - low) / 2;
  if (!byOrder && high - low < 256.0f) return middle > low && middle < high ? middle : low;
  const int64_t from = floatOrder(low), to = floatOrder(high);
  return floatOfOrder(from + (to - from) / 2);
}

}  // namespace callgrad
