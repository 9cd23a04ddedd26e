// The switches of all mutants lie in a file that the test's process maps too: it chooses one, and sees which places were reached. Not
// instrumented: the checked build would take these accesses for a kernel's.
#include "cuda/mutant.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace callgrad {
namespace {

struct Switches {
  volatile int32_t selected;  // -1: none
  volatile uint8_t reached[4096 - 4];
};

Switches* opened() {
  const char* path = getenv("CALLGRAD_MUTANTS");
  const int file = path ? open(path, O_RDWR) : -1;
  void* memory = file < 0 ? MAP_FAILED
                          : mmap(nullptr, sizeof(Switches), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (file >= 0) close(file);
  if (memory == MAP_FAILED) {
    fprintf(stderr, "mutants: CALLGRAD_MUTANTS does not name a file of %zu bytes\n", sizeof(Switches));
    abort();
  }
  return static_cast<Switches*>(memory);
}

Switches* const switches = opened();

}  // namespace

bool mutant(int id) {
  switches->reached[id] = 1;
  return switches->selected == id;
}

}  // namespace callgrad
