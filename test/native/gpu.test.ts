import { test } from 'uvu'
import { built, program } from './program.js'

// The tests of the GPU device itself are a program (test/native/gpu): its runtime is one that they hold back and break.
program('the GPU device keeps its promises over a runtime that is slow, full or broken', 'gpu_device_test')
program('products by cuBLAS, by a library that stands in for it', 'gpu_cublas_test', [
  built('cublas_standin.so'),
  built('cublas_partial.so'),
])

test.run()
