// oneDNN's C API (major version 2), opened at run time: no link-time dependency, headers only where
// they are.
#include "cpu/onednn.h"

#include <cstdlib>
#include <cstring>

#include "core/parallel.h"
#include "cpu/isa.h"
#include "cpu/packed_weight.h"

#ifdef CG_HAVE_DNNL_HEADERS
#include <dnnl_version.h>
#if DNNL_VERSION_MAJOR == 2
#define CG_USE_DNNL
#include <dlfcn.h>
#include <dnnl.h>
#include <unistd.h>

#include <array>
#include <map>
#include <memory>
#include <mutex>
#endif
#endif

namespace callgrad::cpu {

void packedWeightLayout(DType dtype, int64_t n, int64_t k, bool transposed, uint8_t* layout,
                        int64_t* bytes) {
  *layout = transposed ? kLayoutTransposed : kLayoutForward;
  *bytes = packedSize(dtype, transposed ? n : k, transposed ? k : n) * int64_t(dtypeSize(dtype));
}

#ifdef CG_USE_DNNL
namespace {

// Every function that is used, by name.
// clang-format never settles on this list.
// clang-format off
#define CG_DNNL_FUNCTIONS(X)                                                                  \
  X(version)                                                                                  \
  X(engine_create) X(stream_create) X(memory_desc_init_by_tag) X(memory_desc_init_by_strides) \
      X(memory_desc_get_size) X(matmul_desc_init) X(memory_create) X(memory_set_data_handle)  \
          X(memory_destroy) X(primitive_attr_create) X(primitive_attr_destroy)                \
              X(primitive_attr_set_scratchpad_mode) X(primitive_attr_set_post_ops)            \
                  X(post_ops_create) X(post_ops_append_sum) X(post_ops_destroy)               \
                      X(primitive_desc_create) X(primitive_desc_destroy)                      \
                          X(primitive_desc_query_md) X(primitive_create) X(primitive_destroy) \
                              X(primitive_execute) X(stream_wait)
// clang-format on

// Path of the folder of this binary, with its last slash: prebuilt packages bring oneDNN along.
std::string ownFolder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void*>(&ownFolder), &info) || !info.dli_fname) return "";
  const std::string path = info.dli_fname;
  return path.substr(0, path.rfind('/') + 1);
}

// The one beside this binary, else the system's; null where there is none.
void* openLibrary() {
  const std::string folder = ownFolder();
  if (access((folder + "libdnnl.so.2").c_str(), R_OK) == 0) {
    // What it needs lies beside it, where the loader would not look: opened first, it is found by
    // its name. What the process has already is not opened twice.
    for (const char* needed : {"libgomp.so.1", "libOpenCL.so.1"})
      if (!dlopen(needed, RTLD_NOW | RTLD_NOLOAD))
        dlopen((folder + needed).c_str(), RTLD_NOW | RTLD_LOCAL);
    if (void* own = dlopen((folder + "libdnnl.so.2").c_str(), RTLD_NOW | RTLD_LOCAL)) return own;
  }
  return dlopen("libdnnl.so.2", RTLD_NOW | RTLD_LOCAL);
}

struct Library {
#define CG_DNNL_POINTER(name) decltype(&dnnl_##name) name = nullptr;
  CG_DNNL_FUNCTIONS(CG_DNNL_POINTER)
#undef CG_DNNL_POINTER
  dnnl_engine_t engine = nullptr;
  dnnl_stream_t stream = nullptr;
  std::string name;  // empty: not usable

