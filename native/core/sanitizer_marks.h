// Marks that AddressSanitizer keeps of memory, where code has to take them away itself. Other
// builds compile to nothing.
#pragma once
#include <cstddef>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

namespace callgrad {

#ifdef __SANITIZE_ADDRESS__
inline void unmark(void* data, size_t size) { __asan_unpoison_memory_region(data, size); }
#else
inline void unmark(void*, size_t) {}
#endif

}  // namespace callgrad
