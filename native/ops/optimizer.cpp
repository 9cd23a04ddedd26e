#include "ops/op_table.h"

namespace callgrad {

void declareOptimizerOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
