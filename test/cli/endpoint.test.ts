import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type Behaviour, completion, sendJson } from '../rollout/endpoint/support/server.js'
import {
  weatherCall as call,
  endpointSuite,
  testKey as key,
  startAtEndpoint as start,
  storedAnswers,
  untilStored,
  writeWeatherData as writeData,
} from './support/endpoint.js'

const cityOf = (question: string) => /in (\w+)\?/.exec(question)?.[1] ?? ''
const questionOf = (seen: Parameters<Behaviour>[0]) =>
  seen.body.messages.findLast(({ role }) => role === 'user')?.content ?? ''

/** Right for cities of an even number, with a thought. */
const rightHalfTheTime: Behaviour = (seen, _index, response) => {
  const city = cityOf(questionOf(seen))
  const said = Number(city.slice(4)) % 2 === 0 ? city : 'Atlantis'
  sendJson(response, 200, completion(`<think>hm</think><tool_call>[${call(said)}]</tool_call>`))
}

const test = endpointSuite('commands at an endpoint', rightHalfTheTime)

/** Everything that a command has written. */
const textsBelow = (folder: string) =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'))

const evalArgs = (url: string) => ['eval', '--endpoint', url, '-m', 'some/model', '-d', 'data.jsonl', '--json']

test('eval scores an endpoint, counts tokens and cost, and asks nothing twice', async ({ server, folder }) => {
  writeData(folder, 10)
  const args = [...evalArgs(server.url), '--price-in', '1', '--price-out', '100', '-o', 'answers.jsonl']
  const first = await start(args, folder).ended
  assert.is(first.code, 0, first.err)
  const result = JSON.parse(first.out) as {
    samples: number
    exactMatch: { value: number }
    variant: string
    usage: Record<'asked' | 'stored', { answers: number; prompt_tokens: number; cost: number }>
  }
  assert.is(result.samples, 10)
  assert.is(result.exactMatch.value, 0.5)
  assert.is(result.variant, 'v0')
  assert.is(result.usage.asked.prompt_tokens, 100)
  assert.ok(Math.abs(result.usage.asked.cost - (100 * 1 + 40 * 100) / 1e6) < 1e-12)
  assert.match(server.seen[0]!.body.messages[0]!.content ?? '', 'Here is a list of functions')
  assert.is(server.seen[0]!.headers.authorization, `Bearer ${key}`)
  const answers = readFileSync(join(folder, 'answers.jsonl'), 'utf8')

  const again = await start(args, folder).ended
  const repeated = JSON.parse(again.out) as typeof result
  assert.is(server.seen.length, 10)
  assert.is(repeated.usage.asked.answers, 0)
  assert.is(repeated.usage.stored.answers, 10)
  assert.equal(repeated.exactMatch, result.exactMatch)
  assert.is(readFileSync(join(folder, 'answers.jsonl'), 'utf8'), answers)
  for (const text of [first.out, first.err, again.out, ...textsBelow(folder)]) assert.not.match(text, key)
})

test('native calls need no thought', async ({ server, folder }) => {
  writeData(folder, 2)
  server.behave((seen, _index, response) => {
    assert.ok(Array.isArray(seen.body.tools))
    const args = JSON.stringify({ city: cityOf(questionOf(seen)) })
    const calls = [{ id: 'c', type: 'function', function: { name: 'get_weather', arguments: args } }]
    sendJson(response, 200, completion(null, { tool_calls: calls }, 'tool_calls'))
  })
  const { code, out, err } = await start([...evalArgs(server.url), '--prompt-format', 'native'], folder).ended
  assert.is(code, 0, err)
  assert.is((JSON.parse(out) as { exactMatch: { value: number } }).exactMatch.value, 1)
})

