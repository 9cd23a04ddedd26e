import { random } from '../../../lib/conformance/row.js'

/** Reproducible numbers for test inputs. */
export function randomNumbers(seed: number): { below(n: number): number; unit(): number } {
  const unit = random(seed)
  return { unit, below: (n) => Math.floor(unit() * n) }
}
