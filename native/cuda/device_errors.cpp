#include "cuda/device_errors.h"

#include <iterator>
#include <string>

#include "ops/op_table.h"

namespace callgrad::gpu {
namespace {

// By Fault, in the words of the cpu kernels; the placeholders are explained beside Fault.
constexpr const char* kTexts[] = {
    "",
    "expected row indices in [0, %L), got %V at %I",
    "expected token ids in [0, %L), got %V at row %I",
    "expected targets in [0, %L), got %V at row %I",
    "expected positions in [0, %L), got %V at row %I",
    "expected slots in [-1, %L), got %V at %I",
    "expected rowGroup in [-1, %L), got %V at %I",
    "expected ownLens in [0, %L], got %V at %I",
    "expected prefixLens in [0, %L], got %V at %I",
    "expected ownPages in [0, %L), got %V at [%D, %R]",
    "expected prefixPages in [0, %L), got %V at [%D, %R]",
    "expected ownPages of row %I to hold a page id for token %O, got %V",
    "expected spans inside [0, %L], got [%V, %O) at %I",
    "expected segment %I to have query rows inside [0, %L], got [%V, %O)",
    "expected segment %I to have spans inside [0, %L], got [%V, %O)",
    "expected segment %I to have own keys inside [0, %L], got %V from %O (rows + causalOffset)",
    "expected segments whose query rows do not overlap, got row %I in two",
    "expected logits with a finite maximum, got NaN or infinity in row %I",
    "expected offsets that rise from 0 to %L, got %V at %I",
};
static_assert(std::size(kTexts) == size_t(Fault::kCount));

}  // namespace

Status faultStatus(const ErrorRecord& record) {
  if (record.owner == 0) return {};
  const size_t fault = size_t(record.owner & 0xff), op = size_t(record.owner >> 8 & 0xffff);
  if (fault == 0 || fault >= size_t(Fault::kCount) || op >= opTable().size())
    return error(Code::kInternal, "expected an error record that a kernel wrote, got owner %llx",
                 record.owner);
  const unsigned long long where = ~record.where;
  const long long index = (long long)(where >> 32), value = int32_t(uint32_t(where));
  const long long other = int32_t(uint32_t(~record.other)), width = other > 0 ? other : 1;
  std::string text = "[" + std::string(opTable()[op].name) + "] ";
  for (const char* p = kTexts[fault]; *p; p++) {
    if (*p != '%') {
      text += *p;
      continue;
    }
    switch (*++p) {
      case 'L':
        text += std::to_string(record.limit);
        break;
      case 'V':
        text += std::to_string(value);
        break;
      case 'O':
        text += std::to_string(other);
        break;
      case 'D':
        text += std::to_string(index / width);
        break;
      case 'R':
        text += std::to_string(index % width);
        break;
      default:
        text += std::to_string(index);
    }
  }
  return Status(Code::kRange, text);
}

}  // namespace callgrad::gpu
