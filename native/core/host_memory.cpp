#include "core/host_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace callgrad {

size_t hostMemory() {
  size_t bytes = size_t(sysconf(_SC_PHYS_PAGES)) * size_t(sysconf(_SC_PAGESIZE));
  if (FILE* f = fopen("/sys/fs/cgroup/memory.max", "r")) {
    unsigned long long limit;
    if (fscanf(f, "%llu", &limit) == 1) bytes = std::min<size_t>(bytes, limit);
    fclose(f);
  }
  return bytes;
}

}  // namespace callgrad
