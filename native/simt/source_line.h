// Where in the source an address of this library is.
#pragma once
#include <string>

namespace callgrad::simt {

// "native/cuda/norm.cu:45 in rmsNormForward (inlined from …)" of the call that returns to
// `address`, or its offset in the library where there is no line table; "" for null.
std::string sourceLine(const void* address);

}  // namespace callgrad::simt
