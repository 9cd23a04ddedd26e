// cuBLAS as the rival of our products in `callgrad bench ops`, and nothing else: opened at run time
// where a machine has it, never linked. No header of NVIDIA's is needed to build this.
//
// f32 products run in CUBLAS_COMPUTE_32F with neither TF32 nor emulation asked for, bf16 ones sum
// in fp32 and round once (CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION): what our kernels
// promise. The workspace is cuBLAS's own default.
#pragma once
#include <memory>
#include <string>
#include <string_view>

#include "core/status.h"
#include "cuda/runtime.h"
#include "ops/op_table.h"

namespace callgrad::gpu {

// A call of cublasGemmEx in its own terms, column by column:
//   c[m, n] = a[m, k] b[k, n] + beta c,  a given as [k, m] with transA, b as [n, k] with transB.
struct CublasProduct {
  bool transA = false, transB = false;
  int m = 0, n = 0, k = 0, lda = 0, ldb = 0, ldc = 0;  // ld: elements from column to column
  const void *a = nullptr, *b = nullptr;
  void* c = nullptr;
  DType in = DType::kF32, out = DType::kF32;
  float beta = 0;
};

// The product of linear, linearBackwardInput, linearBackwardWeight (which adds to dw) or matmul.
// Read column by column a row-major matrix is its transpose, so C^T = op(B)^T op(A)^T is asked for:
// operands and their flags change places, nothing is copied. Errors: another op, a bias or
// residual, sizes of 0 or beyond int.
Status cublasProduct(std::string_view op, const OpCall& call, CublasProduct* product);

struct CublasLibrary;  // an opened libcublas; lives as long as the process

// CALLGRAD_CUBLAS's file, else the newest libcublas.so that the loader finds. An error says what
// was tried, or what the library lacks.
Status openCublas(const CublasLibrary** library);
// "cuBLAS 13.0.2 (libcublas.so.13)"
std::string cublasName(const CublasLibrary& library);

// A handle of cuBLAS on one stream, used by one thread, with the stream's device current.
class Cublas {
 public:
  static Status open(const CublasLibrary& library, StreamHandle stream,
                     std::unique_ptr<Cublas>* cublas);
  ~Cublas();
  Cublas(const Cublas&) = delete;
  Cublas& operator=(const Cublas&) = delete;

  Status multiply(const CublasProduct& product);  // queues it

 private:
  explicit Cublas(const CublasLibrary& library) : library_(library) {}
  const CublasLibrary& library_;
  struct OpaqueCublas* handle_ = nullptr;
};

}  // namespace callgrad::gpu
