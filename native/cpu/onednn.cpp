#include "cpu/onednn.h"

#include "cpu/packed_weight.h"

namespace callgrad::cpu {

void packedWeightLayout(DType dtype, int64_t n, int64_t k, bool transposed, uint8_t* layout,
                        int64_t* bytes) {
  *layout = transposed ? kLayoutTransposed : kLayoutForward;
  *bytes = packedSize(dtype, transposed ? n : k, transposed ? k : n) * int64_t(dtypeSize(dtype));
}

std::string gemmDescription() { return "own kernels"; }

}  // namespace callgrad::cpu
