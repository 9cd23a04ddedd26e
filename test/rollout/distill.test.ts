import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Example } from '../../lib/data/example.js'
import { type DistillSettings, distill, distillStats } from '../../lib/rollout/distill/distill.js'
import { judgeAnswer, type LessonForm } from '../../lib/rollout/distill/judge.js'
import { Endpoint } from '../../lib/rollout/endpoint/endpoint.js'
import type { ChatAnswer } from '../../lib/rollout/endpoint/types.js'
import { completion, sendJson, startServer, type TestServer } from './endpoint/support/server.js'

const truth = '[{"name": "f", "arguments": {"a": 1}}]'
const right = `<tool_call>${truth}</tool_call>`
const answer = (content: string, more: Partial<ChatAnswer> = {}): ChatAnswer => ({
  content,
  reasoning: '',
  toolCalls: [],
  finishReason: 'stop',
  usage: null,
  ...more,
})
const judge = (given: ChatAnswer, form: LessonForm = 'reason') =>
  judgeAnswer({ answer: given, refusal: null }, truth, form)

const judging = suite('judging a teacher')

judging('a right answer is kept as it is, up to the end of its first block', () => {
  assert.equal(judge(answer(`<think>so</think> ${right} Done.`)), {
    reply: `<think>so</think> ${right}`,
    reason: null,
    explain: '',
  })
  const later = `<think>so</think>${right}<tool_call>[{"name": "g", "arguments": {}}]</tool_call>`
  assert.is(judge(answer(later)).reply, `<think>so</think>${right}`)
})

judging('thoughts that the server keeps apart, and native calls, become one reply', () => {
  assert.is(judge(answer(right, { reasoning: 'so' })).reply, `<think>so</think>\n${right}`)
  const toolCalls = [{ name: 'f', arguments: '{"a": 1}' }]
  assert.is(
    judge(answer('', { reasoning: 'so', toolCalls })).reply,
    '<think>so</think>\n<tool_call>[{"name": "f", "arguments": {"a": 1}}]</tool_call>',
  )
})

judging('the form without reasons keeps the block alone and asks for no thought', () => {
  assert.is(judge(answer(`<think>so</think> ${right} Done.`), 'no-reason').reply, right)
  assert.is(judge(answer(`Here: ${right}`), 'no-reason').reply, right)
})

judging('every reason to reject', () => {
  const cases: [ChatAnswer, string][] = [
    [answer('', { finishReason: 'filtered' }), 'filtered'],
    [answer('<think>so', { finishReason: 'length' }), 'cut'],
    [answer(right), 'thought'],
    [answer(`<think> \n</think>${right}`), 'thought'],
    [answer('<think>so</think> f(a=1)'), 'block'],
    [answer('<think>so</think><tool_call>f(a=1)</tool_call>'), 'json'],
    [answer('<think>so</think><tool_call>[{"name": "f"}]</tool_call>'), 'calls'],
    [answer('<think>so</think><tool_call>5</tool_call>'), 'calls'],
    [answer('<think>so</think><tool_call>[{"name": "g", "arguments": {"a": 1}}]</tool_call>'), 'names'],
    [answer('<think>so</think><tool_call>[{"name": "f", "arguments": {"a": 1.0}}]</tool_call>'), 'arguments'],
    // A block inside the thought is the first that readers find.
    [answer(`<think>maybe ${right}</think>${right}`), 'thought'],
    [answer('', { reasoning: 'so', toolCalls: [{ name: 'f', arguments: '{"a": 1' }] }), 'arguments'],
  ]
  for (const [given, reason] of cases) {
    const judged = judge(given)
    assert.is(judged.reply, null, given.content)
    assert.is(judged.reason, reason, given.content)
    assert.ok(judged.explain.length > 0)
  }
  assert.is(judgeAnswer({ answer: null, refusal: 'status 400' }, truth, 'reason').reason, 'refused')
})

judging.run()

const test = suite<{ server: TestServer; teacher: Endpoint }>('distillation')
const examples: Example[] = ['one', 'three', 'never', 'refused'].map((id) => ({
  id,
  messages: [{ role: 'user', content: id }],
  tools: [],
  truth,
}))
const settings: DistillSettings = { form: 'reason', tries: 4, maxTokens: 64, temperature: 0.7, seed: 5 }

test.before.each(async (context) => {
  const times = new Map<string, number>()
  context.server = await startServer(({ body }, _index, response) => {
    const id = body.messages[0]?.content ?? ''
    const time = (times.get(id) ?? 0) + 1
    times.set(id, time)
    if (id === 'refused') return sendJson(response, 400, { error: { message: 'no' } })
    const good = id === 'one' || (id === 'three' && time === 3)
    return sendJson(response, 200, completion(`<think>so</think>${good ? right : 'I cannot.'}`))
  })
  context.teacher = new Endpoint({ url: context.server.url, model: 't', backoff: 0.01, retries: 0 })
})
test.after.each(({ server }) => server.close())

test('asks until an answer is right, no more often than allowed', async ({ server, teacher }) => {
  const progress: number[] = []
  const lessons = await distill(teacher, examples, { ...settings, onProgress: ({ done }) => progress.push(done) })
  assert.equal(
    lessons.map(({ id, reply, rejected }) => [id, reply !== null, rejected.map(({ reason }) => reason).join()]),
    [
      ['one', true, ''],
      ['three', true, 'block,block'],
      ['never', false, 'block,block,block,block'],
      ['refused', false, 'refused'],
    ],
  )
  assert.is(server.seen.length, 1 + 3 + 4 + 1)
  const seeds = server.seen.filter(({ body }) => body.messages[0]?.content === 'never').map(({ body }) => body.seed)
  assert.equal(seeds, [5, 6, 7, 8])
  assert.equal(progress, [1, 2, 3, 4])
  assert.equal(distillStats(lessons), {
    examples: 4,
    kept: 2,
    keptByTry: [1, 0, 1],
    answers: 9,
    rejectedAnswers: { block: 6, refused: 1 },
    rejectedExamples: { block: 1, refused: 1 },
  })
})

test('an example that stays open is an error after the others are done', async ({ server, teacher }) => {
  server.behave(({ body }, _index, response) =>
    body.messages[0]?.content === 'one'
      ? sendJson(response, 500, {})
      : sendJson(response, 200, completion(`<think>so</think>${right}`)),
  )
  try {
    await distill(teacher, examples, settings)
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, '1 of 4 requests stay open')
  }
  assert.is(server.seen.length, 4)
})

test('an example without right calls is an error that names it', async ({ teacher }) => {
  try {
    await distill(teacher, [{ id: 'x', messages: [], tools: [] }], settings)
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, 'expected example "x" to have right calls')
  }
})

test.run()