  Library() {
    // libgomp reads these once, when oneDNN brings it in. It spins briefly, then sleeps: a spinning
    // pool would starve the JS thread and our own helpers on a small machine.
    setenv("OMP_NUM_THREADS", std::to_string(threadCount()).c_str(), 1);
    setenv("GOMP_SPINCOUNT", "4000", 0);
    void* handle = openLibrary();
    if (!handle) return;
#define CG_DNNL_LOAD(name)                                                       \
  name = reinterpret_cast<decltype(&dnnl_##name)>(dlsym(handle, "dnnl_" #name)); \
  if (!name) return;
    CG_DNNL_FUNCTIONS(CG_DNNL_LOAD)
#undef CG_DNNL_LOAD
    const dnnl_version_t* v = version();
    if (v->major != 2 || v->minor < 4) return;  // packed bf16 weights in matmul
    if (engine_create(&engine, dnnl_cpu, 0) != dnnl_success) return;
    if (stream_create(&stream, engine, dnnl_stream_default_flags) != dnnl_success) return;
    this->name = "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." +
                 std::to_string(v->patch);
  }
};

const Library& library() {
  static const Library* l = new Library;  // outlives every stream
  return *l;
}

dnnl_data_type_t typeOf(DType d) { return d == DType::kBF16 ? dnnl_bf16 : dnnl_f32; }

struct Primitive {
  dnnl_primitive_t primitive = nullptr;
  dnnl_memory_t a = nullptr, b = nullptr, c = nullptr, bias = nullptr, scratchpad = nullptr;
  size_t scratchBytes = 0;

  Primitive(const Primitive&) = delete;
  explicit Primitive(const OneDnnProduct& p) {
    if (!build(p)) {
      release();
      primitive = nullptr;
    }
  }
  ~Primitive() { release(); }

