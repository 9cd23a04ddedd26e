// The emulator's part of ptx_host.h: what the twins of PTX instructions call.
#pragma once
#include <cstdint>

namespace callgrad::simt {

// Checked builds only: an access of a stated width, and a row of ldmatrix.
void loadChecked(void* to, const void* from, unsigned bytes);
void storeChecked(void* to, const void* from, unsigned bytes);
void checkMatrixRow(const void* p, const void* place);

// Meetings of all 32 lanes; each names its own registers.
void mmaBf16(float* d, const uint32_t* a, const uint32_t* b, int m, int n);
void mmaTf32(float* d, const uint32_t* a, const uint32_t* b, int m, int n);
void loadMatrix(uint32_t* r, const uintptr_t* rows, int matrices, int count, bool transposed);
uint32_t transposeMatrix(uint32_t a);
void sumOverWarp(float* v, int count);
void sumOverQuad(float* v, int count);
void maxOverWarp(float* v, int count);
void maxOverQuad(float* v, int count);

void copyAsync(uintptr_t to, const void* from, int width, int bytes);
void commitCopies();
void waitCopies(int pending);  // -1: for those of no group too

}  // namespace callgrad::simt
