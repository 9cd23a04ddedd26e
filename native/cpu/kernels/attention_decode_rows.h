// Which rows of a decode step are walked together, for the keys that they share to be read and
// packed once.
//
// Rows share all of a prefix when they are of one group, and the beginning of two when the tables
// of two groups begin with the same pages: prompts that begin alike, computed once. Of those pages
// whole blocks of 64 keys count, so that a row meets the same blocks with and without company.
#pragma once
#include <algorithm>
#include <vector>

#include "cpu/kernels/attention_block.h"

namespace callgrad::cpu::CG_ISA {

// Prefixes of groups: lens [G], pages [G, width].
struct PrefixTables {
  const int32_t *rowGroup, *pages, *lens;
  int64_t width, pageSize;
};

// Adjacent rows whose prefixes have the first `shared` keys in common.
struct RowRange {
  int64_t begin, end, shared;
};

inline int64_t sharedKeys(const PrefixTables& t, int64_t a, int64_t b) {
  if (a == b) return t.lens[a];
  const int64_t least = std::min(t.lens[a], t.lens[b]);
  int64_t same = 0;
  while (same * t.pageSize < least && t.pages[a * t.width + same] == t.pages[b * t.width + same])
    same++;
  return std::min(same * t.pageSize, least) / kKeyBlock * kKeyBlock;
}

// Cuts rows that are of groups all into ranges of at most `most`, so that the most keys are spared:
// (rows - 1) x shared, summed over the ranges. Where one prompt shares much with the next and the
// next more with those behind it, taking whoever comes first would spare little.
inline void appendRanges(const PrefixTables& t, int64_t begin, int64_t end, int64_t most,
                         std::vector<RowRange>& ranges) {
  const size_t rows = size_t(end - begin);
  std::vector<int64_t> spared(rows + 1, 0);
  std::vector<RowRange> last(rows + 1);  // of the best cut of so many rows
  std::vector<int64_t> link(rows, 0);    // keys shared with the row before
  for (size_t i = 1; i < rows; i++)
    link[i] = sharedKeys(t, t.rowGroup[begin + int64_t(i) - 1], t.rowGroup[begin + int64_t(i)]);
  for (size_t n = 1; n <= rows; n++) {
    int64_t shared = t.lens[t.rowGroup[begin + int64_t(n) - 1]];
    spared[n] = -1;
    for (size_t count = 1; count <= std::min(n, size_t(most)); count++) {
      if (count > 1) shared = std::min(shared, link[n - count + 1]);
      const int64_t total = spared[n - count] + int64_t(count - 1) * shared;
      if (total <= spared[n]) continue;
      spared[n] = total;
      last[n] = {begin + int64_t(n - count), begin + int64_t(n), shared};
    }
  }
  const size_t first = ranges.size();
  for (size_t n = rows; n > 0; n = size_t(last[n].begin - begin)) ranges.push_back(last[n]);
  std::reverse(ranges.begin() + int64_t(first), ranges.end());
}

}  // namespace callgrad::cpu::CG_ISA
