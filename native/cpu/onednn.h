// oneDNN, opened at run time. Where it is missing, our own GEMM (cpu/kernels/gemm.cpp) stands in.
#pragma once
#include <cstdint>
#include <string>

#include "core/dtype.h"

namespace callgrad::cpu {

// Layout id and bytes of a packed [n, k] weight; layout 0 keeps it plain.
void packedWeightLayout(DType dtype, int64_t n, int64_t k, bool transposed, uint8_t* layout, int64_t* bytes);

// For devices(): which GEMM is in use.
std::string gemmDescription();

}  // namespace callgrad::cpu
