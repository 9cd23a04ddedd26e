// A libcublas for tests: the functions that native/cuda/cublas.cpp asks for, written from cuBLAS's
// documentation, slow and strict. With STANDIN_CUDART its memory is a CUDA runtime's (the emulated
// one) and everything happens in stream order; without, memory and time are the host's.
//
// CUBLAS_STANDIN makes it misbehave: "wrong" (one element), "tf32" (f32 operands lose 13 bits, as
// if TF32 were allowed), "fails" (the product), "refuses" (the handle), "old" (a version before
// 11). Compiled with STANDIN_PARTIAL it lacks cublasGemmEx.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#ifdef STANDIN_CUDART
#include <cuda_runtime.h>
#endif

namespace {

constexpr int kSuccess = 0, kNotInitialized = 1, kAllocFailed = 3, kInvalidValue = 7,
              kExecutionFailed = 13, kNotSupported = 15;

bool behaves(const char* how) {
  const char* wanted = getenv("CUBLAS_STANDIN");
  return wanted && strcmp(wanted, how) == 0;
}

struct Matrix {
  int rows, columns, leading, type;  // as it lies in memory, column by column
  size_t size() const { return type == 0 ? 4 : 2; }
  size_t bytes() const { return (size_t(columns - 1) * size_t(leading) + size_t(rows)) * size(); }
};

struct Gemm {
  int transA, transB, m, n, k;
  float alpha, beta;
  Matrix a, b, c;
};

float fromBits(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
uint32_t toBits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

double load(const void* data, const Matrix& x, int row, int column, bool tf32 = false) {
  const size_t at = size_t(column) * size_t(x.leading) + size_t(row);
  if (x.type != 0) return double(fromBits(uint32_t(static_cast<const uint16_t*>(data)[at]) << 16));
  const float value = static_cast<const float*>(data)[at];
  return double(tf32 ? fromBits(toBits(value) & 0xffffe000u) : value);
}

void store(void* data, const Matrix& x, int row, int column, double value) {
  const size_t at = size_t(column) * size_t(x.leading) + size_t(row);
  if (x.type == 0) {
    static_cast<float*>(data)[at] = float(value);
    return;
  }
  const uint32_t bits = toBits(float(value));
  static_cast<uint16_t*>(data)[at] = uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

void multiply(const Gemm& g, const void* a, const void* b, void* c) {
  const bool tf32 = behaves("tf32"), wrong = behaves("wrong");
  for (int j = 0; j < g.n; j++)
    for (int i = 0; i < g.m; i++) {
      double sum = 0;
      for (int l = 0; l < g.k; l++)
        sum += load(a, g.a, g.transA ? l : i, g.transA ? i : l, tf32) *
               load(b, g.b, g.transB ? j : l, g.transB ? l : j, tf32);
      double value = double(g.alpha) * sum;
      if (g.beta != 0) value += double(g.beta) * load(c, g.c, i, j);
      if (i == g.m - 1 && j == g.n - 1 && wrong) value = 2 * value + 1;
      store(c, g.c, i, j, value);
    }
}

struct Context {
  void* stream = nullptr;
  bool hasStream = false;
  int mathMode = 0;
#ifdef STANDIN_CUDART
  char* pinned = nullptr;  // what lies on the device, while the host multiplies
  size_t pinnedBytes = 0;
  ~Context() { cudaFreeHost(pinned); }
#endif
};

#ifdef STANDIN_CUDART

struct Work {
  Gemm gemm;
  char *a, *b, *c;
};

// Copies to the host, the product there, and a copy back, all queued on the stream.
int queue(Context& context, const Gemm& g, const void* a, const void* b, void* c) {
  auto stream = static_cast<cudaStream_t>(context.stream);
  const size_t sizes[] = {g.a.bytes(), g.b.bytes(), g.c.bytes()};
  const size_t needed = sizes[0] + sizes[1] + sizes[2] + 64;
  if (needed > context.pinnedBytes) {
    if (cudaStreamSynchronize(stream) != cudaSuccess) return kExecutionFailed;
    cudaFreeHost(context.pinned);
    if (cudaMallocHost(reinterpret_cast<void**>(&context.pinned), needed) != cudaSuccess)
      return kAllocFailed;
    context.pinnedBytes = needed;
  }
  auto aligned = [](size_t n) { return (n + 15) / 16 * 16; };
  char* hostA = context.pinned;
  char* hostB = hostA + aligned(sizes[0]);
  char* hostC = hostB + aligned(sizes[1]);
  const auto down = cudaMemcpyDeviceToHost;
  if (cudaMemcpyAsync(hostA, a, sizes[0], down, stream) != cudaSuccess ||
      cudaMemcpyAsync(hostB, b, sizes[1], down, stream) != cudaSuccess ||
      cudaMemcpyAsync(hostC, c, sizes[2], down, stream) != cudaSuccess)
    return kExecutionFailed;
  auto run = [](void* data) {
    auto* work = static_cast<Work*>(data);
    multiply(work->gemm, work->a, work->b, work->c);
    delete work;
  };
  if (cudaLaunchHostFunc(stream, run, new Work{g, hostA, hostB, hostC}) != cudaSuccess ||
      cudaMemcpyAsync(c, hostC, sizes[2], cudaMemcpyHostToDevice, stream) != cudaSuccess)
    return kExecutionFailed;
  return kSuccess;
}

#else

int queue(Context&, const Gemm& g, const void* a, const void* b, void* c) {
  multiply(g, a, b, c);
  return kSuccess;
}

#endif

}  // namespace

#define STANDIN extern "C" __attribute__((visibility("default")))

STANDIN int cublasGetProperty(int type, int* value) {
  if (type < 0 || type > 2 || !value) return kInvalidValue;
  const int version[] = {behaves("old") ? 10 : 13, 2, 1};
  *value = version[type];
  return kSuccess;
}

STANDIN int cublasCreate_v2(void** handle) {
  if (behaves("refuses")) return kNotInitialized;
  *handle = new Context;
  return kSuccess;
}

STANDIN int cublasDestroy_v2(void* handle) {
  delete static_cast<Context*>(handle);
  return kSuccess;
}

STANDIN int cublasSetStream_v2(void* handle, void* stream) {
  static_cast<Context*>(handle)->stream = stream;
  static_cast<Context*>(handle)->hasStream = true;
  return kSuccess;
}

STANDIN int cublasSetMathMode(void* handle, int mode) {
  static_cast<Context*>(handle)->mathMode = mode;
  return kSuccess;
}

#ifdef STANDIN_PARTIAL
#define cublasGemmEx cublasGemmOfAnotherName
#endif

STANDIN int cublasGemmEx(void* handle, int transA, int transB, int m, int n, int k,
                         const void* alpha, const void* a, int typeA, int lda, const void* b,
                         int typeB, int ldb, const void* beta, void* c, int typeC, int ldc,
                         int computeType, int algorithm) {
  auto* context = static_cast<Context*>(handle);
  if (behaves("fails")) return kExecutionFailed;
  if (!context || !context->hasStream) return kNotInitialized;
  auto known = [](int type) { return type == 0 || type == 14; };
  if (!known(typeA) || typeB != typeA || !known(typeC) || (typeA == 0 && typeC != 0))
    return kNotSupported;
  if (computeType != 68 || algorithm != -1 || context->mathMode != 16) return kNotSupported;
  if ((transA & ~1) || (transB & ~1) || m < 0 || n < 0 || k < 0) return kInvalidValue;
  const Gemm g{transA,
               transB,
               m,
               n,
               k,
               *static_cast<const float*>(alpha),
               *static_cast<const float*>(beta),
               {transA ? k : m, transA ? m : k, lda, typeA},
               {transB ? n : k, transB ? k : n, ldb, typeB},
               {m, n, ldc, typeC}};
  for (const Matrix* x : {&g.a, &g.b, &g.c})
    if (x->leading < x->rows || x->leading < 1) return kInvalidValue;
  if (m == 0 || n == 0) return kSuccess;
  return queue(*context, g, a, b, c);
}
