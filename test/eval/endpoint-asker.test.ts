import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { askAll } from '../../lib/eval/answer-store.js'
import type { Answer, Question } from '../../lib/eval/asker.js'
import { EndpointAsker } from '../../lib/eval/endpoint-asker.js'
import { Endpoint } from '../../lib/rollout/endpoint/endpoint.js'
import {
  type Behaviour,
  completion,
  sendJson,
  startServer,
  type TestServer,
} from '../rollout/endpoint/support/server.js'

const test = suite<{ server: TestServer; endpoint: Endpoint }>('asking an endpoint')
const answering: Behaviour = ({ body }, _index, response) => {
  const text = body.messages[0]?.content ?? ''
  if (text === 'long') return sendJson(response, 400, { error: { message: 'context length' } })
  if (text === 'broken') return sendJson(response, 500, {})
  if (!body.tools) return sendJson(response, 200, completion(`echo ${text}`, {}, text === 'cut' ? 'length' : 'stop'))
  const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a": 1.0}' } }]
  return sendJson(response, 200, completion(null, { tool_calls: calls }, 'tool_calls'))
}
test.before.each(async (context) => {
  context.server = await startServer(answering)
  context.endpoint = new Endpoint({ url: context.server.url, model: 'm', retries: 1, backoff: 0.01 })
})
test.after.each(({ server }) => server.close())

const ask = (content: string, more: Partial<Question> = {}): Question => ({
  id: content,
  messages: [{ role: 'user', content }],
  ...more,
})

test('text, calls, limits and refusals arrive as answers', async ({ endpoint }) => {
  const tools = [{ type: 'function' as const, function: { name: 'f' } }]
  const { answers } = await askAll(new EndpointAsker(endpoint), [
    ask('a'),
    ask('native', { tools }),
    ask('cut'),
    ask('long'),
    ask('exact', { prompt: [{ text: 'bytes', control: false }] }),
  ])
  const shown = answers.map(({ seconds, ...rest }: Answer) => {
    assert.ok(seconds >= 0)
    return rest
  })
  const tokens = { promptTokens: 10, completionTokens: 4 }
  assert.equal(shown[0], { id: 'a', text: 'echo a', ...tokens, finishReason: 'stop' })
  const calls = [{ name: 'f', arguments: '{"a": 1.0}' }]
  assert.equal(shown[1], { id: 'native', text: '', calls, ...tokens, finishReason: 'stop' })
  assert.is(shown[2]?.finishReason, 'length')
  assert.is(shown[3]?.finishReason, 'error')
  assert.match(shown[3]?.error ?? '', 'status 400 context length')
  assert.is(shown[4]?.text, 'echo exact')
})

test('a question that stays open is an error after the others have their answers', async ({ endpoint }) => {
  const answers: string[] = []
  let done = 0
  try {
    await new EndpointAsker(endpoint).ask([ask('broken'), ask('a'), ask('b')], {
      onAnswer: ({ id }) => answers.push(id),
      onProgress: (progress) => (done = progress.done),
    })
    assert.unreachable()
  } catch (error) {
    assert.match((error as Error).message, '1 of 3 requests stay open')
  }
  assert.equal(answers.sort(), ['a', 'b'])
  assert.is(done, 3)
})

test('settings name everything besides the question that an answer depends on, and no key', ({ server }) => {
  const settings = (at: object, sampling: object = {}) => {
    const options = { url: server.url, model: 'm', apiKey: 'sk-secret-123', ...at }
    return new EndpointAsker(new Endpoint(options), sampling).settings
  }
  const base = settings({})
  assert.not.match(base, 'secret')
  const drawn = [{ temperature: 1 }, { maxTokens: 5 }, { topP: 0.5 }, { seed: 3 }].map((sampling) =>
    settings({}, sampling),
  )
  const places = [{ body: { x: 1 } }, { model: 'n' }, { url: 'http://localhost:1/v1' }].map((at) => settings(at))
  assert.is(new Set([base, ...drawn, ...places]).size, 8)
  assert.is(settings({ concurrency: 3, retries: 2, timeout: 9, apiKey: 'sk-another-1' }), base)
})

test.run()
