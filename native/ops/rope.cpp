#include "ops/op_table.h"

namespace callgrad {

void declareRopeOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
