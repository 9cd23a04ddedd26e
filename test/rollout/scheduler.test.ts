import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { runRollouts } from '../../lib/rollout/generate.js'
import { Scheduler, type SchedulerOptions, sampleNeeds } from '../../lib/rollout/scheduler.js'
import { drawAlone, FakeModel } from './support/fake-model.js'
import { randomNumbers } from './support/random.js'

const vocab = 23
const defaults: SchedulerOptions = {
  prompts: [[1, 2, 3]],
  promptIds: [0],
  n: 1,
  maxTokens: 8,
  context: 1000,
  stop: [],
  pageSize: 4,
  pages: 64,
  maxBatch: 16,
  prefillChunk: 8,
  weightVersion: 5,
}

function make(changes: Partial<SchedulerOptions>, delay?: () => Promise<void>) {
  const prompts = changes.prompts ?? defaults.prompts
  const options = { ...defaults, promptIds: prompts.map((_, i) => i), ...changes }
  const model = new FakeModel(options.pages, options.pageSize, vocab, delay)
  return { options, model, scheduler: new Scheduler(options) }
}

function expected(options: SchedulerOptions) {
  return options.prompts.flatMap((prompt, i) =>
    Array.from({ length: options.n }, (_, sample) => {
      const alone = drawAlone(prompt, options.promptIds[i]!, sample, {
        vocab,
        stop: options.stop,
        maxTokens: Math.min(options.maxTokens, options.context - prompt.length + 1),
      })
      return {
        prompt: i,
        sample,
        tokens: alone.tokens,
        logprobs: Float32Array.from(alone.logprobs),
        finishReason: alone.finishReason,
        weightVersion: options.weightVersion,
      }
    }),
  )
}

test('random requests draw what each sample draws alone, at any batch size, chunk and number of pages', async () => {
  for (let seed = 0; seed < 300; seed++) {
    const random = randomNumbers(seed)
    const alike = Array.from({ length: random.below(12) }, () => random.below(vocab))
    const prompts = Array.from({ length: 1 + random.below(6) }, () => [
      ...alike.slice(0, random.below(13)),
      ...Array.from({ length: 1 + random.below(14) }, () => random.below(vocab)),
    ])
    const maxTokens = random.below(12)
    const pageSize = 1 + random.below(5)
    const context = Math.max(...prompts.map((p) => p.length)) + random.below(14)
    const least = Math.max(
      ...prompts.map((p) => {
        const need = sampleNeeds(p.length, { maxTokens, context, pageSize })
        return need.prefix + need.own
      }),
    )
    const { options, model, scheduler } = make(
      {
        prompts,
        promptIds: prompts.map(() => random.below(1000)),
        n: 1 + random.below(5),
        maxTokens,
        context,
        stop: [random.below(vocab), random.below(vocab)],
        pageSize,
        pages: least + random.below(30),
        maxBatch: 1 + random.below(9),
        prefillChunk: 1 + random.below(20),
      },
      random.below(3) === 0 ? () => new Promise((r) => setImmediate(r)) : undefined,
    )
    const { rollouts, stats } = await runRollouts(scheduler, model, {})
    assert.equal(rollouts, expected(options), `seed ${seed}`)
    assert.is(scheduler.done, scheduler.total)
    assert.is(scheduler.freePages, options.pages, `seed ${seed}: a page is lost`)
    assert.ok(model.steps.every((rows) => rows <= options.maxBatch))
    assert.ok(model.prefillTokens.every((n) => n <= options.prefillChunk))
    assert.ok(stats.peakPages <= options.pages)
    assert.is(
      stats.decodeTokens,
      rollouts.reduce((n, r) => n + r.tokens.length, 0),
    )
    const drawing = maxTokens > 0
    const shared = (prompt: number[], before: number[] = []) => {
      let same = 0
      while (same < Math.min(prompt.length, before.length) - 1 && prompt[same] === before[same]) same++
      return same - (same % pageSize)
    }
    assert.is(
      stats.prefillTokens,
      drawing ? prompts.reduce((n, p, i) => n + p.length - 1 - shared(p, prompts[i - 1]), 0) : 0,
    )
  }
})

