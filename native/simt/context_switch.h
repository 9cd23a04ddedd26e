// Switching between stacks of one host thread: what a call preserves, nothing else.
#pragma once

#if !defined(__x86_64__) && !defined(__aarch64__)
#error "simt has a context switch for x86-64 and aarch64"
#endif

namespace callgrad::simt {

// Saves the caller's registers on its stack, its stack pointer to *save, and goes on where `load`
// was saved.
extern "C" void callgradSwitch(void** save, void* load) __attribute__((visibility("hidden")));

// A stack pointer from which callgradSwitch enters `entry`, which must not return.
void* prepareStack(char* top, void (*entry)());

}  // namespace callgrad::simt
