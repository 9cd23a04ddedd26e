import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { Endpoint, type OpenEndpointOptions } from '../../../lib/rollout/endpoint/endpoint.js'
import { costOf } from '../../../lib/rollout/endpoint/meter.js'
import type { ChatRequest } from '../../../lib/rollout/endpoint/types.js'
import { type Behaviour, completion, echo, sendJson, startServer, type TestServer } from './support/server.js'

const key = 'sk-very-secret-0123456789'

interface Context {
  folder: string
  server: TestServer
  open(options?: Partial<OpenEndpointOptions>): Endpoint
}

const test = suite<Context>('endpoint')
const opened: Endpoint[] = []
test.before.each(async (context) => {
  context.folder = mkdtempSync(join(tmpdir(), 'callgrad-endpoint-'))
  context.server = await startServer(echo)
  context.open = (options = {}) => {
    const endpoint = new Endpoint({
      url: context.server.url,
      model: 'test',
      apiKey: key,
      backoff: 0.01,
      timeout: 5,
      ...options,
    })
    opened.push(endpoint)
    return endpoint
  }
})
test.after.each(async ({ folder, server }) => {
  for (const endpoint of opened.splice(0)) endpoint.close()
  await server.close()
  rmSync(folder, { recursive: true, force: true })
})

const question = (content: string, more: Partial<ChatRequest> = {}): ChatRequest => ({
  messages: [{ role: 'user', content }],
  tools: [],
  maxTokens: 16,
  temperature: 0,
  ...more,
})

async function errorOf(work: Promise<unknown>): Promise<Error & { code: string }> {
  try {
    await work
  } catch (error) {
    return error as Error & { code: string }
  }
  throw new Error('nothing was thrown')
}

test('a request as the API wants it, and its answer', async ({ server, open }) => {
  const { answer } = await open().ask(question('hello', { topP: 0.9, seed: 7, sample: 3 }))
  assert.is(answer?.content, 'echo hello')
  assert.equal(answer?.usage, { promptTokens: 10, completionTokens: 4 })
  const [seen] = server.seen
  assert.is(seen?.path, '/v1/chat/completions')
  assert.is(seen?.headers.authorization, `Bearer ${key}`)
  assert.equal(seen?.body, {
    model: 'test',
    messages: [{ role: 'user', content: 'hello' }],
    max_tokens: 16,
    temperature: 0,
    top_p: 0.9,
    seed: 7,
  })
})

test('further keys of the body are sent, null takes one out', async ({ server, open }) => {
  await open({ body: { temperature: null, reasoning_effort: 'low' } }).ask(question('hello'))
  assert.is(server.seen[0]?.body.reasoning_effort, 'low')
  assert.not.ok('temperature' in server.seen[0]!.body)
})

