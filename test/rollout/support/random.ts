/** A small seeded generator (mulberry32) for test inputs. */
export function randomNumbers(seed: number): { below(n: number): number; unit(): number } {
  let state = seed >>> 0
  const unit = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  return { unit, below: (n) => Math.floor(unit() * n) }
}
