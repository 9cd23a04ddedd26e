import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { PagePool } from '../../lib/rollout/pages.js'
import { randomNumbers } from './support/random.js'

test('the lowest free page comes first, whatever the order of returns', () => {
  const pool = new PagePool(6)
  assert.ok(pool.reserve(6))
  assert.equal(
    Array.from({ length: 6 }, () => pool.take()),
    [0, 1, 2, 3, 4, 5],
  )
  for (const page of [4, 1, 5]) pool.release(page)
  assert.ok(pool.reserve(3))
  assert.equal([pool.take(), pool.take(), pool.take()], [1, 4, 5])
})

test('a reservation is refused whole, and what is reserved is not available', () => {
  const pool = new PagePool(4)
  assert.ok(pool.reserve(3))
  assert.is(pool.available, 1)
  assert.not(pool.reserve(2))
  assert.is(pool.available, 1)
  pool.take()
  assert.is(pool.available, 1)
  pool.cancel(2)
  assert.is(pool.available, 3)
})

test('a shared page is free when its last user has gone', () => {
  const pool = new PagePool(1)
  pool.reserve(1)
  const page = pool.take()
  pool.retain(page)
  pool.release(page)
  assert.is(pool.available, 0)
  pool.release(page)
  assert.is(pool.available, 1)
  assert.throws(() => pool.release(page), /expected a page in use/)
  assert.throws(() => pool.retain(page), /expected a page in use/)
  assert.throws(() => pool.take(), /expected a reservation/)
})

test('no page has two owners and none is lost, over random traffic', () => {
  const random = randomNumbers(3)
  const size = 37
  const pool = new PagePool(size)
  const users = new Map<number, number>()
  let reserved = 0
  for (let i = 0; i < 20_000; i++) {
    const pages = [...users.keys()]
    const any = pages[random.below(Math.max(1, pages.length))]
    switch (random.below(5)) {
      case 0: {
        const count = random.below(5)
        const fits = count <= size - users.size - reserved
        assert.is(pool.reserve(count), fits)
        if (fits) reserved += count
        break
      }
      case 1:
        if (reserved > 0) {
          const page = pool.take()
          assert.not(users.has(page))
          for (let lower = 0; lower < page; lower++) assert.ok(users.has(lower))
          users.set(page, 1)
          reserved--
        }
        break
      case 2:
        if (any !== undefined) {
          pool.retain(any)
          users.set(any, users.get(any)! + 1)
        }
        break
      case 3:
        if (any !== undefined) {
          pool.release(any)
          if (users.get(any) === 1) users.delete(any)
          else users.set(any, users.get(any)! - 1)
        }
        break
      default: {
        const count = random.below(reserved + 1)
        pool.cancel(count)
        reserved -= count
      }
    }
    assert.is(pool.available, size - users.size - reserved)
  }
})

test.run()
