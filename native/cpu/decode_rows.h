// Which rows of a decode step are walked together, for the keys that they share to be read and
// packed once.
//
// Rows share all of a prefix when they are of one group, and the beginning of two when the tables
// of two groups begin with the same pages: prompts that begin alike, computed once. Of those pages
// whole blocks of keys count, so that a row meets the same blocks with and without company.
#pragma once
#include <cstdint>
#include <vector>

namespace callgrad::cpu {

// Prefixes of groups: lens [G], pages [G, width].
struct PrefixTables {
  const int32_t *rowGroup, *pages, *lens;
  int64_t width, pageSize;
};

// Adjacent rows whose prefixes have the first `shared` keys in common.
struct RowRange {
  int64_t begin, end, shared;
};

// How rows may be cut: keys of a block, most rows of a range whose rows are of one group and of any
// other (such a range is a longer task, and walks what is not shared alone).
struct RowCut {
  int64_t block, mostOfGroup, mostMixed;
};

// Appends ranges of the rows [begin, end), all of them of groups, so that the most keys are spared:
// (rows - 1) x shared, summed over the ranges. Two groups share nothing where it would be less than
// a quarter of either prefix: that spares too little to be worth tasks that are fewer and longer.
void appendRanges(const PrefixTables& tables, int64_t begin, int64_t end, const RowCut& cut,
                  std::vector<RowRange>& ranges);

}  // namespace callgrad::cpu