test('killed at any instant, the evaluation goes on where it was', async ({ server, folder }) => {
  const total = 40
  writeData(folder, total)
  const cache = join(folder, 'runs/answers/some-model.jsonl')
  const slow: Behaviour = (seen, index, response) => setTimeout(() => rightHalfTheTime(seen, index, response), 15)
  server.behave(slow)
  for (const after of [1, 9, 23]) {
    const { child, ended } = start([...evalArgs(server.url), '--concurrency', '3'], folder)
    await untilStored(cache, after, { ended })
    child.kill('SIGKILL')
    assert.is((await ended).code, null)
    // What a kill in the middle of a write leaves behind.
    if (after === 9) writeFileSync(cache, '{"key": "0123', { flag: 'a' })
    const stored = storedAnswers(cache).length
    assert.ok(stored >= after && stored < total)
    const asked = server.seen.length
    // Requests that were under way when it was killed: at most three a time.
    assert.ok(asked - stored <= 3 * 3, `${asked} asked, ${stored} stored`)
  }
  const before = server.seen.length
  const stored = storedAnswers(cache).length
  const { code, out, err } = await start([...evalArgs(server.url), '-o', 'answers.jsonl'], folder).ended
  assert.is(code, 0, err)
  assert.is(server.seen.length - before, total - stored)
  assert.is((JSON.parse(out) as { exactMatch: { value: number } }).exactMatch.value, 0.5)

  const fresh = await start([...evalArgs(server.url), '--no-cache', '-o', 'fresh.jsonl'], folder).ended
  assert.is(fresh.code, 0, fresh.err)
  assert.is(readFileSync(join(folder, 'fresh.jsonl'), 'utf8'), readFileSync(join(folder, 'answers.jsonl'), 'utf8'))
})

test('Ctrl-C keeps what is under way', async ({ server, folder }) => {
  writeData(folder, 40)
  server.behave((seen, index, response) => setTimeout(() => rightHalfTheTime(seen, index, response), 30))
  const { child, ended } = start([...evalArgs(server.url), '--concurrency', '2'], folder)
  while (server.seen.length < 6) await new Promise((resolve) => setTimeout(resolve, 2))
  child.kill('SIGINT')
  const { code, err } = await ended
  assert.is(code, 1)
  assert.match(err, 'the same command goes on')
  assert.is(storedAnswers(join(folder, 'runs/answers/some-model.jsonl')).length, server.seen.length)
})

test('a key is neither sent to the wrong place nor printed', async ({ server, folder }) => {
  writeData(folder, 2)
  const openaiKey = 'sk-openai-1234567890'
  const env = { OPENAI_API_KEY: openaiKey, CALLGRAD_API_KEY: '', OPENAI_ORG_ID: 'org-1', OPENAI_LOG: 'debug' }
  const { code, out, err } = await start(evalArgs(server.url), folder, env).ended
  assert.is(code, 0, err)
  for (const { headers } of server.seen) {
    assert.is(headers.authorization, 'Bearer none')
    assert.is(headers['openai-organization'], undefined)
  }
  assert.not.match(out + err, openaiKey)

  const cases: [string[], string][] = [
    [['--key-env', openaiKey], '--key-env: expected the name of an environment variable'],
    [['--key-env', 'NO_SUCH_KEY'], 'environment variable NO_SUCH_KEY, got none'],
    [['--endpoint', `http://u:${openaiKey}@localhost/v1`], 'keys belong in the environment'],
    [['--body', '[1]'], '--body: expected a JSON object'],
    [['--concurrency', '0'], 'concurrency'],
  ]
  const results = await Promise.all(cases.map(([args]) => start([...evalArgs(server.url), ...args], folder, env).ended))
  for (const [i, [, message]] of cases.entries()) {
    assert.is(results[i]!.code, 2, message)
    assert.match(results[i]!.err, message)
    assert.not.match(results[i]!.err, openaiKey)
  }

  server.behave(({ headers }, _index, response) =>
    sendJson(response, 401, { error: { message: `Incorrect API key provided: ${headers.authorization}` } }),
  )
  const denied = await start([...evalArgs(server.url), '--no-cache'], folder, { CALLGRAD_DEBUG: '1' }).ended
  assert.is(denied.code, 1)
  assert.match(denied.err, 'status 401')
  assert.not.match(denied.err, key)
})

test.run()
