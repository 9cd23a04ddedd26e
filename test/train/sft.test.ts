import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Example } from '../../lib/data/example.js'
import type { SFTOptions } from '../../lib/train/config.js'
import { replyEncoder } from '../../lib/train/sft/encode.js'
import { type LessonEncoder, SFTTrainer, type SFTTrainerOptions } from '../../lib/train/sft.js'
import { differing, tinyModel, weightsOf } from './support.js'

const test = suite<{ path: string }>('sft')
test.before.each((context) => {
  context.path = mkdtempSync(join(tmpdir(), 'callgrad-sft-'))
})
test.after.each(({ path }) => rmSync(path, { recursive: true, force: true }))

/** Prompts of 1 to 4 tokens, replies of 1 to 5. */
const dataset: Example[] = Array.from({ length: 9 }, (_, i) => ({ id: `lesson-${i}`, messages: [], tools: [] }))
const numberOf = ({ id }: Example) => Number(id.split('-')[1])
const promptOf = (example: Example) =>
  Array.from({ length: 1 + (numberOf(example) % 4) }, (_, t) => 1 + ((5 * numberOf(example) + t) % 50))
const replyOf = (example: Example) =>
  Array.from({ length: 1 + (numberOf(example) % 5) }, (_, t) => 1 + ((3 * numberOf(example) + 7 * t) % 50))
const encode: LessonEncoder = (example) => {
  const [prompt, reply] = [promptOf(example), replyOf(example)]
  const tokens = Int32Array.from([...prompt, ...reply])
  return { tokens, mask: Uint8Array.from(tokens, (_, t) => Number(t >= prompt.length)) }
}

const base: SFTOptions = {
  maxSteps: 5,
  examplesPerStep: 4,
  learningRate: 1e-2,
  saveSteps: 0,
  saveTotalLimit: null,
  weightDecay: 0.1,
}

async function train(
  config: SFTOptions,
  options: Partial<SFTTrainerOptions> = {},
  stopAfter = Number.POSITIVE_INFINITY,
) {
  const model = tinyModel()
  const reports: { step: number; metrics: Record<string, number>; notes: string[] }[] = []
  const trainer = new SFTTrainer({
    model,
    dataset,
    encode,
    config: { ...base, ...config },
    onStep: (report) => {
      reports.push(report)
      if (report.step >= stopAfter) trainer.stop()
    },
    ...options,
  })
  try {
    const summary = await trainer.train()
    return { summary, reports, weights: await weightsOf(model) }
  } finally {
    model.dispose()
  }
}

test('the loss is the mean negative log-prob of the replies alone', async () => {
  const model = tinyModel()
  const lessons = dataset.slice(0, 4)
  const logprobs = await model.logprobs(lessons.map((example) => [...promptOf(example), ...replyOf(example)]))
  model.dispose()
  const learned = lessons.flatMap((example, i) => Array.from(logprobs[i]!.slice(promptOf(example).length)))
  const expected = -learned.reduce((sum, lp) => sum + lp, 0) / learned.length
  const { reports } = await train({ maxSteps: 1, shuffleDataset: false })
  assert.ok(Math.abs(reports[0]!.metrics.loss! - expected) < 1e-5, `${reports[0]!.metrics.loss} and ${expected}`)
})

test('tokensPerMicrobatch changes memory, not the result', async () => {
  const whole = await train({ tokensPerMicrobatch: 1000 })
  for (const tokensPerMicrobatch of [1, 7, 13]) {
    const cut = await train({ tokensPerMicrobatch })
    for (const [i, { metrics }] of whole.reports.entries()) {
      for (const key of ['loss', 'grad_norm', 'entropy']) {
        const error = Math.abs(cut.reports[i]!.metrics[key]! - metrics[key]!)
        assert.ok(error < 1e-4, `${key} of step ${i + 1} at ${tokensPerMicrobatch}: off by ${error}`)
      }
    }
  }
})

test('the replies are learned', async () => {
  const { reports } = await train({ maxSteps: 60, lrSchedulerType: 'cosine', warmupSteps: 5, weightDecay: 0 })
  assert.ok(reports.at(-1)!.metrics.loss! < 0.2 * reports[0]!.metrics.loss!, String(reports.at(-1)!.metrics.loss))
  assert.is(reports[0]!.metrics.learning_rate, 0)
})

test('a run that is stopped and resumed is the run that was never stopped', async ({ path }) => {
  const whole = await train({ outputDir: join(path, 'whole') })
  for (let stop = 1; stop < 5; stop++) {
    const outputDir = join(path, `stop-${stop}`)
    await train({ outputDir }, {}, stop)
    const resumed = await train({ outputDir }, { resume: true })
    assert.equal(differing(resumed.weights, whole.weights), [])
    const steps = readFileSync(join(outputDir, 'metrics.jsonl'), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).step)
    assert.equal(steps, [1, 2, 3, 4, 5])
  }
})

test('examples without a reply and too long ones are left out and listed', async () => {
  const without: LessonEncoder = (example) =>
    numberOf(example) === 3 ? { tokens: new Int32Array(0), mask: new Uint8Array(0) } : encode(example)
  const { reports } = await train({ maxLength: 7, maxSteps: 3 }, { encode: without })
  const notes = reports.flatMap((report) => report.notes).join(' ')
  assert.match(notes, /lesson-3 \(0\)/)
  assert.match(notes, /without 1 to 7 tokens/)
})

test('a lesson is the template with the reply and the end of the turn behind it', () => {
  const tokenizer = {
    encode: () => [],
    encodeText: (text: string) => Array.from(text, (c) => c.charCodeAt(0)),
    decode: () => '',
    renderChatTemplate: () => '',
    applyChatTemplate: (messages: readonly { content: string }[], options: object = {}) => {
      assert.equal(options, { addGenerationPrompt: true })
      return [messages.length, 1]
    },
  }
  const lesson = replyEncoder(tokenizer, 99)
  const example: Example = { id: 'x', messages: [{ role: 'user', content: 'hi' }], tools: [], reply: 'AB' }
  assert.equal(lesson(example), { tokens: Int32Array.of(1, 1, 65, 66, 99), mask: Uint8Array.of(0, 0, 1, 1, 1) })
  assert.is(lesson({ ...example, reply: undefined as never }).tokens.length, 0)
})

test.run()
