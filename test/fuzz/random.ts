import { random } from '../../lib/conformance/row.js'

/** Reproducible choices. */
export class Random {
  readonly next: () => number

  constructor(seed: number) {
    this.next = random(seed)
  }

  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }

  chance(p: number): boolean {
    return this.next() < p
  }

  /** One of `list` by weight. */
  weighted<T extends { weight: number }>(list: readonly T[]): T {
    let at = this.next() * list.reduce((sum, x) => sum + x.weight, 0)
    for (const x of list) if ((at -= x.weight) < 0) return x
    return list.at(-1)!
  }
}

/** Values that are no tensor, no number, no shape, no text. */
export const strange: readonly unknown[] = [
  null,
  undefined,
  {},
  [],
  'x',
  '',
  7,
  -1,
  Number.NaN,
  true,
  10n,
  Symbol('s'),
  { id: 1 },
  [[1], [2]],
  new Float32Array(3),
  new BigInt64Array(2),
  new DataView(new ArrayBuffer(8)),
  new Date(0),
  () => 0,
  new Proxy({}, {}),
  Object.create(null),
]

export const numbers = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  7,
  0.5,
  1.5,
  1e-30,
  5e-324,
  1e300,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 40,
  2 ** 53,
  2 ** 63,
  -(2 ** 31),
  -(2 ** 53),
  Number.MAX_VALUE,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
]

/** What a table of indices may hold. */
export const tableValues = [-1, -2, 0, 1, 2, 3, 5, 59, 1000, 2 ** 30, -(2 ** 31), 2 ** 31 - 1]

/** Sizes whose products stay small. */
export const sizes = [0, 1, 1, 2, 3, 4, 5, 8, 12, 16, 31, 59, 64]
