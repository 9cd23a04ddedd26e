#include "simt/source_line.h"

#include <cxxabi.h>
#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#ifdef CG_HAVE_BACKTRACE
#include <backtrace.h>
#endif

namespace callgrad::simt {
namespace {

// Paths below the source root; the build names it.
const char* below(const char* path) {
#ifdef CG_SOURCE_ROOT
  const size_t n = strlen(CG_SOURCE_ROOT);
  if (strncmp(path, CG_SOURCE_ROOT, n) == 0 && path[n] == '/') return path + n + 1;
#endif
  return path;
}

std::string offsetText(const void* address) {
  Dl_info info;
  if (!dladdr(address, &info) || !info.dli_fname) return "";
  char text[64];
  snprintf(text, sizeof text, "+0x%zx",
           size_t(static_cast<const char*>(address) - static_cast<const char*>(info.dli_fbase)));
  const char* slash = strrchr(info.dli_fname, '/');
  return std::string(slash ? slash + 1 : info.dli_fname) + text;
}

#ifdef CG_HAVE_BACKTRACE

// "void callgrad::gpu::(anonymous namespace)::rows<float>(float const*)" → "rows"
std::string shortName(const char* mangled) {
  int status = 0;
  char* full = abi::__cxa_demangle(mangled, nullptr, nullptr, &status);
  std::string name = full ? full : mangled;
  std::free(full);
  for (size_t at; (at = name.find("(anonymous namespace)::")) != std::string::npos;)
    name.erase(at, strlen("(anonymous namespace)::"));
  name = name.substr(0, name.find_first_of("(<"));
  const size_t cut = name.find_last_of(": ");
  return cut == std::string::npos ? name : name.substr(cut + 1);
}

struct Frames {
  std::string text;
  int count = 0;
};

int addFrame(void* data, uintptr_t, const char* file, int line, const char* function) {
  auto& frames = *static_cast<Frames*>(data);
  if (!file || line == 0) return 0;
  // Wrappers say little; the first frame that is a kernel file's is what a reader looks for, so all
  // frames of one address are listed, innermost first.
  if (frames.count++ > 0) frames.text += ", called from ";
  frames.text += std::string(below(file)) + ":" + std::to_string(line);
  if (function) frames.text += " (" + shortName(function) + ")";
  return 0;
}

void ignore(void*, const char*, int) {}

#endif

}  // namespace

std::string sourceLine(const void* address) {
  if (!address) return "";
#ifdef CG_HAVE_BACKTRACE
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  static backtrace_state* state = [] {
    Dl_info info;
    return dladdr(reinterpret_cast<void*>(&sourceLine), &info)
               ? backtrace_create_state(nullptr, 1, ignore, nullptr)
               : nullptr;
  }();
  if (state) {
    Frames frames;
    backtrace_pcinfo(state, reinterpret_cast<uintptr_t>(address) - 1, addFrame, ignore, &frames);
    if (frames.count) return frames.text;
  }
#endif
  return offsetText(address);
}

}  // namespace callgrad::simt
