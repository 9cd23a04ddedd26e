#include "ops/op_table.h"

namespace callgrad {

void declareKvCacheOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
