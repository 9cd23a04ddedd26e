import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { meanEstimate, wilson } from '../../lib/eval/intervals.js'

const near = (got: number, expected: number, tolerance = 5e-4) =>
  assert.ok(Math.abs(got - expected) <= tolerance, `${got}, expected ${expected}`)

test("Wilson's interval, values from R's prop.test(correct = FALSE)", () => {
  const cases: [number, number, number, number][] = [
    [0, 10, 0, 0.27753],
    [10, 10, 0.72247, 1],
    [5, 10, 0.23659, 0.76341],
    [150, 300, 0.44371, 0.55629],
    [1, 300, 0.00059, 0.01862],
  ]
  for (const [k, n, low, high] of cases) {
    const interval = wilson(k, n)
    near(interval.value, k / n)
    near(interval.low, low)
    near(interval.high, high)
  }
  assert.ok(Number.isNaN(wilson(0, 0).value))
})

test("Student's interval of a mean, quantiles from tables", () => {
  const { value, low, high } = meanEstimate([1, 2, 3, 4])
  near(value, 2.5)
  near(high - value, (3.1824 * Math.sqrt(5 / 3)) / 2)
  near(value - low, high - value)
  for (const [n, quantile] of [
    [12, 2.201],
    [21, 2.086],
    [31, 2.0423],
    [121, 1.9799],
  ] as const) {
    const values = Array.from({ length: n }, (_, i) => i)
    const sd = Math.sqrt((n * (n + 1)) / 12)
    near((meanEstimate(values).high - (n - 1) / 2) / (sd / Math.sqrt(n)), quantile)
  }
  assert.equal(meanEstimate([3, 3, 3]), { value: 3, low: 3, high: 3 })
  assert.is(meanEstimate([3]).high, Number.POSITIVE_INFINITY)
  assert.ok(Number.isNaN(meanEstimate([]).value))
})

test.run()
