#include "cuda/regions.h"

namespace callgrad::gpu {
namespace {

Region regionOf(const TensorView& v, const char* name, bool writable) {
  const size_t size = dtypeSize(v.dtype), width = size_t(v.rowSize()) * size;
  const size_t rows = v.numel() == 0 ? 0 : v.rank ? size_t(v.shape[0]) : 1;
  return {v.data, rows,     width, rows > 1 ? size_t(v.rowStride) * size : width,
          name,   writable, false};
}

size_t extent(const Region& r) { return r.rows ? (r.rows - 1) * r.stride + r.width : 0; }

bool overlap(const Region& a, const Region& b) {
  const char *pa = static_cast<const char*>(a.data), *pb = static_cast<const char*>(b.data);
  return pa < pb + extent(b) && pb < pa + extent(a);
}

}  // namespace

std::vector<Region> regionsOf(const OpDecl& op, const OpCall& call) {
  std::vector<Region> regions;
  for (size_t i = 0; i < op.inputs.size(); i++)
    if (call.in[i].present())
      regions.push_back(
          regionOf(call.in[i], op.inputs[i].name, (op.inputs[i].flags & kInout) != 0));
  const size_t inputs = regions.size();
  for (size_t i = 0; i < op.outputs.size(); i++) {
    if (!call.out[i].present()) continue;
    Region r = regionOf(call.out[i], op.outputs[i].name, true);
    r.undefined = true;
    for (size_t k = 0; k < inputs; k++) r.undefined = r.undefined && !overlap(regions[k], r);
    regions.push_back(r);
  }
  return regions;
}

}  // namespace callgrad::gpu
