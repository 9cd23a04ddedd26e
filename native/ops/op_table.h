// The op table: one declaration per op drives argument checks, output allocation, the N-API
// binding, the TypeScript signatures (scripts/generate-ops.mjs) and the conformance and benchmark
// lists.
//
// A device fills in kernels by name; everything in this folder is device-independent.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/status.h"
#include "core/tensor_view.h"

namespace callgrad {

// dtype sets as bit masks
inline constexpr uint8_t kF32Bit = 1 << int(DType::kF32), kBF16Bit = 1 << int(DType::kBF16),
                         kI32Bit = 1 << int(DType::kI32), kU8Bit = 1 << int(DType::kU8);
inline constexpr uint8_t kFloatBits = kF32Bit | kBF16Bit;

enum InputFlags : uint8_t {
  kPlain = 0,
  kOptional = 1,  // may be absent
  kInout = 2,     // written in place
  kStrided = 4,   // rows may be further apart than they are long (a column slice)
  kPacked = 8,    // may be a packed weight (TensorView::layout != 0)
};

struct InputDecl {
  const char* name;
  uint8_t dtypes;
  uint8_t flags = kPlain;
  const char* doc = "";  // shape and meaning, for the generated TypeScript
};

struct OutputDecl {
  const char* name;
  const char* doc = "";
};

enum class AttrKind : uint8_t { kFloat, kInt, kBool };

struct AttrDecl {
  const char* name;
  AttrKind kind;
  double defaultValue;
  const char* doc = "";
  bool required = false;
};

inline constexpr int kMaxInputs = 12, kMaxOutputs = 6, kMaxAttrs = 16;

// One call: inputs and outputs in declared order. Absent optional inputs have rank -1; an output
// that an op leaves out (see InferContext::skip) likewise.
struct OpCall {
  TensorView in[kMaxInputs];
  TensorView out[kMaxOutputs];
  double attr[kMaxAttrs];
  int attrInt(int i) const { return int(attr[i]); }
};

// What an op's inference fills in: the spec of each output. Preallocated outputs that a caller
// passes must match it.
struct OutputSpec {
  DType dtype = DType::kF32;
  uint8_t layout = 0;
  int32_t rank = -1;  // -1: not produced by this call
  int64_t shape[kMaxRank] = {};
  int64_t bytes = -1;  // storage when it differs from numel * dtype (packed weights)
  void set(DType d, std::initializer_list<int64_t> dims) {
    dtype = d;
    rank = 0;
    for (int64_t n : dims) shape[rank++] = n;
  }
};

struct DeviceTraits;  // what inference may ask of a device: sizes of packed layouts

// Checks shapes and values of one call and states its outputs. Runs on the JS thread: cheap, no
// access to data.
using InferFunction = Status (*)(const OpCall& call, OutputSpec* outputs,
                                 const DeviceTraits& device);

struct Cost {
  double bytes = 0;  // least that must move between memory and the cores
  double flops = 0;  // NaN where the contents of the inputs decide
};
using CostFunction = Cost (*)(const OpCall& call);

struct OpDecl {
  const char* name;
  const char* doc;
  std::vector<InputDecl> inputs;
  std::vector<OutputDecl> outputs;
  std::vector<AttrDecl> attrs;
  InferFunction infer;
  CostFunction cost;
};

const std::vector<OpDecl>& opTable();
int findOp(std::string_view name);  // -1 when unknown

// Generic checks of one call (count, dtypes, layouts, contiguity, presence), then the op's own
// inference.
Status checkAndInfer(const OpDecl& op, const OpCall& call, OutputSpec* outputs,
                     const DeviceTraits& device);

// `[T, D]`-style expectations in one line; `where` reads "x" and -1 accepts any size.
Status expectShape(const char* where, const TensorView& t, std::initializer_list<int64_t> shape);
Status expectRank(const char* where, const TensorView& t, int rank);
Status expectSameShape(const char* a, const TensorView& x, const char* b, const TensorView& y);
Status expectSameDType(const char* a, const TensorView& x, const char* b, const TensorView& y);

// Bytes that a view covers, once.
double bytesOf(const TensorView& t);

// Each family of ops/<family>.cpp contributes its declarations.
void declareElementwiseOps(std::vector<OpDecl>& table);
void declareNormOps(std::vector<OpDecl>& table);
void declareActivationOps(std::vector<OpDecl>& table);
void declareRopeOps(std::vector<OpDecl>& table);
void declareEmbeddingOps(std::vector<OpDecl>& table);
void declareOptimizerOps(std::vector<OpDecl>& table);
void declareMatmulOps(std::vector<OpDecl>& table);
void declareLinearLogprobOps(std::vector<OpDecl>& table);
void declareGrpoLossOps(std::vector<OpDecl>& table);
void declareSampleOps(std::vector<OpDecl>& table);
void declareAttentionOps(std::vector<OpDecl>& table);
void declareKvCacheOps(std::vector<OpDecl>& table);

}  // namespace callgrad
