#include "cpu/isa.h"

#include <cpuid.h>

#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace callgrad::cpu {
namespace {

Isa widest() {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::kAvx512Bf16;
  if (avx512) return Isa::kAvx512;
  return avx2 ? Isa::kAvx2 : Isa::kBaseline;
}

Isa chosen() {
  const Isa best = widest();
  if (const char* wanted = getenv("CALLGRAD_ISA")) {
    for (Isa isa : {Isa::kBaseline, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16})
      if (!strcmp(wanted, isaName(isa)) && int(isa) <= int(best)) return isa;
  }
  return best;
}

}  // namespace

const char* isaName(Isa isa) {
  switch (isa) {
    case Isa::kBaseline:
      return "baseline";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512bf16";
  }
  return "baseline";
}

// Both are asked for by every product, and a virtual machine leaves its guest for each CPUID: 10
// us.
Isa detectIsa() {
  static const Isa isa = chosen();
  return isa;
}

bool cpuHasAmxBf16() {
  static const bool has = [] {
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && ((d >> 22) & 1);
  }();
  return has;
}

}  // namespace callgrad::cpu
