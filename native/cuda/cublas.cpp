#include "cuda/cublas.h"

#include <dlfcn.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

namespace callgrad::gpu {

// cuBLAS's interface, as cublas_api.h and library_types.h declare it since CUDA 11.0: enumerations
// are ints, a stream is what the runtime calls one.
using Handle = OpaqueCublas*;
namespace {
enum : int { kOpN = 0, kOpT = 1 };            // cublasOperation_t
enum : int { kReal32F = 0, kRealBF16 = 14 };  // cudaDataType_t: CUDA_R_32F, CUDA_R_16BF
enum : int { kCompute32F = 68 };              // cublasComputeType_t: CUBLAS_COMPUTE_32F
enum : int { kAnyAlgorithm = -1 };            // cublasGemmAlgo_t: CUBLAS_GEMM_DEFAULT
// cublasMath_t: CUBLAS_DEFAULT_MATH (0) with CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION
enum : int { kSumsInComputeType = 16 };
enum : int { kMajor = 0, kMinor = 1, kPatch = 2 };  // libraryPropertyType
constexpr int kOldest = 11;  // before, cublasGemmEx took a data type for the compute type
}  // namespace

struct CublasLibrary {
  std::string file;
  int version[3] = {0, 0, 0};
  int (*create)(Handle*) = nullptr;
  int (*destroy)(Handle) = nullptr;
  int (*setStream)(Handle, StreamHandle) = nullptr;
  int (*setMathMode)(Handle, int) = nullptr;
  int (*getProperty)(int, int*) = nullptr;
  int (*gemm)(Handle, int transA, int transB, int m, int n, int k, const void* alpha, const void* a,
              int typeA, int lda, const void* b, int typeB, int ldb, const void* beta, void* c,
              int typeC, int ldc, int computeType, int algorithm) = nullptr;
};

namespace {

// cublasStatus_t
const char* statusName(int status) {
  switch (status) {
    case 1:
      return "CUBLAS_STATUS_NOT_INITIALIZED";
    case 3:
      return "CUBLAS_STATUS_ALLOC_FAILED";
    case 7:
      return "CUBLAS_STATUS_INVALID_VALUE";
    case 8:
      return "CUBLAS_STATUS_ARCH_MISMATCH";
    case 11:
      return "CUBLAS_STATUS_MAPPING_ERROR";
    case 13:
      return "CUBLAS_STATUS_EXECUTION_FAILED";
    case 14:
      return "CUBLAS_STATUS_INTERNAL_ERROR";
    case 15:
      return "CUBLAS_STATUS_NOT_SUPPORTED";
    case 16:
      return "CUBLAS_STATUS_LICENSE_ERROR";
    default:
      return "an unknown status";
  }
}

Status check(const char* function, int status) {
  if (status == 0) return {};
  return error(Code::kDevice, "%s of cuBLAS: %s (%d)", function, statusName(status), status);
}

template <typename F>
Status resolve(void* opened, const std::string& file, const char* symbol, F** function) {
  *function = reinterpret_cast<F*>(dlsym(opened, symbol));
  if (*function) return {};
  return error(Code::kDevice, "%s has no %s", file.c_str(), symbol);
}

// `*absent` where there is no such file.
Status load(const std::string& file, CublasLibrary* l, bool* absent) {
  void* opened = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!opened) {
    const char* said = dlerror();
    const std::string why = said ? said : "cannot open " + file;
    *absent = why.rfind(file + ": cannot open shared object file", 0) == 0;
    return Status(Code::kDevice, why);
  }
  l->file = file;
  CG_RETURN_IF_ERROR(resolve(opened, file, "cublasGetProperty", &l->getProperty));
  CG_RETURN_IF_ERROR(resolve(opened, file, "cublasCreate_v2", &l->create));
  CG_RETURN_IF_ERROR(resolve(opened, file, "cublasDestroy_v2", &l->destroy));
  CG_RETURN_IF_ERROR(resolve(opened, file, "cublasSetStream_v2", &l->setStream));
  CG_RETURN_IF_ERROR(resolve(opened, file, "cublasSetMathMode", &l->setMathMode));
  CG_RETURN_IF_ERROR(resolve(opened, file, "cublasGemmEx", &l->gemm));
  for (int part : {kMajor, kMinor, kPatch})
    CG_RETURN_IF_ERROR(check("cublasGetProperty", l->getProperty(part, &l->version[part])));
  if (l->version[kMajor] >= kOldest) return {};
  return error(Code::kDevice, "%s is of CUDA %d; %d or newer is needed", file.c_str(),
               l->version[kMajor], kOldest);
}

}  // namespace

