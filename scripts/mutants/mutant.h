// Included by mutated copies of CUDA sources (scripts/mutants.mjs): whether the mutant of this number is the one under test.
#pragma once
#include <type_traits>
#include <utility>

namespace callgrad {

bool mutant(int id);

// `b` instead of `a`, where both are numbers.
template <typename A, typename B>
decltype(auto) swapped(bool swap, A&& a, B&& b) {
  using Number = std::remove_cvref_t<A>;
  if constexpr (std::is_arithmetic_v<Number> && std::is_arithmetic_v<std::remove_cvref_t<B>>)
    return swap ? Number(b) : Number(a);
  else
    return std::forward<A>(a);
}

}  // namespace callgrad