test('prompts that begin alike share whole pages, whatever batch they are computed in', async () => {
  const start = Array.from({ length: 9 }, (_, i) => i)
  const prompts = [[...start, 1, 2], [...start, 3], start.slice(0, 5), [7, ...start]]
  for (const prefillChunk of [3, 100]) {
    const { model, scheduler, options } = make({ prompts, pageSize: 4, n: 2, maxTokens: 3, pages: 40, prefillChunk })
    const { rollouts, stats } = await runRollouts(scheduler, model, {})
    assert.equal(rollouts, expected(options))
    // 10 tokens, then 9 less two pages, 4 less one, 9
    assert.is(stats.prefillTokens, 10 + 1 + 0 + 9)
    assert.is(scheduler.freePages, 40)
  }
})

test("a group's prompt is computed once, and its pages are shared", async () => {
  const prompt = Array.from({ length: 9 }, (_, i) => i)
  const { model, scheduler } = make({ prompts: [prompt], n: 8, maxTokens: 4, pages: 2 + 8 })
  const { stats } = await runRollouts(scheduler, model, {})
  assert.equal(model.prefillTokens, [8])
  assert.is(stats.peakPages, 10)
  assert.equal(model.steps, [8, 8, 8, 8])
})

test('a group that does not fit at once joins sample by sample', async () => {
  const { model, scheduler, options } = make({ n: 5, maxTokens: 4, pages: 1 + 2 })
  const { rollouts } = await runRollouts(scheduler, model, {})
  assert.equal(model.steps, [2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1])
  assert.equal(model.prefillTokens, [2])
  assert.equal(rollouts, expected(options))
})

test('prompts are packed into prefill batches and cut where a batch is full', async () => {
  const lengths = [6, 1, 12, 3]
  const prompts = lengths.map((n) => Array.from({ length: n }, (_, i) => i))
  const { model, scheduler } = make({ prompts, prefillChunk: 8 })
  await runRollouts(scheduler, model, {})
  assert.equal(model.prefillTokens, [8, 8, 2])
})

test('one step is queued ahead of the one that is read, and no more', async () => {
  const { model, scheduler } = make(
    { maxTokens: 20, pages: 8, pageSize: 64 },
    () => new Promise((r) => setImmediate(r)),
  )
  await runRollouts(scheduler, model, {})
  // the step being read, the one ahead of it, and in the beginning the prompt and the composition
  assert.ok(model.mostQueued >= 2 && model.mostQueued <= 4, String(model.mostQueued))
  assert.is(model.steps.length, 20)
})

test('what is drawn past a stop is dropped, and the row leaves', async () => {
  const alone = drawAlone([1, 2, 3], 0, 0, { maxTokens: 40, stop: [], vocab })
  const stop = alone.tokens[5]!
  const first = alone.tokens.indexOf(stop)
  const { model, scheduler } = make({ maxTokens: 40, stop: [stop], pages: 16 })
  const { rollouts, stats } = await runRollouts(scheduler, model, {})
  assert.is(rollouts[0]!.finishReason, 'stop')
  assert.equal(rollouts[0]!.tokens, alone.tokens.slice(0, first + 1))
  assert.is(model.steps.length, first + 2)
  assert.is(stats.decodeRows, first + 2)
})

test('a stop on the last token that is allowed counts as a stop', async () => {
  const { tokens } = drawAlone([1, 2, 3], 0, 0, { maxTokens: 40, stop: [], vocab })
  const at = tokens.findIndex((token, i) => i >= 3 && tokens.indexOf(token) === i)
  const { model, scheduler } = make({ maxTokens: at + 1, stop: [tokens[at]!] })
  const { rollouts } = await runRollouts(scheduler, model, {})
  assert.is(rollouts[0]!.finishReason, 'stop')
  assert.is(model.steps.length, at + 1)
})

