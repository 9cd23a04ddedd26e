// Which rows of a decode step are walked together. Prints a line for each test; the exit code is
// the number of those that failed.
#include "cpu/decode_rows.h"

#include <algorithm>
#include <random>
#include <string>

#include "native/expect.h"

namespace callgrad::cpu {
namespace {

// Prompts as lists of pages, and which of them each row continues.
struct Batch {
  std::vector<std::vector<int32_t>> prompts;
  std::vector<int32_t> lens, rowGroup;
  int64_t pageSize = 16;

  std::vector<RowRange> cut(const RowCut& cut) const {
    size_t width = 0;
    for (const auto& pages : prompts) width = std::max(width, pages.size());
    std::vector<int32_t> table(prompts.size() * width, 0);
    for (size_t g = 0; g < prompts.size(); g++)
      std::copy(prompts[g].begin(), prompts[g].end(), table.begin() + int64_t(g * width));
    const PrefixTables tables{rowGroup.data(), table.data(), lens.data(), int64_t(width), pageSize};
    std::vector<RowRange> ranges;
    appendRanges(tables, 0, int64_t(rowGroup.size()), cut, ranges);
    return ranges;
  }
};

constexpr RowCut kWide{64, 16, 16};

// "0-3:128 3-4:96": rows from and to, and the keys that they share.
std::string shown(const std::vector<RowRange>& ranges) {
  std::string text;
  for (const RowRange& r : ranges)
    text += (text.empty() ? "" : " ") + std::to_string(r.begin) + "-" + std::to_string(r.end) +
            ":" + std::to_string(r.shared);
  return text;
}

#define EXPECT_CUT(ranges, text) expect(shown(ranges) == text, shown(ranges), __LINE__)

// `count` pages from `first` on: two prompts that begin with the same ones begin alike.
std::vector<int32_t> pages(int32_t first, int32_t count) {
  std::vector<int32_t> list;
  for (int32_t i = 0; i < count; i++) list.push_back(first + i);
  return list;
}

std::vector<int32_t> joined(std::vector<int32_t> a, const std::vector<int32_t>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void rowsOfAGroupShareAllOfIt() {
  Batch b{{pages(0, 3), pages(9, 2)}, {40, 30}, {0, 0, 0, 1, 1}};
  EXPECT_CUT(b.cut(kWide), "0-3:40 3-5:30");
  EXPECT_CUT(b.cut({64, 2, 16}), "0-2:40 2-3:40 3-5:30");  // at most 2 of a group
}

void promptsThatBeginAlikeShareWholeBlocks() {
  Batch b{
      {joined(pages(0, 9), pages(20, 1)), joined(pages(0, 9), pages(30, 1))}, {150, 160}, {0, 1}};
  EXPECT_CUT(b.cut(kWide), "0-2:128");  // 144 keys are of the same pages
  b.pageSize = 24;                      // 9 pages of 24: 216, both prompts end before
  EXPECT_CUT(b.cut(kWide), "0-2:128");
  b.pageSize = 128;
  EXPECT_CUT(b.cut(kWide), "0-2:128");
}

// One prompt ends within the last page that both have: what follows there is the other's.
void aPromptEndsWhereItEnds() {
  Batch b{{pages(0, 8), joined(pages(0, 8), pages(20, 5))}, {120, 200}, {0, 1}};
  EXPECT_CUT(b.cut(kWide), "0-2:64");
}

void aPageElsewhereIsNotShared() {
  Batch b{{pages(0, 8), joined({50}, pages(1, 7))}, {128, 128}, {0, 1}};
  EXPECT_CUT(b.cut(kWide), "0-1:128 1-2:128");
}

void whatIsLittleOfAPromptIsNotShared() {
  Batch b{
      {joined(pages(0, 4), pages(20, 12)), joined(pages(0, 4), pages(40, 13))}, {256, 256}, {0, 1}};
  EXPECT_CUT(b.cut(kWide), "0-2:64");
  b.lens[1] = 257;
  EXPECT_CUT(b.cut(kWide), "0-1:256 1-2:257");
}

void rangesOfSeveralGroupsHaveTheirOwnBound() {
  Batch b{{pages(0, 8), pages(0, 8), pages(0, 8), pages(30, 8)},
          {128, 128, 128, 128},
          {0, 1, 2, 3, 3, 3, 3}};
  EXPECT_CUT(b.cut({64, 4, 1}), "0-1:128 1-2:128 2-3:128 3-7:128");
  EXPECT_CUT(b.cut({64, 4, 2}), "0-2:128 2-3:128 3-7:128");
  EXPECT_CUT(b.cut({64, 4, 3}), "0-3:128 3-7:128");
  b.rowGroup = {0, 1, 0};  // the first group again, after another
  EXPECT_CUT(b.cut({64, 4, 2}), "0-2:128 2-3:128");
}

// The first two have a block in common, the last three have three.
void whoComesFirstIsNotTakenFirst() {
  const auto begin = pages(0, 4), more = pages(10, 8);
  Batch b{
      {joined(begin, pages(30, 4)), joined(begin, more), joined(begin, more), joined(begin, more)},
      {128, 192, 192, 192},
      {0, 1, 2, 3}};
  EXPECT_CUT(b.cut(kWide), "0-1:128 1-4:192");
  EXPECT_CUT(b.cut({64, 16, 2}), "0-2:64 2-4:192");
}

// Against every way to cut, on small batches of random prompts.
void noCutSparesMore() {
  std::mt19937 random(1);
  const auto below = [&](int n) { return int(random() % unsigned(n)); };
  for (int round = 0; round < 300; round++) {
    Batch b;
    for (int g = 0; g < 4; g++) {
      b.prompts.push_back(joined(pages(0, 4 * below(4)), pages(100 * (g + 1), 13)));
      b.lens.push_back(64 + below(140));
    }
    const int rows = 1 + below(8);
    for (int r = 0; r < rows; r++) b.rowGroup.push_back(below(4));
    const RowCut cut{64, 1 + below(5), 1 + below(5)};
    const std::vector<RowRange> ranges = b.cut(cut);

    const auto shares = [&](int from, int to) {  // keys that the rows have in common; -1: too many
      const int g = b.rowGroup[size_t(from)];
      bool mixed = false;
      int64_t keys = b.lens[size_t(g)];
      for (int r = from + 1; r < to; r++) {
        const size_t one = size_t(b.rowGroup[size_t(r) - 1]), two = size_t(b.rowGroup[size_t(r)]);
        if (one == two) continue;
        mixed = true;
        const auto [least, largest] = std::minmax(b.lens[one], b.lens[two]);
        int64_t alike = 0;
        while (alike < 13 && b.prompts[one][size_t(alike)] == b.prompts[two][size_t(alike)])
          alike++;
        int64_t blocks = std::min<int64_t>(alike * 16, least) / 64 * 64;
        if (blocks * 4 < largest) blocks = 0;
        keys = std::min(keys, blocks);
      }
      const int64_t most = mixed ? std::min(cut.mostOfGroup, cut.mostMixed) : cut.mostOfGroup;
      return to - from > most ? int64_t(-1) : keys;
    };
    int64_t best = -1;
    for (unsigned ends = 0; ends < 1u << (rows - 1); ends++) {  // bit r: a range ends after row r
      int64_t spared = 0;
      int from = 0;
      for (int r = 0; r < rows && spared >= 0; r++) {
        if (r + 1 < rows && !(ends >> r & 1)) continue;
        const int64_t keys = shares(from, r + 1);
        spared = keys < 0 ? -1 : spared + (r - from) * keys;
        from = r + 1;
      }
      best = std::max(best, spared);
    }
    int64_t spared = 0, at = 0;
    for (const RowRange& range : ranges) {
      EXPECT(range.begin == at && range.end > range.begin);
      EXPECT(range.shared == shares(int(range.begin), int(range.end)));
      spared += (range.end - range.begin - 1) * range.shared;
      at = range.end;
    }
    EXPECT(at == rows);
    EXPECT(spared == best);
  }
}

}  // namespace
}  // namespace callgrad::cpu

int main() {
  using namespace callgrad::cpu;
  return callgrad::runTests({
      {"rows of a group share all of it", rowsOfAGroupShareAllOfIt},
      {"prompts that begin alike share whole blocks", promptsThatBeginAlikeShareWholeBlocks},
      {"a prompt ends where it ends", aPromptEndsWhereItEnds},
      {"a page elsewhere is not shared", aPageElsewhereIsNotShared},
      {"what is little of a prompt is not shared", whatIsLittleOfAPromptIsNotShared},
      {"ranges of several groups have their own bound", rangesOfSeveralGroupsHaveTheirOwnBound},
      {"who comes first is not taken first", whoComesFirstIsNotTakenFirst},
      {"no cut spares more", noCutSparesMore},
  });
}