/** Ways of a server to fail that pass, each for the first two requests. */
const passing: [string, Behaviour][] = [
  ['429', (_s, _i, response) => sendJson(response, 429, { error: { message: 'slow down' } })],
  ['500', (_s, _i, response) => sendJson(response, 500, { error: { message: 'oops' } })],
  ['503 without a body', (_s, _i, response) => response.writeHead(503).end()],
  ['a hang before the headers', () => {}],
  [
    'a hang in the body',
    (_s, _i, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"choices": [')
    },
  ],
  [
    'truncated JSON',
    (_s, _i, response) => {
      const text = JSON.stringify(completion('hello'))
      response.writeHead(200, { 'content-type': 'application/json' }).end(text.slice(0, text.length / 2))
    },
  ],
  ['a list', (_s, _i, response) => sendJson(response, 200, [1, 2])],
  ['choices of a wrong type', (_s, _i, response) => sendJson(response, 200, { choices: 'none' })],
  ['a choice of a wrong type', (_s, _i, response) => sendJson(response, 200, { choices: [null] })],
  ['content of a wrong type', (_s, _i, response) => sendJson(response, 200, completion(7 as unknown as string))],
  ['calls of a wrong type', (_s, _i, response) => sendJson(response, 200, completion('', { tool_calls: { 0: 'f' } }))],
  ['empty choices', (_s, _i, response) => sendJson(response, 200, { choices: [] })],
  ['an error with status 200', (_s, _i, response) => sendJson(response, 200, { error: { message: 'upstream' } })],
  ['a page', (_s, _i, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<html>')],
  ['nesting', (_s, _i, response) => response.writeHead(200).end('['.repeat(100_000))],
  ['a closed connection', (_s, _i, response) => response.destroy()],
]

/** Short only where it is waited for: a busy machine must not make a good answer late. */
const timeoutFor = (name: string) => (name.startsWith('a hang') ? 1 : 30)

for (const [name, wrong] of passing) {
  test(`${name}: asked again until there is an answer`, async ({ server, open, folder }) => {
    server.behave((seen, index, response) => (index < 2 ? wrong : echo)(seen, index, response))
    const reasons: string[] = []
    const cache = join(folder, 'answers.jsonl')
    const endpoint = open({ cache, timeout: timeoutFor(name), onRetry: (reason) => reasons.push(reason) })
    const { answer } = await endpoint.ask(question('hello'))
    assert.is(answer?.content, 'echo hello')
    assert.is(server.seen.length, 3)
    assert.is(reasons.length, 2)
    assert.is(endpoint.meter.totals.retries, 2)
    assert.is(readFileSync(cache, 'utf8').trim().split('\n').length, 1)
  })

  test(`${name}: given up after the last attempt, nothing stored`, async ({ server, open, folder }) => {
    server.behave(wrong)
    const cache = join(folder, 'answers.jsonl')
    const error = await errorOf(open({ cache, retries: 1, timeout: timeoutFor(name) }).ask(question('hello')))
    assert.is(error.code, 'ERR_UNANSWERED')
    assert.match(error.message, 'no answer after 2 attempts')
    assert.is(server.seen.length, 2)
    assert.is(readFileSync(cache, 'utf8'), '')
  })
}

test('Retry-After is waited for, by every request', async ({ server, open }) => {
  server.behave((seen, index, response) => {
    if (index === 0) sendJson(response, 429, { error: { message: 'wait' } }, { 'retry-after': '1' })
    else echo(seen, index, response)
  })
  const endpoint = open({ concurrency: 1 })
  await endpoint.askAll([question('a'), question('b')])
  const [first, second] = server.seen
  assert.ok(second!.at - first!.at >= 950, `${second!.at - first!.at} ms`)
  assert.is(server.seen.length, 3)
})

test('a server that asks to wait for an hour is not waited for', async ({ server, open }) => {
  server.behave((_s, _i, response) =>
    sendJson(response, 429, { error: { message: 'quota' } }, { 'retry-after': '3600' }),
  )
  const error = await errorOf(open().ask(question('a')))
  assert.match(error.message, 'it asks to wait 3600 s')
  assert.is(server.seen.length, 1)
})

test('a refused request is an outcome, is not repeated and not stored', async ({ server, open, folder }) => {
  server.behave((seen, index, response) => {
    if (seen.body.messages[0]?.content === 'long') sendJson(response, 400, { error: { message: 'too long' } })
    else echo(seen, index, response)
  })
  const cache = join(folder, 'answers.jsonl')
  const outcomes = await open({ cache }).askAll([question('a'), question('long'), question('b')])
  assert.is(outcomes[0]?.answer?.content, 'echo a')
  assert.match(outcomes[1]?.refusal ?? '', 'status 400 too long')
  assert.is(outcomes[2]?.answer?.content, 'echo b')
  assert.is(server.seen.length, 3)
  assert.is(readFileSync(cache, 'utf8').trim().split('\n').length, 2)
})

test('a wrong key ends everything at once', async ({ server, open }) => {
  server.behave((_s, _i, response) => sendJson(response, 401, { error: { message: `Incorrect key: ${key}` } }))
  const endpoint = open({ concurrency: 2 })
  const error = await errorOf(endpoint.askAll(Array.from({ length: 50 }, (_, i) => question(`${i}`))))
  assert.is(error.code, 'ERR_ENDPOINT')
  assert.match(error.message, 'Incorrect key: [key]')
  assert.ok(server.seen.length <= 2)
})

test('a server that is down ends everything after a few requests', async ({ server, open }) => {
  await server.close()
  const endpoint = open({ retries: 0, concurrency: 1 })
  const asked: number[] = []
  const error = await errorOf(
    endpoint.askAll(
      Array.from({ length: 50 }, (_, i) => question(`${i}`)),
      { onProgress: ({ done }) => asked.push(done) },
    ),
  )
  assert.is(error.code, 'ERR_ENDPOINT')
  assert.match(error.message, 'ECONNREFUSED')
  assert.match(error.message, '5 requests in a row')
  assert.ok(asked.length < 5)
})

test('one open request does not lose the others', async ({ server, open, folder }) => {
  server.behave((seen, index, response) => {
    if (seen.body.messages[0]?.content === 'bad') sendJson(response, 500, {})
    else echo(seen, index, response)
  })
  const cache = join(folder, 'answers.jsonl')
  const requests = ['a', 'bad', 'b'].map((text) => question(text))
  const error = await errorOf(open({ cache, retries: 1 }).askAll(requests))
  assert.match(error.message, '1 of 3 requests stay open')
  server.behave(echo)
  const before = server.seen.length
  const outcomes = await open({ cache }).askAll(requests)
  assert.equal(
    outcomes.map(({ answer }) => answer?.content),
    ['echo a', 'echo bad', 'echo b'],
  )
  assert.is(server.seen.length, before + 1)
})

test('stored answers are never asked for again, whatever the line before the end looks like', async (context) => {
  const { server, open, folder } = context
  const cache = join(folder, 'deep/answers.jsonl')
  const requests = Array.from({ length: 20 }, (_, i) => question(`question ${i}`))
  const first = open({ cache })
  const answers = await first.askAll(requests)
  assert.is(server.seen.length, 20)
  assert.equal(first.meter.totals.asked, { answers: 20, promptTokens: 200, completionTokens: 80, uncounted: 0 })

  const again = open({ cache })
  assert.equal(await again.askAll(requests), answers)
  assert.is(server.seen.length, 20)
  assert.is(again.meter.totals.stored.answers, 20)
  assert.is(again.meter.totals.asked.answers, 0)

  // A process killed in the middle of its last line: every length of what is left of it.
  const whole = readFileSync(cache)
  const last = whole.lastIndexOf(0x0a, whole.length - 2) + 1
  for (const left of [0, 1, 30, 90, whole.length - last - 2, whole.length - last - 1]) {
    writeFileSync(cache, whole)
    truncateSync(cache, last + left)
    const before = server.seen.length
    const endpoint = open({ cache })
    assert.equal(await endpoint.askAll(requests), answers, `${left} bytes left`)
    const lost = left < whole.length - last - 1
    assert.is(server.seen.length - before, lost ? 1 : 0)
    assert.is(endpoint.stored.unreadable, lost && left > 0 ? 1 : 0)
    const after = open({ cache })
    assert.equal(await after.askAll(requests), answers)
    assert.is(server.seen.length - before, lost ? 1 : 0)
  }
})

test('lines that are no answers are counted and passed over', async ({ server, open, folder }) => {
  const cache = join(folder, 'answers.jsonl')
  await open({ cache }).ask(question('a'))
  appendFileSync(cache, 'not json\n{"key": "k"}\n{"key": "k", "answer": {"content": 7}}\n\n[1]\n\xff\n')
  const endpoint = open({ cache })
  assert.equal(endpoint.stored, { answers: 1, unreadable: 5 })
  assert.is((await endpoint.ask(question('a'))).answer?.content, 'echo a')
  assert.is(server.seen.length, 1)
})

test('what decides an answer decides where it is stored', async ({ server, open, folder }) => {
  const cache = join(folder, 'answers.jsonl')
  const base = question('a')
  const tool = { type: 'function' as const, function: { name: 'f' } }
  const variants: ChatRequest[] = [
    base,
    question('b'),
    { ...base, maxTokens: 17 },
    { ...base, temperature: 0.5 },
    { ...base, topP: 0.5 },
    { ...base, topK: 5 },
    { ...base, minP: 0.1 },
    { ...base, seed: 1 },
    { ...base, sample: 1 },
    { ...base, tools: [tool] },
    { ...base, messages: [{ role: 'system', content: 'a' }] },
  ]
  await open({ cache }).askAll(variants)
  assert.is(server.seen.length, variants.length)
  await open({ cache, model: 'other' }).ask(base)
  await open({ cache, body: { x: 1 } }).ask(base)
  await open({ cache, url: `${server.url}/` }).ask(base)
  assert.is(server.seen.length, variants.length + 2)
})

test('equal requests under way are sent once', async ({ server, open }) => {
  const outcomes = await open().askAll([question('a'), question('a'), question('a')])
  assert.is(server.seen.length, 1)
  assert.equal(
    outcomes.map(({ answer }) => answer?.content),
    ['echo a', 'echo a', 'echo a'],
  )
})

test('never more under way than allowed', async ({ server, open }) => {
  server.behave((seen, index, response) => setTimeout(() => echo(seen, index, response), 10))
  await open({ concurrency: 3 }).askAll(Array.from({ length: 12 }, (_, i) => question(`${i}`)))
  assert.is(server.peak, 3)
})

test('an abort starts nothing more and keeps what is under way', async ({ server, open, folder }) => {
  const cache = join(folder, 'answers.jsonl')
  const abort = new AbortController()
  server.behave((seen, index, response) => {
    if (index === 3) abort.abort(new Error('enough'))
    setTimeout(() => echo(seen, index, response), 20)
  })
  const requests = Array.from({ length: 20 }, (_, i) => question(`${i}`))
  const error = await errorOf(open({ cache, concurrency: 2 }).askAll(requests, { signal: abort.signal }))
  assert.is(error.message, 'enough')
  assert.is(open({ cache }).stored.answers, server.seen.length)
})

test('an abort does not wait for a server that asks for patience', async ({ server, open }) => {
  server.behave((_s, _i, response) => sendJson(response, 429, {}, { 'retry-after': '300' }))
  for (const backoff of [0.01, 300]) {
    const abort = new AbortController()
    const start = performance.now()
    const asked = errorOf(open({ backoff }).ask(question('a'), abort.signal))
    server.behave((_s, _i, response) => sendJson(response, 500, {}))
    setTimeout(() => abort.abort(new Error('enough')), 100)
    assert.is((await asked).message, 'enough')
    assert.ok(performance.now() - start < 5000)
  }
})

test('native tools, and a conversation with calls and results', async ({ server, open }) => {
  server.behave((_s, _i, response) => {
    const call = (name: string, args: unknown) => ({ id: 'x', type: 'function', function: { name, arguments: args } })
    const calls = [call('f', '{"a": 1.0, "b": 36028797018963969}'), call('g', ''), call('h', { c: 2 })]
    sendJson(response, 200, completion(null, { tool_calls: calls, reasoning_content: 'hm' }, 'tool_calls'))
  })
  const tool = { type: 'function' as const, function: { name: 'f', parameters: { type: 'object' } } }
  const calls = '[{"name": "f", "arguments": {"a": 1.0}}]'
  const { answer } = await open().ask({
    ...question('q'),
    tools: [tool],
    messages: [
      { role: 'user', content: 'q' },
      { role: 'assistant', content: JSON.stringify(calls) },
      { role: 'tool', content: 'done' },
      { role: 'assistant', content: 'It is done.' },
      { role: 'tool', content: 'stray' },
      {
        role: 'assistant',
        content:
          '<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>\n<tool_call>{"name": "g", "arguments": {}}</tool_call>',
      },
      { role: 'tool', content: '1' },
      { role: 'tool', content: '2' },
      { role: 'assistant', content: '<tool_call>{"name": "f"</tool_call>' },
    ],
  })
  assert.equal(answer?.toolCalls, [
    { name: 'f', arguments: '{"a": 1.0, "b": 36028797018963969}' },
    { name: 'g', arguments: '{}' },
    { name: 'h', arguments: '{"c": 2}' },
  ])
  assert.is(answer?.reasoning, 'hm')
  const { body } = server.seen[0]!
  assert.equal(body.tools, [
    { type: 'function', function: { name: 'f', parameters: { type: 'object', properties: {} } } },
  ])
  assert.equal(body.messages[1], {
    role: 'assistant',
    content: null,
    tool_calls: [{ id: 'call_1_0', type: 'function', function: { name: 'f', arguments: '{"a": 1.0}' } }],
  })
  assert.equal(body.messages[2], { role: 'tool', tool_call_id: 'call_1_0', content: 'done' })
  assert.equal(body.messages[4], { role: 'user', content: '<tool_response>\nstray\n</tool_response>' })
  assert.is((body.messages[5]!.tool_calls as unknown[]).length, 2)
  assert.equal(
    body.messages.slice(6, 8).map((message) => message.tool_call_id),
    ['call_5_0', 'call_5_1'],
  )
  assert.is(body.messages[8]?.content, '<tool_call>{"name": "f"</tool_call>')
})

test('tools are sent as the API takes them, calls come back under their own names', async ({ server, open }) => {
  server.behave(({ body }, _index, response) => {
    const names = (body.tools as { function: { name: string } }[]).map((tool) => tool.function.name)
    const calls = [...names, 'made_up'].map((name) => ({
      id: 'x',
      type: 'function',
      function: { name, arguments: '{}' },
    }))
    sendJson(response, 200, completion(null, { tool_calls: calls }))
  })
  const names = ['math.factorial', 'math_factorial', 'Get Weather/v1', 'ok-name_1', 'é'.repeat(70)]
  const tools = names.map((name) => ({ type: 'function' as const, function: { name } }))
  const calls = '[{"name": "math.factorial", "arguments": {}}]'
  const { answer } = await open().ask({
    ...question('q'),
    tools,
    messages: [
      { role: 'assistant', content: calls },
      { role: 'tool', content: '1' },
    ],
  })
  const sent = (server.seen[0]!.body.tools as { function: { name: string } }[]).map((tool) => tool.function.name)
  assert.equal(sent.slice(0, 4), ['math_factorial_2', 'math_factorial', 'Get_Weather_v1', 'ok-name_1'])
  for (const name of sent) assert.match(name, /^[\w-]{1,64}$/)
  assert.equal(
    answer?.toolCalls.map(({ name }) => name),
    [...names, 'made_up'],
  )
  const turn = server.seen[0]!.body.messages[0]!
  assert.is((turn.tool_calls as { function: { name: string } }[])[0]?.function.name, 'math_factorial_2')
})

test('the key is in no error, no file and no answer', async ({ server, open, folder }) => {
  const cache = join(folder, 'answers.jsonl')
  server.behave(({ headers }, index, response) => {
    if (index === 0) sendJson(response, 500, { error: { message: `you sent ${headers.authorization}` } })
    else if (index === 1) sendJson(response, 200, completion(`I saw ${headers.authorization}`))
    else sendJson(response, 400, { error: { message: `bad ${headers.authorization}` } })
  })
  const texts: string[] = []
  const endpoint = open({ cache, onRetry: (reason) => texts.push(reason) })
  texts.push(JSON.stringify(await endpoint.ask(question('a'))))
  texts.push(JSON.stringify(await endpoint.ask(question('b'))))
  texts.push(readFileSync(cache, 'utf8'))
  assert.is(server.seen.length, 3)
  for (const text of texts) assert.not.match(text, key)
  assert.match(texts[0]!, 'you sent Bearer [key]')
})

test('addresses and settings that make no sense are refused, keys in them not repeated', ({ open }) => {
  const message = (options: Partial<OpenEndpointOptions>) => {
    try {
      open(options)
    } catch (error) {
      assert.is((error as { code: string }).code, 'ERR_CONFIG')
      return (error as Error).message
    }
    throw new Error('nothing was thrown')
  }
  for (const url of [
    `http://user:${key}@localhost/v1`,
    `http://localhost/v1?api_key=${key}`,
    `${key}`,
    `file:///${key}`,
  ]) {
    assert.not.match(message({ url }), key)
  }
  assert.not.match(message({ apiKey: `${key}\nX: y` }), key)
  assert.match(message({ timeout: 301 }), 'at most 300')
  assert.match(message({ concurrency: 0 }), 'concurrency')
  assert.match(message({ retries: -1 }), 'retries')
  assert.match(message({ model: ' ' }), 'name of a model')
})

test('cost is that of the tokens', () => {
  const tally = { answers: 2, promptTokens: 3e6, completionTokens: 5e5, uncounted: 0 }
  assert.is(costOf(tally, { input: 2.5, output: 10 }), 12.5)
})

test.run()
