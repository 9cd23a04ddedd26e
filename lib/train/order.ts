/**
 * The order in which a run sees its data set: a function of (seed, position), without state. Epoch e is a permutation of all
 * examples drawn from (seed, e); position k is element k mod n of epoch floor(k / n). A resumed run continues at its position.
 */
export class DataOrder {
  private epoch = -1
  private permutation: Uint32Array = new Uint32Array(0)

  constructor(
    readonly size: number,
    private readonly seed: number,
    private readonly shuffle: boolean,
  ) {}

  /** The example at a position of the endless sequence of epochs. */
  at(position: number): number {
    const [epoch, index] = [Math.floor(position / this.size), position % this.size]
    if (!this.shuffle) return index
    if (epoch !== this.epoch) {
      this.permutation = permutationOf(this.size, this.seed, epoch)
      this.epoch = epoch
    }
    return this.permutation[index]!
  }

  /** Examples at positions `[start, start + count)`. */
  take(start: number, count: number): number[] {
    return Array.from({ length: count }, (_, i) => this.at(start + i))
  }
}

/** Fisher-Yates with numbers from (seed, stream); every (seed, stream) is a different permutation. */
export function permutationOf(size: number, seed: number, stream: number): Uint32Array {
  const order = Uint32Array.from({ length: size }, (_, i) => i)
  const next = generator(seed, stream)
  for (let i = size - 1; i > 0; i--) {
    const j = Math.floor((next() / 2 ** 32) * (i + 1))
    const swap = order[i]!
    order[i] = order[j]!
    order[j] = swap
  }
  return order
}

/** xoshiro128** (Blackman, Vigna), its state filled from (seed, stream) by a mixing function. Returns 32-bit numbers. */
function generator(seed: number, stream: number): () => number {
  let counter = 0
  const mixed = () => mix(mix(mix(seed >>> 0) ^ (stream >>> 0)) ^ (++counter * 0x9e3779b9))
  let [a, b, c, d] = [mixed(), mixed(), mixed(), mixed() | 1]
  return () => {
    const out = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotate(d, 11)
    return out
  }
}

const rotate = (x: number, by: number) => (x << by) | (x >>> (32 - by))

/** MurmurHash3's finaliser: every input bit moves every output bit. */
function mix(x: number): number {
  let h = x ^ (x >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}