Status openCublas(const CublasLibrary** library) {
  static std::mutex mutex;
  static std::map<std::string, CublasLibrary> opened;  // nodes stay where they are
  std::lock_guard lock(mutex);
  const char* named = getenv("CALLGRAD_CUBLAS");
  const bool chosen = named && *named;
  const std::vector<std::string> files =
      chosen ? std::vector<std::string>{named}
             : std::vector<std::string>{"libcublas.so.13", "libcublas.so.12", "libcublas.so.11",
                                        "libcublas.so"};
  Status unusable;  // of the first that is there
  std::string tried;
  for (const std::string& file : files) {
    const auto known = opened.find(file);
    if (known != opened.end()) {
      *library = &known->second;
      return {};
    }
    CublasLibrary fresh;
    bool absent = false;
    const Status status = load(file, &fresh, &absent);
    if (status.ok()) {
      *library = &opened.emplace(file, std::move(fresh)).first->second;
      return {};
    }
    if (!absent && unusable.ok()) unusable = status;
    tried += (tried.empty() ? "" : ", ") + file;
  }
  if (!unusable.ok()) return unusable;
  return Status(Code::kDevice, "not found (tried " + tried +
                                   (chosen ? ", which CALLGRAD_CUBLAS names)"
                                           : "; CALLGRAD_CUBLAS names another file)"));
}

std::string cublasName(const CublasLibrary& l) {
  return "cuBLAS " + std::to_string(l.version[kMajor]) + "." + std::to_string(l.version[kMinor]) +
         "." + std::to_string(l.version[kPatch]) + " (" + l.file + ")";
}

// The product ------------------------------------------------------------------------------------

Status cublasProduct(std::string_view op, const OpCall& c, CublasProduct* p) {
  const TensorView *a = &c.in[0], *b = &c.in[1], *out = &c.out[0];
  bool transA = false, transB = false;  // of the row-major product
  *p = {};
  if (op == "linear") {
    transB = true;
    if (c.in[2].present() || c.in[3].present())
      return error(Code::kType, "expected a product without bias and residual for cuBLAS");
  } else if (op == "linearBackwardWeight") {
    transA = true;
    out = &c.in[2];
    p->beta = 1;
  } else if (op == "matmul") {
    transA = c.attr[0] != 0;
    transB = c.attr[1] != 0;
  } else if (op != "linearBackwardInput") {
    return error(Code::kType,
                 "expected linear, linearBackwardInput, linearBackwardWeight or matmul for cuBLAS");
  }
  const int64_t m = out->shape[0], n = out->rowSize(), k = transA ? a->shape[0] : a->rowSize();
  // One row may lie in a view whose stride is anything; cuBLAS wants at least the width.
  auto leading = [](const TensorView& x) { return std::max(x.rowStride, x.rowSize()); };
  const int64_t sizes[] = {m, n, k, leading(*a), leading(*b), leading(*out)};
  for (int64_t size : sizes)
    if (size < 1 || size > INT_MAX)
      return error(Code::kShape, "expected sizes from 1 to %d for cuBLAS, got %ld", INT_MAX,
                   long(size));
  p->transA = transB;
  p->transB = transA;
  p->m = int(n);
  p->n = int(m);
  p->k = int(k);
  p->a = b->data;
  p->b = a->data;
  p->c = out->data;
  p->lda = int(leading(*b));
  p->ldb = int(leading(*a));
  p->ldc = int(leading(*out));
  p->in = a->dtype;
  p->out = out->dtype;
  return {};
}

Status Cublas::open(const CublasLibrary& library, StreamHandle stream,
                    std::unique_ptr<Cublas>* cublas) {
  std::unique_ptr<Cublas> made(new Cublas(library));
  CG_RETURN_IF_ERROR(check("cublasCreate", library.create(&made->handle_)));
  CG_RETURN_IF_ERROR(check("cublasSetStream", library.setStream(made->handle_, stream)));
  CG_RETURN_IF_ERROR(
      check("cublasSetMathMode", library.setMathMode(made->handle_, kSumsInComputeType)));
  *cublas = std::move(made);
  return {};
}

// A failure here leaves nothing to do: the device is lost, or the process ends.
Cublas::~Cublas() {
  if (handle_) library_.destroy(handle_);
}

Status Cublas::multiply(const CublasProduct& p) {
  auto type = [](DType dtype) { return dtype == DType::kF32 ? kReal32F : kRealBF16; };
  auto operation = [](bool transposed) { return transposed ? kOpT : kOpN; };
  const float alpha = 1;  // read before the call returns: pointers to scalars are the host's
  return check("cublasGemmEx",
               library_.gemm(handle_, operation(p.transA), operation(p.transB), p.m, p.n, p.k,
                             &alpha, p.a, type(p.in), p.lda, p.b, type(p.in), p.ldb, &p.beta, p.c,
                             type(p.out), p.ldc, kCompute32F, kAnyAlgorithm));
}

}  // namespace callgrad::gpu
