import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Example } from '../../lib/data/example.js'
import { type Answerer, evaluate, type GenerateOptions } from '../../lib/eval/evaluate.js'
import { type Reply, scoreReplies } from '../../lib/eval/exact-match.js'

const truth = '[{"name": "f", "arguments": {"a": 1}}]'
const right = `<think>x</think><tool_call>${truth}</tool_call>`
const stop = 0

/** Tokens are UTF-16 units plus one; token 0 ends a turn. Answers come from a table by the user's text. */
class Scripted implements Answerer {
  readonly calls: GenerateOptions[] = []
  constructor(readonly answers: Record<string, string>) {}

  readonly tokenizer: Answerer['tokenizer'] = {
    applyChatTemplate: (messages) => this.encode(messages.map(({ content }) => content).join('')),
    decode: (tokens) => tokens.map((token) => String.fromCharCode(token - 1)).join(''),
  }

  encode(text: string): number[] {
    return Array.from(text, (_, i) => text.charCodeAt(i) + 1)
  }

  async generate(options: GenerateOptions) {
    this.calls.push(options)
    return options.prompts.map((tokens, prompt) => {
      const whole = [...this.encode(this.answers[this.tokenizer.decode(tokens)] ?? ''), stop]
      const cut = whole.length > options.maxTokens
      return {
        prompt,
        tokens: whole.slice(0, options.maxTokens),
        finishReason: cut ? ('length' as const) : ('stop' as const),
      }
    })
  }
}

const example = (id: string, extra: Partial<Example> = {}): Example => ({
  id,
  messages: [{ role: 'user', content: id }],
  tools: [],
  truth,
  ...extra,
})

const model = new Scripted({
  a: right,
  b: right.replace('1}', '1.0}'),
  c: truth,
  d: `<think></think><tool_call>[{"name": "g", "arguments": {}}]</tool_call>`,
})
const examples = ['a', 'b', 'c', 'd'].map((id) => example(id))

test('asks every example, greedy, and scores what comes', async () => {
  const report = await evaluate(model, examples, {})
  assert.is(report.samples, 4)
  assert.is(report.exactMatch.value, 0.25)
  assert.is(report.formatRate.value, 0.75)
  assert.is(report.nameRate.value, 0.5)
  assert.is(report.invalidToolCallRate.value, 0.25)
  assert.is(report.clippedRate.value, 0)
  const lengths = ['a', 'b', 'c', 'd'].map((id) => (model.answers[id]?.length ?? 0) + 1)
  assert.is(report.meanLength.value, lengths.reduce((x, y) => x + y) / 4)
  assert.ok(report.exactMatch.low > 0.04 && report.exactMatch.high < 0.71)
  assert.equal(
    report.replies.map(({ exact }) => exact),
    [true, false, false, false],
  )
  assert.is(report.replies[1]?.explain, 'f: argument a is 1.0, expected 1')
  assert.is(report.replies[0]?.completion, right)
  assert.is(model.calls.at(-1)?.temperature, 0)
})

test('batches change nothing, progress is told', async () => {
  const progress: [number, number][] = []
  const onProgress = (done: number, of: number) => progress.push([done, of])
  const whole = await evaluate(model, { examples }, {})
  const parts = await evaluate(model, { examples }, { batch: 3, onProgress })
  assert.equal(parts, whole)
  assert.equal(progress, [
    [3, 4],
    [4, 4],
  ])
})

test('examples without a truth and prompts over the limit are listed', async () => {
  const list = [...examples, example('long question'), example('none', { truth: undefined as unknown as string })]
  const report = await evaluate(model, list, { maxPromptTokens: 5 })
  assert.equal(report.skipped, ['long question', 'none'])
  assert.is(report.samples, 4)
})

test('a reply cut at the limit keeps its last token and counts as clipped', async () => {
  const report = await evaluate(model, [example('a')], { maxTokens: 5 })
  assert.is(report.replies[0]?.completion, right.slice(0, 5))
  assert.is(report.clippedRate.value, 1)
})

test('nothing to ask, and settings that make no sense, are errors', async () => {
  const failure = (list: Example[], settings: object) =>
    evaluate(model, list, settings).catch((error: Error & { code?: string }) => error.code)
  assert.is(await failure([], {}), 'ERR_DATA')
  assert.is(await failure(examples, { maxPromptTokens: 0 }), 'ERR_DATA')
  assert.is(await failure(examples, { batch: 0 }), 'ERR_CONFIG')
})

test('a broken truth names its example', () => {
  const reply = (over: Partial<Example>): Reply => ({
    example: example('odd', over),
    completion: right,
    tokens: 3,
    finishReason: 'stop',
  })
  assert.throws(() => scoreReplies([reply({ truth: '{' })]), /\[eval\] example "odd"/)
  assert.throws(
    () => scoreReplies([reply({ truth: undefined as unknown as string })]),
    /\[eval\] expected example "odd"/,
  )
})

test.run()