 private:
  bool build(const OneDnnProduct& p) {
    const Library& d = library();
    dnnl_memory_desc_t ma, mb, mc, mBias;
    const dnnl_dims_t dimsA = {p.m, p.k}, dimsB = {p.k, p.n}, dimsC = {p.m, p.n},
                      dimsBias = {1, p.n};
    const dnnl_dims_t stridesA = {p.aRow, p.aColumn}, stridesB = {p.bRow, p.bColumn},
                      stridesC = {p.cRow, 1}, stridesBias = {p.n, 1};
    const dnnl_data_type_t type = typeOf(p.dtype);
    const dnnl_format_tag_t panels = p.dtype == DType::kBF16 ? dnnl_BA16a64b2a : dnnl_BA16a64b;
    const auto ok = [](dnnl_status_t s) { return s == dnnl_success; };
    if (!ok(d.memory_desc_init_by_strides(&ma, 2, dimsA, type, stridesA))) return false;
    if (!ok(p.bRow == 0 && p.bColumn == 0
                ? d.memory_desc_init_by_tag(&mb, 2, dimsB, type, panels)
                : d.memory_desc_init_by_strides(&mb, 2, dimsB, type, stridesB)))
      return false;
    if (!ok(d.memory_desc_init_by_strides(&mc, 2, dimsC, typeOf(p.cType), stridesC))) return false;
    if (p.bias && !ok(d.memory_desc_init_by_strides(&mBias, 2, dimsBias, type, stridesBias)))
      return false;

    dnnl_matmul_desc_t desc;
    if (!ok(d.matmul_desc_init(&desc, &ma, &mb, p.bias ? &mBias : nullptr, &mc))) return false;
    dnnl_primitive_attr_t attributes = nullptr;
    dnnl_post_ops_t postOps = nullptr;
    dnnl_primitive_desc_t pd = nullptr;
    bool made = ok(d.primitive_attr_create(&attributes)) &&
                ok(d.primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
    if (made && p.accumulate)
      made = ok(d.post_ops_create(&postOps)) && ok(d.post_ops_append_sum(postOps, 1.0f)) &&
             ok(d.primitive_attr_set_post_ops(attributes, postOps));
    made = made && ok(d.primitive_desc_create(&pd, &desc, attributes, d.engine, nullptr)) &&
           ok(d.primitive_create(&primitive, pd));
    if (made) {
      const dnnl_memory_desc_t* pad = d.primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
      scratchBytes = d.memory_desc_get_size(pad);
      const auto memory = [&](dnnl_memory_t* m, const dnnl_memory_desc_t* md) {
        return ok(d.memory_create(m, md, d.engine, DNNL_MEMORY_NONE));
      };
      made = memory(&a, &ma) && memory(&b, &mb) && memory(&c, &mc) &&
             (!p.bias || memory(&bias, &mBias)) && (!scratchBytes || memory(&scratchpad, pad));
    }
    if (pd) d.primitive_desc_destroy(pd);
    if (postOps) d.post_ops_destroy(postOps);
    if (attributes) d.primitive_attr_destroy(attributes);
    return made;
  }

  void release() {
    const Library& d = library();
    if (primitive) d.primitive_destroy(primitive);
    for (dnnl_memory_t m : {a, b, c, bias, scratchpad})
      if (m) d.memory_destroy(m);
  }
};

// Primitives by shape, strides and dtypes. A cold one costs some 200 us, so they are kept; a run
// that sees more shapes than this starts over rather than grow.
constexpr size_t kMostPrimitives = 1024;
using Key = std::array<int64_t, 12>;

Key keyOf(const OneDnnProduct& p) {
  return {int64_t(p.dtype), int64_t(p.cType), p.m,       p.n,    p.k,          p.aRow,
          p.aColumn,        p.bRow,           p.bColumn, p.cRow, p.accumulate, p.bias != nullptr};
}

bool execute(const OneDnnProduct& p, Scratch& scratch) {
  // Streams of several environments take turns: the threads behind a product are the same anyway.
  static std::mutex mutex;
  static auto* cache = new std::map<Key, std::unique_ptr<Primitive>>;
  std::lock_guard lock(mutex);
  if (cache->size() >= kMostPrimitives) cache->clear();
  std::unique_ptr<Primitive>& entry = (*cache)[keyOf(p)];
  if (!entry) entry = std::make_unique<Primitive>(p);
  if (!entry->primitive) return false;

  const Library& d = library();
  dnnl_exec_arg_t args[5];
  int count = 0;
  const auto bind = [&](int what, dnnl_memory_t memory, const void* data) {
    args[count++] = {what, memory};
    return d.memory_set_data_handle(memory, const_cast<void*>(data)) == dnnl_success;
  };
  if (!bind(DNNL_ARG_SRC, entry->a, p.a) || !bind(DNNL_ARG_WEIGHTS, entry->b, p.b) ||
      !bind(DNNL_ARG_DST, entry->c, p.c))
    return false;
  if (p.bias && !bind(DNNL_ARG_BIAS, entry->bias, p.bias)) return false;
  if (entry->scratchBytes &&
      !bind(DNNL_ARG_SCRATCHPAD, entry->scratchpad, scratch.get(entry->scratchBytes)))
    return false;
  return d.primitive_execute(entry->primitive, d.stream, count, args) == dnnl_success &&
         d.stream_wait(d.stream) == dnnl_success;
}

}  // namespace
#endif

namespace {
enum class Choice { kAuto, kOwn, kOneDnn };
Choice choice() {
  static const Choice c = [] {
    const char* text = getenv("CALLGRAD_GEMM");
    if (text && !strcmp(text, "own")) return Choice::kOwn;
    if (text && !strcmp(text, "onednn")) return Choice::kOneDnn;
    return Choice::kAuto;
  }();
  return c;
}
}  // namespace

bool oneDnnTakes(DType dtype) {
#ifdef CG_USE_DNNL
  if (choice() == Choice::kOwn) return false;
  // oneDNN has bf16 from AVX-512 on.
  const bool able = dtype == DType::kF32 || detectIsa() >= Isa::kAvx512;
  const bool wanted = choice() == Choice::kOneDnn || (dtype == DType::kBF16 && cpuHasAmxBf16());
  return able && wanted && !library().name.empty();
#else
  return false;
#endif
}

bool oneDnnProduct(const OneDnnProduct& p, Scratch& scratch) {
#ifdef CG_USE_DNNL
  if (p.m <= 0 || p.n <= 0 || p.k <= 0) return false;
  return execute(p, scratch);
#else
  return false;
#endif
}

std::string gemmDescription() {
#ifdef CG_USE_DNNL
  const bool f32 = oneDnnTakes(DType::kF32), bf16 = oneDnnTakes(DType::kBF16);
  if (f32 || bf16)
    return f32 && bf16 ? library().name
                       : library().name + (bf16 ? " in bf16" : " in fp32") + ", else own kernels";
#endif
  return "own kernels";
}

}  // namespace callgrad::cpu
