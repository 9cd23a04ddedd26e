#include "ops/op_table.h"

namespace callgrad {

void declareLinearLogprobOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
