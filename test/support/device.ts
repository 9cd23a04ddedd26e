import { test } from 'uvu'

/** Device that the tests of ops run on: CALLGRAD_TEST_DEVICE, else the cpu. */
export const testDevice: string = process.env.CALLGRAD_TEST_DEVICE ?? 'cpu'

/** For what only the cpu promises: packed weights, and the bits of training in decoding and in split sums. */
export const cpuTest: (name: string, run: () => unknown) => void =
  testDevice === 'cpu' ? (name, run) => test(name, async () => void (await run())) : () => undefined
