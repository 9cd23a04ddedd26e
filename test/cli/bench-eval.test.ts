import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type BenchEvalResult, benchEval } from '../../lib/cli/bench/eval.js'
import { syntheticTokenizer } from '../../lib/data/synthetic/tokenizer.js'
import { createModel } from '../../lib/model.js'
import { device } from '../../lib/tensor/device.js'
import { Tokenizer } from '../../lib/text/tokenizer.js'
import { tinyConfig } from '../train/support.js'
import { runCallgrad } from './support/callgrad.js'

const files = syntheticTokenizer()
const { vocabSize, specialTokens } = new Tokenizer(files)
const test = suite<{ folder: string; model: string; data: string }>('bench eval')
test.before(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-bench-eval-'))
  context.model = join(context.folder, 'model')
  context.data = join(context.folder, 'data.jsonl')
  const eosTokenIds = [specialTokens.get('<|im_end|>')!]
  const config = { ...tinyConfig, vocabSize, maxPositionEmbeddings: 4096, eosTokenIds }
  const tiny = createModel(config, { device: 'cpu', dtype: 'f32', seed: 3, tokenizer: files })
  await tiny.save(context.model)
  tiny.dispose()
  const tools = JSON.stringify([{ name: 'f', description: 'F', parameters: { type: 'object', properties: {} } }])
  const record = (id: string, query: string) =>
    JSON.stringify({ id, query, tools, answers: '[{"name": "f", "arguments": {}}]' })
  const long = record('long', 'x'.repeat(5000)) // leaves no room for an answer
  const short = Array.from({ length: 6 }, (_, i) => record(`r${i}`, `${i} ${'y'.repeat(5 * i)}?`))
  writeFileSync(context.data, `${[...short.slice(0, 3), long, ...short.slice(3)].join('\n')}\n`)
})
test.after(({ folder }) => rmSync(folder, { recursive: true, force: true }))

const close = (a: number, b: number) => assert.ok(Math.abs(a - b) <= 1e-9 * Math.abs(b), `${a}, ${b}`)

test('asks all both ways, computes a shared beginning once, and the answers are the same', async ({ model, data }) => {
  const before = device('cpu').memory().tensors
  const done: [string, number, number][] = []
  const result = await benchEval({
    ...{ model, data, device: 'cpu', dtype: 'f32', questions: 500, maxTokens: 8 },
    onProgress: (...progress) => done.push(progress),
  })
  assert.is(device('cpu').memory().tensors, before)
  assert.equal(
    [result.questions, result.unasked, result.one_by_one_questions, result.extrapolated, result.different_answers],
    [6, 1, 6, false, 0],
  )
  assert.equal([result.dtype, result.prompt_format, result.max_tokens], ['f32', 'tool-n1', 8])
  assert.ok(result.answer_tokens >= 6 && result.answer_tokens <= 48)
  // Every prompt but the first finds the pages of the instructions and tools, which all begin with, computed.
  assert.is(result.prefilled_tokens + result.reused_tokens, result.prompt_tokens - 6)
  assert.ok(result.reused_tokens > result.prompt_tokens / 2, `${result.reused_tokens} of ${result.prompt_tokens}`)
  close(result.ratio, result.one_by_one_s / result.batched_s)
  close(result.batched_tok_s, result.answer_tokens / result.batched_s)
  close(result.one_by_one_tok_s, result.answer_tokens / result.one_by_one_s)
  assert.equal(done.at(-1), ['one by one', 6, 6])
  assert.ok(done.some(([way, count]) => way === 'together' && count === 6))
})

test('the command asks some one by one, says that it extrapolates, and prints JSON', async ({
  folder,
  model,
  data,
}) => {
  const args = ['bench', 'eval', '-m', model, '-d', data, '--dtype', 'fp32', '--device', 'cpu', '--max-tokens', '4']
  const short = [...args, '--questions', '3', '--one-by-one', '2']
  const printed = await runCallgrad(short, folder)
  assert.is(printed.code, 0, printed.err)
  assert.match(printed.out, /extrapolated from 2 of 3 questions/)
  const json = await runCallgrad([...short, '--json', '--prompt-format', 'native'], folder)
  assert.is(json.code, 0, json.err)
  const result = JSON.parse(json.out) as BenchEvalResult
  assert.equal([result.questions, result.one_by_one_questions, result.extrapolated], [3, 2, true])
  assert.equal([result.different_answers, result.prompt_format], [0, 'native'])
  for (const [flag, value, said] of [
    ['--one-by-one', '0', 'one-by-one: expected an integer of at least 1, got 0'],
    ['--prompt-format', 'odd', 'promptFormat'],
  ] as const) {
    const { code, err } = await runCallgrad([...args, flag, value], folder)
    assert.is(code, 2, err)
    assert.match(err, said)
  }
})

test.run()
