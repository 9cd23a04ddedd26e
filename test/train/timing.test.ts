import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Stopwatch } from '../../lib/train/timing.js'

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

test('a phase pays for the work that it queued', async () => {
  let queued = 0
  const stopwatch = new Stopwatch(async () => {
    const ms = queued
    queued = 0
    await sleep(ms)
  })
  await stopwatch.time('first', () => {
    queued = 60
  })
  await stopwatch.time('second', () => {})
  const { 'timing/first': first, 'timing/second': second, step_time: whole } = stopwatch.take()
  assert.ok(first! >= 0.055, `${first}`)
  assert.ok(second! < 0.05, `${second}`)
  assert.ok(whole! >= first! + second!)
})

test('a phase that fails, or whose queued work fails, has its time and its error', async () => {
  const stopwatch = new Stopwatch(() => Promise.reject(new Error('on the device')))
  const failure = async (work: () => number) => {
    try {
      await stopwatch.time('phase', work)
      return 'none'
    } catch (error) {
      return (error as Error).message
    }
  }
  assert.is(await failure(() => 1), 'on the device')
  assert.is(
    await failure(() => {
      throw new Error('on the host')
    }),
    'on the host',
  )
  assert.type(stopwatch.take()['timing/phase'], 'number')
})

test.run()