test("an answer ends where the model's positions do", async () => {
  const { model, scheduler, options } = make({ prompts: [[1, 2, 3], [4]], context: 5 })
  const { rollouts } = await runRollouts(scheduler, model, {})
  assert.equal(
    rollouts.map((r) => [r.tokens.length, r.finishReason]),
    [
      [3, 'length'],
      [5, 'length'],
    ],
  )
  assert.equal(rollouts, expected(options))
})

test('nothing to draw needs no model', async () => {
  for (const changes of [{ prompts: [] }, { maxTokens: 0 }]) {
    const { model, scheduler, options } = make(changes)
    const { rollouts } = await runRollouts(scheduler, model, {})
    assert.equal(rollouts, expected(options))
    assert.equal(model.steps, [])
    assert.equal(model.prefillTokens, [])
  }
})

test('the schedule is the same however fast the device answers', async () => {
  const run = async (delay?: () => Promise<void>) => {
    const random = randomNumbers(11)
    const prompts = Array.from({ length: 7 }, () =>
      Array.from({ length: 1 + random.below(9) }, () => random.below(vocab)),
    )
    const { model, scheduler } = make({ prompts, n: 3, maxTokens: 15, stop: [2, 3], maxBatch: 5, pages: 30 }, delay)
    await runRollouts(scheduler, model, {})
    return [model.steps, model.prefillTokens]
  }
  const slow = randomNumbers(1)
  const irregular = async () => {
    for (let i = slow.below(4); i > 0; i--) await new Promise((r) => setImmediate(r))
  }
  assert.equal(await run(irregular), await run())
})

test('an abort stops between steps, after what is queued has run', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const { model, scheduler } = make({ maxTokens: 40, pages: 16 }, async () => {
    await new Promise((r) => setImmediate(r))
    if (model.steps.length === 5) controller.abort(reason)
  })
  try {
    await runRollouts(scheduler, model, { signal: controller.signal })
    assert.unreachable()
  } catch (error) {
    assert.is(error, reason)
  }
  assert.is(model.queued, 0)
  assert.ok(model.steps.length <= 6, String(model.steps.length))
})

test('an abort before the first step queues nothing', async () => {
  const { model, scheduler } = make({})
  try {
    await runRollouts(scheduler, model, { signal: AbortSignal.abort() })
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).name, 'AbortError')
  }
  assert.equal(model.steps, [])
})

test('a failing step rejects once, after everything queued has settled', async () => {
  const { model, scheduler } = make({ maxTokens: 10 }, () => new Promise((r) => setImmediate(r)))
  model.failAt = 3
  try {
    await runRollouts(scheduler, model, {})
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, 'the device failed')
  }
  assert.is(model.queued, 0)
})

test('a prompt that could not be computed fails the request, whichever batch it was in', async () => {
  for (const failing of [0, 1, 2]) {
    const prompts = [5, 9, 12].map((n) => Array.from({ length: n }, (_, i) => n - i))
    const { model, scheduler } = make({ prompts }, () => new Promise((r) => setImmediate(r)))
    model.failPrefillAt = failing
    try {
      await runRollouts(scheduler, model, {})
      assert.unreachable()
    } catch (error) {
      assert.match((error as Error).message, 'the prefill failed', `batch ${failing}`)
    }
    assert.is(model.queued, 0)
  }
})

test('NaN from the model names prompt, sample and token', async () => {
  const { model, scheduler } = make({})
  model.nanAt = 2
  try {
    await runRollouts(scheduler, model, {})
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, /NaN for prompt 0, sample 0, token 2/)
    assert.is((error as { code?: string }).code, 'ERR_NAN')
  }
})

test('progress counts what has ended and ends at the total', async () => {
  const seen: number[] = []
  const { scheduler, model } = make({ n: 4, maxBatch: 1 })
  await runRollouts(scheduler, model, {
    onProgress: ({ done, total, tokens, tokensPerSecond }) => {
      seen.push(done)
      assert.is(total, 4)
      assert.ok(tokens >= done * 8 && tokensPerSecond > 0)
    },
  })
  assert.is(seen.at(-1), 4)
})

test.run()
