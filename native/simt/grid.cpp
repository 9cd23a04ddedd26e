#include "simt/grid.h"

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

#include "core/parallel.h"
#ifdef CG_SIMT_CHECKED
#include "simt/check/counters.h"
#include "simt/check/history.h"
#endif

namespace callgrad::simt {
namespace {

Status refused(const gpu::Launch& l, const std::string& text) {
  return Status(Code::kDevice, "kernel " + std::string(l.name) + ": " + text);
}

Status checkShape(const gpu::Launch& l) {
  const uint64_t threads = uint64_t(l.block.x) * l.block.y * l.block.z;
  if (threads < 1 || threads > kMaxThreads || l.block.z > 64)
    return refused(l, "expected 1 to 1,024 threads in a block, got " + std::to_string(threads));
  if (l.grid.x > 0x7fffffffu || l.grid.y > 65535 || l.grid.z > 65535)
    return refused(l, "expected a grid of at most 2147483647 x 65535 x 65535 blocks, got " +
                          std::to_string(l.grid.x) + " x " + std::to_string(l.grid.y) + " x " +
                          std::to_string(l.grid.z));
  if (l.sharedBytes > Executor::kSharedBytes)
    return refused(l, "expected at most " + std::to_string(Executor::kSharedBytes) +
                          " bytes of shared memory, got " + std::to_string(l.sharedBytes));
  return {};
}

Executor* threadExecutor() {
  static thread_local std::unique_ptr<Executor> own = std::make_unique<Executor>();
  return own->ready() ? own.get() : nullptr;
}

#ifdef CG_SIMT_CHECKED
uint64_t seed() {
  static const uint64_t value = [] {
    const char* text = getenv("CALLGRAD_SIMT_SEED");
    return text ? strtoull(text, nullptr, 10) : 1;
  }();
  return value;
}
#endif

}  // namespace

Status runGrid(const gpu::Launch& l, Counts* counts, KernelCounts* memory) {
  CG_RETURN_IF_ERROR(checkShape(l));
  const uint64_t blocks = uint64_t(l.grid.x) * l.grid.y * l.grid.z;
  std::mutex mutex;
  std::string failed;
  uint64_t failedBlock = ~uint64_t(0);
  std::atomic<bool> stop{false};

  const auto run = [&](uint64_t begin, uint64_t end) {
    Executor* e = threadExecutor();
    if (!e) {
      std::lock_guard lock(mutex);
      failed = "out of memory for the stacks of its threads";
      failedBlock = 0;
      stop = true;
      return;
    }
    e->counts = Counts{};
    for (uint64_t b = begin; b < end && !stop.load(std::memory_order_relaxed); b++) {
      uint64_t number = b, order = 0;
#ifdef CG_SIMT_CHECKED
      // Blocks in an order of the seed's: steps of a prime, which meet each once.
      constexpr uint64_t kStep = 2654435761u;
      if (blocks < kStep) number = (b * kStep + seed() % blocks) % blocks;
      order = Random{seed() ^ (number + 1) * 0x94d049bb133111ebu}.next();
#endif
      if (e->run(l, number, order)) continue;
      std::lock_guard lock(mutex);
      if (number < failedBlock) {
        failedBlock = number;
        failed = e->failure().text;
      }
      stop = true;
    }
    std::lock_guard lock(mutex);
    counts->add(e->counts);
  };

#ifdef CG_SIMT_CHECKED
  // The checks keep one history: launches of different devices take turns.
  static std::mutex one;
  std::lock_guard turn(one);
  startLaunch();
  traffic() = Traffic{};
  run(0, blocks);
  const Traffic& t = traffic();
  memory->readSectors = t.readSectors;
  memory->writeSectors = t.writeSectors;
  memory->leastSectors = t.leastSectors;
  memory->readUnique = t.readUnique;
  memory->writeUnique = t.writeUnique;
  memory->sharedWaves = t.sharedWaves;
  memory->sharedLeast = t.sharedLeast;
  memory->uncertain = t.uncertain;
#else
  // Blocks are independent: as many host threads as there are, in pieces that are worth one.
  const uint64_t piece = blocks < 64 ? 1 : blocks / 64;
  const int64_t pieces = int64_t((blocks + piece - 1) / piece);
  if (pieces == 1)
    run(0, blocks);
  else
    parallelTasks(pieces, [&](int64_t i, int) {
      run(uint64_t(i) * piece, std::min(blocks, uint64_t(i + 1) * piece));
    });
#endif
  if (!stop) return {};
  return refused(l, failed);
}

}  // namespace callgrad::simt
