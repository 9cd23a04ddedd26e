import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { learningRateAt, type ScheduleSettings } from '../../lib/train/schedule.js'

const settings: ScheduleSettings = { learningRate: 2, lrSchedulerType: 'linear', warmupSteps: 0, warmupRatio: 0 }
const rates = (total: number, changes: Partial<ScheduleSettings>) =>
  Array.from({ length: total + 1 }, (_, update) =>
    Number(learningRateAt(update, total, { ...settings, ...changes }).toFixed(6)),
  )

// Worked out by hand from the formulas of transformers' get_scheduler, learning rate 2.
test('constant, linear and cosine after a warm-up', () => {
  assert.equal(rates(4, { lrSchedulerType: 'constant' }), [2, 2, 2, 2, 2])
  assert.equal(rates(4, {}), [2, 1.5, 1, 0.5, 0])
  assert.equal(rates(6, { warmupSteps: 2 }), [0, 1, 2, 1.5, 1, 0.5, 0])
  assert.equal(rates(4, { lrSchedulerType: 'cosine' }), [2, 1.707107, 1, 0.292893, 0])
  assert.equal(rates(6, { lrSchedulerType: 'cosine', warmupSteps: 2 }), [0, 1, 2, 1.707107, 1, 0.292893, 0])
  assert.equal(rates(4, { lrSchedulerType: 'constant', warmupSteps: 3 }), [0, 0.666667, 1.333333, 2, 2])
})

test('a warm-up ratio rounds up', () => {
  assert.equal(rates(5, { lrSchedulerType: 'constant', warmupRatio: 0.25 }), [0, 1, 2, 2, 2, 2])
})

test.run()
