#include "simt/check/counters.h"

#include <algorithm>
#include <bit>
#include <unordered_map>
#include <vector>

#include "simt/grid.h"

namespace callgrad::simt {

bool countingOn = false;

namespace {

struct Group {
  unsigned lanes = 0;
  uint16_t bytes = 0;
  bool shared = false, write = false;
  uintptr_t address[kLanes];
};

struct WarpGroups {
  std::unordered_map<uint64_t, Group> open;                 // by place and turn
  std::unordered_map<const void*, uint32_t[kLanes]> turns;  // by place
};

Traffic total;
WarpGroups groups[kMaxWarps];

// Passes through the 32 banks of 4 bytes: 128 bytes go at once, so 16-byte accesses go by quarters
// of a warp. Words that are equal are read once.
uint64_t waves(const Group& g, uint64_t* least) {
  const int perPass = std::max(1, 128 / std::max<int>(g.bytes, 4));
  uint64_t sum = 0;
  *least = 0;
  uintptr_t words[kLanes * 4];
  for (int first = 0; first < kLanes; first += perPass) {
    int n = 0;
    for (int l = first; l < std::min(kLanes, first + perPass); l++) {
      if (!(g.lanes >> l & 1u)) continue;
      for (uintptr_t w = g.address[l] / 4; w <= (g.address[l] + g.bytes - 1) / 4; w++)
        words[n++] = w;
    }
    if (n == 0) continue;
    std::sort(words, words + n);
    const int distinct = int(std::unique(words, words + n) - words);
    int inBank[32] = {}, most = 0;
    for (int i = 0; i < distinct; i++) most = std::max(most, ++inBank[words[i] % 32]);
    sum += uint64_t(most);
    *least += 1;
  }
  return sum;
}

void close(const Group& g, unsigned live) {
  if (g.lanes != live) total.uncertain++;
  if (g.shared) {
    uint64_t least;
    total.sharedWaves += waves(g, &least);
    total.sharedLeast += least;
    return;
  }
  uintptr_t sectors[kLanes * 2];
  std::pair<uintptr_t, uintptr_t> spans[kLanes];
  int n = 0, count = 0;
  for (int l = 0; l < kLanes; l++) {
    if (!(g.lanes >> l & 1u)) continue;
    spans[count++] = {g.address[l], g.address[l] + g.bytes};
    for (uintptr_t s = g.address[l] / 32; s <= (g.address[l] + g.bytes - 1) / 32; s++)
      sectors[n++] = s;
  }
  std::sort(sectors, sectors + n);
  const uint64_t touched = uint64_t(std::unique(sectors, sectors + n) - sectors);
  std::sort(spans, spans + count);
  uint64_t bytes = 0;
  uintptr_t end = 0;
  for (int i = 0; i < count; i++) {
    const uintptr_t from = std::max(spans[i].first, end);
    if (spans[i].second > from) bytes += spans[i].second - from;
    end = std::max(end, spans[i].second);
  }
  (g.write ? total.writeSectors : total.readSectors) += touched;
  total.leastSectors += (bytes + 31) / 32;
}

}  // namespace

void countTraffic(bool on) { countingOn = on; }
Traffic& traffic() { return total; }

void count(Segment& s, uintptr_t p, size_t bytes, AccessKind kind, const void* place) {
  if (bytes > 16) return;  // a struct copied whole: its parts are not one instruction
  const Fiber& f = *current;
  const bool shared = &s == &sharedSegment(), write = writes(kind);
  if (!shared) {
    uint32_t* by = write ? s.writtenBy : s.readBy;
    for (size_t i = (p - s.begin) / 32; i <= (p + bytes - 1 - s.begin) / 32; i++) {
      if (by[i] == launchNumber()) continue;
      by[i] = launchNumber();
      (write ? total.writeUnique : total.readUnique)++;
    }
  }
  WarpGroups& w = groups[f.warp->index];
  const uint32_t turn = w.turns[place][f.lane]++;
  const uint64_t key =
      (uint64_t(reinterpret_cast<uintptr_t>(place)) * 2 + (write ? 1 : 0)) * 0x9e3779b97f4a7c15u +
      turn;
  Group& g = w.open[key];
  g.lanes |= 1u << f.lane;
  g.bytes = uint16_t(bytes);
  g.shared = shared;
  g.write = write;
  g.address[f.lane] = p;
  if (g.lanes != f.warp->live) return;
  close(g, f.warp->live);
  w.open.erase(key);
}

void countFlush(Warp& w) {
  WarpGroups& g = groups[w.index];
  const int lanes = std::min(kLanes, w.executor->threads - w.index * kLanes);
  const unsigned whole = lanes >= kLanes ? 0xffffffffu : (1u << lanes) - 1;
  for (auto& [key, group] : g.open) close(group, whole);
  g.open.clear();
  g.turns.clear();
}

void countFlush(Executor& e) {
  for (int i = 0; i < e.warpCount; i++) countFlush(e.warps[i]);
}

void countBlockStart(Executor&) {
  for (WarpGroups& g : groups) {
    g.open.clear();
    g.turns.clear();
  }
}

}  // namespace callgrad::simt
