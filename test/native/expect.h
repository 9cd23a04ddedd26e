// The least of a test runner, for programs that are their own tests (program.ts runs them).
#pragma once
#include <cstdio>
#include <initializer_list>
#include <string>
#include <utility>

namespace callgrad {

inline int failures = 0;
inline const char* running = "";

inline void expect(bool holds, const std::string& what, int line) {
  if (holds) return;
  printf("FAIL %s: line %d: %s\n", running, line, what.c_str());
  failures++;
}
#define EXPECT(x) expect(x, #x, __LINE__)

// Prints how many tests there are and a line for each; returns the number of failures.
inline int runTests(std::initializer_list<std::pair<const char*, void (*)()>> tests) {
  printf("1..%zu\n", tests.size());
  for (const auto& [name, test] : tests) {
    running = name;
    const int before = failures;
    test();
    printf("%s %s\n", failures == before ? "ok" : "FAILED", name);
  }
  return failures;
}

}  // namespace callgrad
