/**
 * Random numbers for data: shuffles, splits, synthetic tasks. Keyed, not seeded in sequence: `Random.of(seed, 'split')` and
 * `Random.of(seed, 'shuffle', epoch)` are independent streams that do not depend on what was drawn elsewhere.
 *
 * The generator is sfc32 (C. Doty-Humphrey, PractRand), its state hashed from the keys with FNV-1a and a finalizer. Rollouts do
 * not use it; they have Philox.
 */
export class Random {
  private constructor(
    private a: number,
    private b: number,
    private c: number,
    private counter: number,
  ) {
    for (let i = 0; i < 15; i++) this.uint32()
  }

  static of(...keys: (number | string)[]): Random {
    const text = keys.map((key) => `${typeof key}:${key}`).join('|')
    return new Random(hash(text, 0x811c9dc5), hash(text, 0x9e3779b9), hash(text, 0x243f6a88), 1)
  }

  /** An integer in [0, 2^32). */
  uint32(): number {
    const t = (((this.a + this.b) | 0) + this.counter) | 0
    this.counter = (this.counter + 1) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) | 0
    return t >>> 0
  }

  /** A number in [0, 1). */
  uniform(): number {
    return this.uint32() / 2 ** 32
  }

  /** An integer in [low, high], both included. */
  integer(low: number, high: number): number {
    return low + Math.floor(this.uniform() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.uniform() < probability
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('[random] expected at least one item to pick from')
    return items[this.integer(0, items.length - 1)] as T
  }

  /** A shuffled copy (Fisher and Yates). */
  shuffle<T>(items: readonly T[]): T[] {
    const copy = [...items]
    for (let i = copy.length - 1; i > 0; i--) {
      const j = this.integer(0, i)
      const held = copy[i] as T
      copy[i] = copy[j] as T
      copy[j] = held
    }
    return copy
  }

  /** `count` different items in random order; all of them where there are fewer. */
  sample<T>(items: readonly T[], count: number): T[] {
    return this.shuffle(items).slice(0, count)
  }
}

function hash(text: string, basis: number): number {
  let h = basis | 0
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}
