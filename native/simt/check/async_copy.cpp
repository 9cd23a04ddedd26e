// cp.async that arrives as late as it may: the destination counts as written at the start (so that
// an unordered reader or writer is a race), is unreadable until the wait, and is copied there.
#include <cstring>

#include "simt/check/access.h"
#include "simt/twins.h"

namespace callgrad::simt {
namespace {

void mark(const AsyncCopy& c, State state) {
  Segment& s = sharedSegment();
  memset(s.state + (reinterpret_cast<uintptr_t>(c.to) - s.begin), state, size_t(c.width));
}

void deliver(const AsyncCopy& c) {
  checkAccess(c.to, size_t(c.width), AccessKind::kWrite, c.place, false);
  memcpy(c.to, c.from, size_t(c.bytes));
  memset(c.to + c.bytes, 0, size_t(c.width - c.bytes));
}

}  // namespace

void copyAsync(uintptr_t to, const void* from, int width, int bytes) {
  const void* place = __builtin_return_address(0);
  Executor& e = executor();
  char* data = reinterpret_cast<char*>(to);
  if (to - reinterpret_cast<uintptr_t>(e.shared()) >= Executor::kSharedBytes)
    e.fail("cp.async to an address that is not in shared memory", place);
  if (bytes < 0 || bytes > width)
    e.fail("cp.async of " + std::to_string(bytes) + " bytes where the width is " +
               std::to_string(width),
           place);
  checkAligned(data, size_t(width), place);
  checkAligned(from, size_t(width), place);
  if (bytes > 0) checkAccess(from, size_t(bytes), AccessKind::kRead, place);
  checkAccess(data, size_t(width), AccessKind::kWrite, place);
  AsyncCopy c{data, from, width, bytes, -1, place};
  mark(c, kInFlight);
  memset(data, 0xff, size_t(width));
  current->clock.copies.push_back(c);
}

void commitCopies() {
  ThreadClock& clock = current->clock;
  for (AsyncCopy& c : clock.copies)
    if (c.group < 0) c.group = clock.groups;
  clock.groups++;
}

void waitCopies(int pending) {
  ThreadClock& clock = current->clock;
  const int done = pending < 0 ? clock.groups : clock.groups - pending;
  size_t kept = 0;
  for (size_t i = 0; i < clock.copies.size(); i++) {
    const AsyncCopy c = clock.copies[i];
    if (pending < 0 || (c.group >= 0 && c.group < done))
      deliver(c);
    else
      clock.copies[kept++] = c;
  }
  clock.copies.resize(kept);
}

}  // namespace callgrad::simt
