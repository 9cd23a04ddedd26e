import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { DataOrder, permutationOf } from '../../lib/train/order.js'

const sorted = (x: Iterable<number>) => Array.from(x).sort((a, b) => a - b)

test('every epoch is a permutation, another one each time, and the same for the same seed', () => {
  const order = new DataOrder(10, 7, true)
  const [first, second] = [order.take(0, 10), order.take(10, 10)]
  const all = Array.from({ length: 10 }, (_, i) => i)
  assert.equal(sorted(first), all)
  assert.equal(sorted(second), all)
  assert.not.equal(first, second)
  assert.not.equal(new DataOrder(10, 8, true).take(0, 10), first)
})

test('a position does not depend on what was asked before', () => {
  const whole = new DataOrder(7, 3, true).take(0, 40)
  const jumping = new DataOrder(7, 3, true)
  for (const position of [33, 2, 20, 39, 0]) assert.is(jumping.at(position), whole[position])
})

test('without shuffling the order is that of the file', () => {
  assert.equal(new DataOrder(3, 1, false).take(2, 5), [2, 0, 1, 2, 0])
})

test('places are evenly filled: chi-square over 6,000 permutations of 6', () => {
  const counts = Array.from({ length: 6 }, () => new Array<number>(6).fill(0))
  for (let stream = 0; stream < 6000; stream++) {
    permutationOf(6, 42, stream).forEach((value, place) => {
      counts[place]![value]!++
    })
  }
  const chi = counts.flat().reduce((sum, n) => sum + (n - 1000) ** 2 / 1000, 0)
  assert.ok(chi < 55, `chi-square ${chi} for 25 degrees of freedom`)
})

test.run()
