#include "cpu/decode_rows.h"

#include <algorithm>

namespace callgrad::cpu {
namespace {

int64_t sharedKeys(const PrefixTables& t, int64_t a, int64_t b, int64_t block) {
  if (a == b) return t.lens[a];
  const auto [least, largest] = std::minmax(t.lens[a], t.lens[b]);
  int64_t same = 0;
  while (same * t.pageSize < least && t.pages[a * t.width + same] == t.pages[b * t.width + same])
    same++;
  const int64_t keys = std::min<int64_t>(same * t.pageSize, least) / block * block;
  return keys * 4 < largest ? 0 : keys;
}

}  // namespace

// Taking whoever comes first would spare little where one prompt shares much with the next and the
// next more with those behind it: the best cut of n rows is found from the best ones of fewer.
void appendRanges(const PrefixTables& t, int64_t begin, int64_t end, const RowCut& cut,
                  std::vector<RowRange>& ranges) {
  const size_t rows = size_t(end - begin);
  const auto groupOf = [&](size_t row) { return t.rowGroup[begin + int64_t(row)]; };
  std::vector<int64_t> spared(rows + 1, 0);
  std::vector<RowRange> last(rows + 1);  // of the best cut of so many rows
  std::vector<int64_t> link(rows, 0);    // keys shared with the row before
  for (size_t i = 1; i < rows; i++) link[i] = sharedKeys(t, groupOf(i - 1), groupOf(i), cut.block);
  for (size_t n = 1; n <= rows; n++) {
    int64_t shared = t.lens[groupOf(n - 1)], most = cut.mostOfGroup;
    spared[n] = -1;
    for (size_t count = 1; count <= n; count++) {
      const size_t first = n - count;
      if (count > 1) shared = std::min(shared, link[first + 1]);
      if (groupOf(first) != groupOf(n - 1)) most = std::min(cut.mostOfGroup, cut.mostMixed);
      if (int64_t(count) > most) break;
      const int64_t total = spared[first] + int64_t(count - 1) * shared;
      if (total <= spared[n]) continue;
      spared[n] = total;
      last[n] = {begin + int64_t(first), begin + int64_t(n), shared};
    }
  }
  const size_t appended = ranges.size();
  for (size_t n = rows; n > 0; n = size_t(last[n].begin - begin)) ranges.push_back(last[n]);
  std::reverse(ranges.begin() + int64_t(appended), ranges.end());
}

}  // namespace callgrad::cpu
