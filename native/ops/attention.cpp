#include "ops/op_table.h"

namespace callgrad {

void declareAttentionOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
