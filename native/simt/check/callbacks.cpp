// What the compiler calls for every load and store of code built with -fsanitize=thread: the names
// are those of its run-time library, whose place this file takes. Host code of the same files runs
// outside of kernels and passes.
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "simt/check/access.h"

#define CG_CALLBACK extern "C" __attribute__((visibility("hidden"), noinline))
#define CG_PLACE __builtin_return_address(0)

namespace callgrad::simt {
namespace {

using enum AccessKind;

inline void access(const void* p, size_t bytes, AccessKind kind, const void* place) {
  if (!current) return;
  checkAccess(p, bytes, kind, place);
}
inline void aligned(const void* p, size_t bytes, AccessKind kind, const void* place) {
  if (!current) return;
  if (reinterpret_cast<uintptr_t>(p) % bytes) checkAligned(p, bytes, place);
  checkAccess(p, bytes, kind, place);
}
// One atomic; also those of host code.
template <typename T>
inline void atomic(const volatile T* p, AccessKind kind, const void* place) {
  if (!current) return;
  const void* address = const_cast<const T*>(p);
  checkAligned(address, sizeof(T), place);
  checkAccess(address, sizeof(T), kind, place);
  if (!executor().stacks_.contains(address)) atomicMade(reinterpret_cast<uintptr_t>(address));
}

}  // namespace
}  // namespace callgrad::simt

using namespace callgrad::simt;

CG_CALLBACK void __tsan_init() {}
CG_CALLBACK void __tsan_func_entry(void*) {}
CG_CALLBACK void __tsan_func_exit() {}
CG_CALLBACK void __tsan_vptr_update(void**, void*) {}
CG_CALLBACK void __tsan_vptr_read(void**) {}

#define CG_SIZES(X) X(1) X(2) X(4) X(8) X(16)
#define CG_ACCESS(n)                                                                         \
  CG_CALLBACK void __tsan_read##n(void* p) { aligned(p, n, AccessKind::kRead, CG_PLACE); }   \
  CG_CALLBACK void __tsan_write##n(void* p) { aligned(p, n, AccessKind::kWrite, CG_PLACE); } \
  CG_CALLBACK void __tsan_volatile_read##n(void* p) {                                        \
    access(p, n, AccessKind::kAtomicRead, CG_PLACE);                                         \
  }                                                                                          \
  CG_CALLBACK void __tsan_volatile_write##n(void* p) {                                       \
    access(p, n, AccessKind::kAtomic, CG_PLACE);                                             \
  }
CG_SIZES(CG_ACCESS)
#define CG_UNALIGNED(n)                                          \
  CG_CALLBACK void __tsan_unaligned_read##n(void* p) {           \
    access(p, n, AccessKind::kRead, CG_PLACE);                   \
  }                                                              \
  CG_CALLBACK void __tsan_unaligned_write##n(void* p) {          \
    access(p, n, AccessKind::kWrite, CG_PLACE);                  \
  }                                                              \
  CG_CALLBACK void __tsan_unaligned_volatile_read##n(void* p) {  \
    access(p, n, AccessKind::kAtomicRead, CG_PLACE);             \
  }                                                              \
  CG_CALLBACK void __tsan_unaligned_volatile_write##n(void* p) { \
    access(p, n, AccessKind::kAtomic, CG_PLACE);                 \
  }
// clang-format off: it would run these together and apart again by turns
CG_UNALIGNED(2)
CG_UNALIGNED(4)
CG_UNALIGNED(8)
CG_UNALIGNED(16)
// clang-format on

CG_CALLBACK void __tsan_read_range(void* p, size_t n) { access(p, n, AccessKind::kRead, CG_PLACE); }
CG_CALLBACK void __tsan_write_range(void* p, size_t n) {
  access(p, n, AccessKind::kWrite, CG_PLACE);
}

// Atomics: checked, then done.

#define CG_FETCH(bits, T, op)                                               \
  CG_CALLBACK T __tsan_atomic##bits##_fetch_##op(volatile T* p, T v, int) { \
    atomic(p, AccessKind::kAtomic, CG_PLACE);                               \
    return __atomic_fetch_##op(p, v, __ATOMIC_SEQ_CST);                     \
  }
#define CG_ATOMICS(bits, T)                                                                        \
  CG_CALLBACK T __tsan_atomic##bits##_load(const volatile T* p, int) {                             \
    atomic(p, AccessKind::kAtomicRead, CG_PLACE);                                                  \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  CG_CALLBACK void __tsan_atomic##bits##_store(volatile T* p, T v, int) {                          \
    atomicStore(p, CG_PLACE);                                                                      \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  CG_CALLBACK T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                          \
    atomicStore(p, CG_PLACE);                                                                      \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  CG_FETCH(bits, T, add)                                                                           \
  CG_FETCH(bits, T, sub)                                                                           \
  CG_FETCH(bits, T, and)                                                                           \
  CG_FETCH(bits, T, or)                                                                            \
  CG_FETCH(bits, T, xor)                                                                           \
  CG_FETCH(bits, T, nand)                                                                          \
  CG_CALLBACK int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* expected, T v,   \
                                                                int, int) {                        \
    atomic(p, AccessKind::kAtomic, CG_PLACE);                                                      \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  CG_CALLBACK int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* expected, T v,     \
                                                              int, int) {                          \
    atomic(p, AccessKind::kAtomic, CG_PLACE);                                                      \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  CG_CALLBACK T __tsan_atomic##bits##_compare_exchange_val(volatile T* p, T expected, T v, int,    \
                                                           int) {                                  \
    atomic(p, AccessKind::kAtomic, CG_PLACE);                                                      \
    __atomic_compare_exchange_n(p, &expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);       \
    return expected;                                                                               \
  }

namespace {
// A store or an exchange: nobody need have written the bytes before.
template <typename T>
void atomicStore(volatile T* p, const void* place) {
  if (!current) return;
  markWritten(const_cast<T*>(p), sizeof(T));
  atomic(p, AccessKind::kAtomic, place);
}
}  // namespace

CG_ATOMICS(8, uint8_t)
CG_ATOMICS(16, uint16_t)
CG_ATOMICS(32, uint32_t)
CG_ATOMICS(64, uint64_t)
CG_CALLBACK void __tsan_atomic_thread_fence(int) {
  if (current) fenceMade(true);
}
CG_CALLBACK void __tsan_atomic_signal_fence(int) {}
