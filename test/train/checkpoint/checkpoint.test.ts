import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { TrainerState } from '../../../lib/train/checkpoint/state.js'
import { checkResumable } from '../../../lib/train/checkpoint/state.js'
import {
  type CheckpointContents,
  latestCheckpoint,
  openCheckpointState,
  pruneCheckpoints,
  saveCheckpoint,
} from '../../../lib/train/checkpoint.js'
import type { Generation, Sample } from '../../../lib/train/generation.js'

const test = suite<{ folder: string }>('checkpoint')
test.before.each((context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-checkpoint-'))
})
test.after.each(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const stateAt = (step: number): TrainerState => ({
  format: 1,
  kind: 'grpo',
  step,
  position: 8,
  generations: 3,
  update: 1,
  tokensSeen: 99,
  config: { seed: 1, promptsPerStep: 2, learningRate: 1e-6 },
  data: { size: 4, hash: 'abc' },
  reference: null,
  logs: { metrics: 10, completions: 20 },
  window: { sums: { loss: 0.1 }, counts: { loss: 1 } },
})

const moments = Float32Array.of(1.5, Math.fround(0.1), 1e-42)

const contents = (step: number, generation: Generation | null = null): CheckpointContents => ({
  state: stateAt(step),
  saveModel: async (path) => writeFileSync(join(path, 'model.safetensors'), `weights ${step}`),
  optimizer: [{ name: 'first.0', dtype: 'F32', shape: [3], read: () => moments }],
  generation,
})

const sample = (tokens: number[], more: Partial<Sample> = {}): Sample => ({
  tokens: Int32Array.from(tokens),
  finishReason: 'stop',
  sampled: null,
  old: null,
  reference: null,
  reward: 0.1,
  advantage: Math.fround(0.3),
  counted: true,
  ...more,
})

test('a rollout buffer comes back bit for bit, and what was the same vector still is', async ({ folder }) => {
  const sampled = Float32Array.of(-0.1, -2.5)
  const generation: Generation = {
    index: 7,
    groups: [
      {
        example: 3,
        prompt: Int32Array.of(5, 6, 7),
        samples: [
          sample([1, 2], { sampled, old: sampled, reference: Float32Array.of(-1, -1e-8) }),
          sample([], { sampled: new Float32Array(0), reward: Number.NaN, finishReason: 'length' }),
          sample([9, 9, 9], { sampled: Float32Array.of(-1, -2, -3), counted: false, finishReason: 'length' }),
        ],
      },
      { example: 0, prompt: Int32Array.of(8), samples: [sample([4], { old: Float32Array.of(-0.5) })] },
    ],
  }
  const checkpoint = await openCheckpointState(await saveCheckpoint(folder, contents(4, generation)))
  const back = (await checkpoint.generation())!
  assert.equal(back, generation)
  const [first] = back.groups[0]!.samples
  assert.is(first!.old, first!.sampled)
  assert.equal(await checkpoint.optimizer('first.0'), moments)
  assert.equal(checkpoint.state, stateAt(4))
  await checkpoint.close()
})

test('without updates to come there is no buffer', async ({ folder }) => {
  const checkpoint = await openCheckpointState(await saveCheckpoint(folder, contents(4)))
  assert.is(await checkpoint.generation(), null)
  await checkpoint.close()
})

test('the newest whole checkpoint is found; a damaged one is passed over and named', async ({ folder }) => {
  for (const step of [2, 10, 9]) await saveCheckpoint(folder, contents(step))
  assert.is(await latestCheckpoint(folder), join(folder, 'step-000010'))
  truncateSync(join(folder, 'step-000010', 'optimizer.safetensors'), 12)
  assert.is(await latestCheckpoint(folder), join(folder, 'step-000009'))
  rmSync(join(folder, 'step-000009', 'manifest.json'))
  assert.is(await latestCheckpoint(folder), join(folder, 'step-000002'))
  try {
    await openCheckpointState(join(folder, 'step-000010'))
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /optimizer\.safetensors has 12 bytes instead of/)
  }
  assert.is(await latestCheckpoint(join(folder, 'nowhere')), null)
})

test('pruning keeps the newest and removes what a killed process left', async ({ folder }) => {
  for (const step of [1, 2, 3, 4]) await saveCheckpoint(folder, contents(step))
  mkdirSync(join(folder, '.step-000005.writing-123-abcdef'))
  mkdirSync(join(folder, '..step-000005.writing-123-abcdef.writing-123-012345'))
  mkdirSync(join(folder, 'mine'))
  await pruneCheckpoints(folder, 2)
  assert.equal(readdirSync(folder).sort(), ['mine', 'step-000003', 'step-000004'])
  await pruneCheckpoints(folder, null)
  assert.equal(readdirSync(folder).length, 3)
})

test('a checkpoint that cannot be written leaves the one before, and nothing half-written', async ({ folder }) => {
  const before = await saveCheckpoint(folder, contents(1))
  const full = Object.assign(new Error('write failed'), { code: 'ENOSPC' })
  try {
    await saveCheckpoint(folder, { ...contents(2), saveModel: () => Promise.reject(full) })
    assert.unreachable()
  } catch (error) {
    assert.is((error as { code?: string }).code, 'ERR_IO')
    assert.match((error as Error).message, /no space left on the device/)
  }
  assert.equal(readdirSync(folder), ['step-000001'])
  assert.is(await latestCheckpoint(folder), before)
})

test('saving a step again replaces it', async ({ folder }) => {
  await saveCheckpoint(folder, contents(1, { index: 0, groups: [] }))
  const again = await saveCheckpoint(folder, contents(1))
  assert.not.ok(existsSync(join(again, 'rollouts.safetensors')))
  assert.equal(readdirSync(folder), ['step-000001'])
})

test('a run does not go on with another order, buffer, data set or trainer', () => {
  const now = { kind: 'grpo' as const, config: { seed: 1, promptsPerStep: 2, learningRate: 5 }, data: stateAt(1).data }
  checkResumable(stateAt(1), now)
  assert.throws(
    () => checkResumable(stateAt(1), { ...now, config: { seed: 2 } }),
    /expected seed 1 as in the checkpoint, got 2/,
  )
  assert.throws(() => checkResumable(stateAt(1), { ...now, kind: 'sft' }), /expected a trainer of kind grpo/)
  assert.throws(() => checkResumable(stateAt(1), { ...now, data: { size: 5, hash: 'abc' } }), /data set of size 4/)
})

test.run()
