#include "ops/op_table.h"

namespace callgrad {

void declareSampleOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
