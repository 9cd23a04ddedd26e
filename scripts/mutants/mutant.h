// Included by mutated copies of CUDA sources (scripts/mutants.mjs): whether the mutant of this number is the one under test.
#pragma once

namespace callgrad {

bool mutant(int id);

}  // namespace callgrad
