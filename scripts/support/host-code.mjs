// What nvcc leaves to the host of a .cu file.

import { output } from './exec.mjs'

/**
 * Whether host code of an object file calls a function that is for the device only. nvcc compiles such a call without a word
 * where a template hides it, and gives the function a body for the host that ends the process: `exit(1)`, which no kernel's
 * source calls otherwise.
 */
export function callsDeviceCode(object) {
  return namesExit(output('nm', ['-u', object]))
}

/** The same of what `nm -u` printed; null where it did not run. */
export function namesExit(symbols) {
  if (symbols === null) throw new Error('nm of the binutils did not read the object file')
  return /\bU (?:exit|_?Exit|_exit)(?:@\S*)?$/m.test(symbols)
}
