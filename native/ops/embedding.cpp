#include "ops/op_table.h"

namespace callgrad {

void declareEmbeddingOps(std::vector<OpDecl>&) {}

}  // namespace callgrad
