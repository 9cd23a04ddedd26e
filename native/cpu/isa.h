// Instruction sets that the CPU kernels are compiled for; the best one is chosen at run time.
#pragma once

namespace callgrad::cpu {

enum class Isa { kBaseline, kAvx2, kAvx512, kAvx512Bf16 };

Isa detectIsa();  // honours CALLGRAD_ISA=baseline|avx2|avx512|avx512bf16 (never above what the CPU
                  // has)
const char* isaName(Isa isa);
bool cpuHasAmxBf16();

}  // namespace callgrad::cpu
