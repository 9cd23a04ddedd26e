// Which GEMM runs, and oneDNN behind it.
//
// Our own kernels (kernels/gemm.cpp) are the default: on CPUs whose widest bf16 instruction is
// VDPBF16PS they reach what oneDNN reaches, and a row's bits do not depend on the rows around it by
// construction. oneDNN takes over bf16 where the CPU has AMX, which ours do not use: linear layers
// and their gradients. Products with fp32 output (logits) stay ours everywhere, so that the
// sampler's log-probs and the trainer's come from one arithmetic. CALLGRAD_GEMM=own or =onednn
// decides otherwise. Where libdnnl.so.2 is missing, or another major version, nothing else changes.
#pragma once
#include <cstdint>
#include <string>

#include "core/device.h"
#include "core/dtype.h"

namespace callgrad::cpu {

// Layout id and bytes of a packed [n, k] weight; see packed_weight.h.
void packedWeightLayout(DType dtype, int64_t n, int64_t k, bool transposed, uint8_t* layout,
                        int64_t* bytes);

// For devices(): which GEMM is in use.
std::string gemmDescription();

// Whether products of this dtype go to oneDNN on this machine.
bool oneDnnTakes(DType dtype);

// c [m, n] = (accumulate ? c : 0) + a [m, k] b [k, n] + bias [n]
struct OneDnnProduct {
  DType dtype, cType;
  int64_t m, n, k;
  const void* a;
  int64_t aRow, aColumn;  // element strides; one of them is 1
  const void* b;
  int64_t bRow, bColumn;  // element strides; both 0: packed panels
  void* c;
  int64_t cRow;
  bool accumulate;
  const void* bias;  // of `dtype`, or null
};

// False, and nothing written, when oneDNN has no primitive for it.
bool oneDnnProduct(const OneDnnProduct& product, Scratch& scratch);

}  // namespace callgrad::cpu
