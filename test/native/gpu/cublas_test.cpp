// The comparison with cuBLAS on the GPU device, over the tests' runtime and a stand-in for the
// library (cublas_standin.cpp). Arguments: the stand-in, and one that lacks cublasGemmEx. Prints a
// line for each test; the exit code is the number of those that failed.
#include "cuda/cublas.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <future>

#include "cuda/device.h"
#include "native/expect.h"
#include "native/gpu/fake_runtime.h"

namespace callgrad::gpu {
namespace {

std::string standIn, partial;

bool has(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// The library that is named, and how the stand-in behaves, for as long as this lives.
struct With {
  explicit With(const std::string& file, const char* how = "") {
    setenv("CALLGRAD_CUBLAS", file.c_str(), 1);
    setenv("CUBLAS_STANDIN", how, 1);
  }
  ~With() {
    unsetenv("CALLGRAD_CUBLAS");
    unsetenv("CUBLAS_STANDIN");
  }
};

double number(uint32_t& state) {
  state = state * 1664525u + 1013904223u;
  return double(state >> 20) / 4096 - 0.5;  // 12 bits: also exact in tf32, products are exact
}

// A matrix of the host with rows that lie apart, as a tensor.
struct Matrix {
  std::vector<float> f32;
  std::vector<uint16_t> bf16;
  TensorView view;

  Matrix(DType dtype, int64_t rows, int64_t width, int64_t gap, uint32_t seed) {
    view.dtype = dtype;
    view.rank = 2;
    view.shape[0] = rows;
    view.shape[1] = width;
    view.rowStride = width + gap;
    f32.resize(size_t(rows * view.rowStride));
    bf16.resize(f32.size());
    for (size_t i = 0; i < f32.size(); i++) {
      uint32_t bits;
      f32[i] = float(number(seed));
      if (dtype == DType::kBF16) f32[i] = float(int(f32[i] * 128)) / 128;
      memcpy(&bits, &f32[i], 4);
      bf16[i] = uint16_t(bits >> 16);
    }
    view.data = dtype == DType::kF32 ? static_cast<void*>(f32.data()) : bf16.data();
  }
  double at(int64_t row, int64_t column) const {
    const size_t i = size_t(row * view.rowStride + column);
    if (view.dtype == DType::kF32) return double(f32[i]);
    const uint32_t bits = uint32_t(bf16[i]) << 16;
    float x;
    memcpy(&x, &bits, 4);
    return double(x);
  }
};

struct Rig {
  FakeRuntime runtime;
  Backend backend{kBackendAbi, &runtime, [](KernelTable&) {}, 80};
  std::unique_ptr<Device> device;
  explicit Rig(bool cublas = true) {
    EXPECT(openGpu(backend, {"cuda:0", 0, false, cublas}, &device).ok());
  }
  std::string unavailable() {
    std::string name;
    return device->cublas(&name).message();
  }
  // What the call is refused with, else what happened on the stream.
  Status run(const char* op, const std::vector<const Matrix*>& in, const Matrix* out,
             double attr0 = 0, double attr1 = 0) {
    auto task = std::make_unique<OpTask>();
    task->device = device.get();
    task->op = findOp(op);
    for (TensorView& v : task->call.in) v = TensorView::absent();
    for (TensorView& v : task->call.out) v = TensorView::absent();
    for (size_t i = 0; i < in.size(); i++) task->call.in[i] = in[i]->view;
    if (out) task->call.out[0] = out->view;
    task->call.attr[0] = attr0;
    task->call.attr[1] = attr1;
    CG_RETURN_IF_ERROR(device->submitToCublas(std::move(task)));
    std::promise<Status> promise;
    device->sync([&promise](const Status& s) { promise.set_value(s); });
    return promise.get_future().get();
  }
};

// c[m, n] += sum over l of a(i, l) b(l, j), each operand given transposed where it says so.
void expectProduct(const Matrix& a, bool transA, const Matrix& b, bool transB, const Matrix& before,
                   bool adds, const Matrix& c, int line) {
  const int64_t depth = a.view.shape[transA ? 0 : 1];
  double worst = 0;
  for (int64_t i = 0; i < c.view.shape[0]; i++) {
    for (int64_t j = 0; j < c.view.shape[1]; j++) {
      double sum = adds ? before.at(i, j) : 0;
      for (int64_t l = 0; l < depth; l++)
        sum += (transA ? a.at(l, i) : a.at(i, l)) * (transB ? b.at(j, l) : b.at(l, j));
      worst = std::max(worst, std::abs(c.at(i, j) - sum) / std::max(1.0, std::abs(sum)));
    }
    for (int64_t j = c.view.shape[1]; j < c.view.rowStride && i + 1 < c.view.shape[0]; j++)
      if (c.at(i, j) != before.at(i, j)) worst = INFINITY;  // between the rows
  }
  const double allowed = c.view.dtype == DType::kF32 ? 1e-6 : 4e-3;
  expect(worst <= allowed, "a product is off by " + std::to_string(worst), line);
}

void everyProductIsTheRowMajorOne() {
  const With with(standIn);
  Rig r;
  const int64_t t = 5, n = 7, k = 3;
  for (DType in : {DType::kF32, DType::kBF16})
    for (int64_t gap : {0, 4}) {
      const Matrix x(in, t, k, gap, 1), w(in, n, k, gap, 2), dy(in, t, n, 2 * gap, 3);
      for (DType out : {in, DType::kF32}) {
        const Matrix y(out, t, n, gap, 4), before = y;
        EXPECT(r.run("linear", {&x, &w}, &y, out != in).ok());
        expectProduct(x, false, w, true, before, false, y, __LINE__);
      }
      const Matrix dx(in, t, k, gap, 5), dxBefore = dx;
      EXPECT(r.run("linearBackwardInput", {&dy, &w}, &dx).ok());
      expectProduct(dy, false, w, false, dxBefore, false, dx, __LINE__);
      const Matrix dw(DType::kF32, n, k, gap, 6), dwBefore = dw;
      EXPECT(r.run("linearBackwardWeight", {&dy, &x, &dw}, nullptr).ok());
      expectProduct(dy, true, x, false, dwBefore, true, dw, __LINE__);
      for (bool transA : {false, true})
        for (bool transB : {false, true}) {
          const Matrix a(in, transA ? k : t, transA ? t : k, gap, 7);
          const Matrix b(in, transB ? n : k, transB ? k : n, gap, 8);
          const Matrix c(in, t, n, gap, 9), cBefore = c;
          EXPECT(r.run("matmul", {&a, &b}, &c, transA, transB).ok());
          expectProduct(a, transA, b, transB, cBefore, false, c, __LINE__);
        }
    }
  Matrix x(DType::kF32, 1, 4, 0, 1), w(DType::kF32, 6, 4, 0, 2), y(DType::kF32, 1, 6, 0, 3);
  const Matrix before = y;
  x.view.rowStride = y.view.rowStride = 1;  // means nothing where there is one row
  EXPECT(r.run("linear", {&x, &w}, &y).ok());
  expectProduct(x, false, w, true, before, false, y, __LINE__);
}

void whatIsNoPlainProductIsRefused() {
  const With with(standIn);
  Rig r;
  const Matrix x(DType::kF32, 4, 3, 0, 1), w(DType::kF32, 5, 3, 0, 2), y(DType::kF32, 4, 5, 0, 3);
  const Matrix bias(DType::kF32, 1, 5, 0, 4), none(DType::kF32, 0, 3, 0, 5);
  EXPECT(has(r.run("linear", {&x, &w, &bias}, &y).message(), "without bias and residual"));
  EXPECT(has(r.run("rmsNorm", {&x, &w}, &y).message(), "expected linear, linearBackwardInput"));
  EXPECT(r.run("linear", {&none, &w}, &none).code() == Code::kShape);
  Matrix wide = x;
  wide.view.rowStride = int64_t(1) << 31;
  EXPECT(has(r.run("linear", {&wide, &w}, &y).message(), "got 2147483648"));
  EXPECT(r.run("linear", {&x, &w}, &y).ok());  // nothing of it has stayed on the stream
}

void aMissingLibraryIsAReason() {
  Rig r;
  {
    const With with("/nowhere/libcublas.so.13");
    EXPECT(r.unavailable() ==
           "not found (tried /nowhere/libcublas.so.13, which CALLGRAD_CUBLAS names)");
    const Matrix x(DType::kF32, 2, 2, 0, 1);
    EXPECT(has(r.run("matmul", {&x, &x}, &x).message(), "not found"));
  }
  std::string name;  // without the variable: what this machine has
  const Status status = r.device->cublas(&name);
  EXPECT(status.ok() ? has(name, "cuBLAS 1") : has(status.message(), "libcublas.so.13"));
  Rig other(false);
  const With with(standIn);
  EXPECT(other.unavailable() == "cuBLAS runs on cuda devices");
}

void anUnfitLibraryIsAReason() {
  Rig r;
  {
    const With with(partial);
    EXPECT(r.unavailable() == partial + " has no cublasGemmEx");
  }
  {
    const With with(standIn, "old");
    EXPECT(r.unavailable() == standIn + " is of CUDA 10; 11 or newer is needed");
  }
  const With with(standIn);
  std::string name;
  EXPECT(r.device->cublas(&name).ok() && name == "cuBLAS 13.2.1 (" + standIn + ")");
}

void aFailureIsReportedOnce() {
  Rig r;
  const Matrix x(DType::kF32, 2, 2, 0, 1), y(DType::kF32, 2, 2, 0, 2);
  for (const auto& [how, words] : {std::pair{"refuses",
                                             "[matmul] cublasCreate of cuBLAS: "
                                             "CUBLAS_STATUS_NOT_INITIALIZED (1)"},
                                   std::pair{"fails",
                                             "[matmul] cublasGemmEx of cuBLAS: "
                                             "CUBLAS_STATUS_EXECUTION_FAILED (13)"}}) {
    const With with(standIn, how);
    const Status status = r.run("matmul", {&x, &x}, &y);
    expect(status.message() == words, status.message(), __LINE__);
  }
  const With with(standIn);
  EXPECT(r.run("matmul", {&x, &x}, &y).ok());
}

}  // namespace
}  // namespace callgrad::gpu

int main(int count, char** arguments) {
  using namespace callgrad::gpu;
  if (count != 3) return 1;
  standIn = arguments[1];
  partial = arguments[2];
  return callgrad::runTests({
      {"an unfit library is a reason", anUnfitLibraryIsAReason},  // before one has been opened
      {"a missing library is a reason", aMissingLibraryIsAReason},
      {"every product is the row-major one", everyProductIsTheRowMajorOne},
      {"what is no plain product is refused", whatIsNoPlainProductIsRefused},
      {"a failure is reported once", aFailureIsReportedOnce},
  });
}
