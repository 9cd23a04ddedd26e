// Result of native work. Exceptions exist only at the N-API edge; everything below returns a
// Status.
#pragma once
#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>

namespace callgrad {

enum class Code { kOk, kType, kShape, kDType, kRange, kDisposed, kMemory, kDevice, kInternal };

constexpr const char* codeName(Code c) {
  switch (c) {
    case Code::kOk:
      return "OK";
    case Code::kType:
      return "ERR_TYPE";
    case Code::kShape:
      return "ERR_SHAPE";
    case Code::kDType:
      return "ERR_DTYPE";
    case Code::kRange:
      return "ERR_RANGE";
    case Code::kDisposed:
      return "ERR_DISPOSED";
    case Code::kMemory:
      return "ERR_MEMORY";
    case Code::kDevice:
      return "ERR_DEVICE";
    case Code::kInternal:
      return "ERR_INTERNAL";
  }
  return "ERR_INTERNAL";
}

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

// printf-style constructor: `return error(Code::kShape, "expected …, got %ld", n);`
__attribute__((format(printf, 2, 3))) inline Status error(Code code, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return Status(code, text);
}

#define CG_RETURN_IF_ERROR(expression)                                            \
  do {                                                                            \
    if (::callgrad::Status status_ = (expression); !status_.ok()) return status_; \
  } while (0)

}  // namespace callgrad
