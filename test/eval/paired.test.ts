import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mcnemar } from '../../lib/eval/paired.js'

/** The two-sided binomial test by whole numbers: every split at most as likely, counted. */
function byCounting(onlyA: number, onlyB: number): number {
  const n = onlyA + onlyB
  let ways = 1n
  let extreme = 0n
  for (let k = 0; k <= n; k++) {
    if (Math.min(k, n - k) <= Math.min(onlyA, onlyB)) extreme += ways
    ways = (ways * BigInt(n - k)) / BigInt(k + 1)
  }
  return Number((extreme * 10n ** 15n) / 2n ** BigInt(n)) / 1e15
}

test("McNemar's p is the binomial test's, counted in whole numbers", () => {
  for (const [a, b] of [
    [0, 0],
    [1, 0],
    [5, 5],
    [0, 6],
    [9, 2],
    [30, 37],
    [100, 60],
    [300, 250],
  ] as const) {
    const exact = byCounting(a, b)
    assert.ok(Math.abs(mcnemar(a, b) - exact) < 1e-12 + 1e-9 * exact, `${a}, ${b}: ${mcnemar(a, b)}, expected ${exact}`)
    assert.is(mcnemar(a, b), mcnemar(b, a))
  }
  assert.ok(Math.abs(mcnemar(0, 6) - 2 / 64) < 1e-15)
})

test('thousands of differences neither overflow nor vanish', () => {
  assert.is(mcnemar(4000, 4000), 1)
  const p = mcnemar(4000, 4200)
  assert.ok(p > 0.025 && p < 0.035, String(p)) // normal approximation: z = 2.209 less continuity, p = 0.0279
  assert.is(mcnemar(3000, 0), 0)
})

test('its source stands alone: a page may carry it', () => {
  const carried = new Function(`return (${mcnemar})`)() as typeof mcnemar
  assert.is(carried(9, 2), mcnemar(9, 2))
})

test.run()
