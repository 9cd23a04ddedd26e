import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type Behaviour, completion, sendJson } from '../rollout/endpoint/support/server.js'
import { repositoryRoot } from '../support/shared.js'
import { endpointSuite, startAtEndpoint, storedAnswers, untilStored } from './support/endpoint.js'

const fixtures = join(repositoryRoot, 'test/fixtures')

/** Calls the first function that it is given, or says that it cannot. */
const answering: Behaviour = ({ body }, _index, response) => {
  const tools = body.tools as { function: { name: string } }[] | undefined
  if (!tools?.[0]) return sendJson(response, 200, completion('Due to the limitations of the function, I cannot.'))
  const call = { name: tools[0].function.name, arguments: '{}' }
  return sendJson(response, 200, completion(null, { tool_calls: [{ id: 'c', type: 'function', function: call }] }))
}

const test = endpointSuite('eval acebench and api-bank at an endpoint', answering)

const args = (benchmark: string, url: string, output: string, ...more: string[]) => [
  ...['eval', benchmark, '--endpoint', url, '-m', 'lab/m', '-o', output, '--concurrency', '3'],
  ...['-d', join(fixtures, benchmark === 'acebench' ? benchmark : 'apibank'), ...more],
]

test('both print tables, write files and browsable failures', async ({ folder, server }) => {
  const [ace, bank] = await Promise.all([
    startAtEndpoint(args('acebench', server.url, 'a', '--limit', '1'), folder).ended,
    startAtEndpoint(args('api-bank', server.url, 'b', '--limit', '2', '--handler', 'qwen-fc'), folder).ended,
  ])
  assert.is(ace.code, 0, ace.err)
  assert.match(ace.out, /special_irrelevant +1 +1 +100\.0/)
  assert.match(ace.out, /normal_atom_bool +0 +1 +0\.0/)
  assert.match(ace.out, /Tool-N1-14B .*86\.00/)
  assert.is(bank.code, 0, bank.err)
  assert.match(bank.out, /call +2 +0\.00/)
  assert.match(bank.out, /GPT-4o +77\.16/)
  const files = [
    'a/result_all/result_en/lab_m/data_normal_atom_bool_result.json',
    'a/score_all/score_en/lab_m/data_special_irrelevant_score.json',
    'a/score_all/score_en/result.csv',
    'b/pred/lab_m/level-1-api.jsonl',
    'b/score/lab_m/level-2-api_score.json',
  ]
  for (const file of files) assert.ok(existsSync(join(folder, file)), file)
  for (const output of ['a', 'b']) {
    const page = readFileSync(join(folder, output, 'failures.html'), 'utf8')
    assert.match(page, /<details class="failure"/)
    assert.match(page, output === 'a' ? /normal_atom_bool_\d+/ : /level-1\//)
  }
})

test('killed at any instant they go on where they were', async ({ folder, server }) => {
  server.behave((seen, index, response) => setTimeout(() => answering(seen, index, response), 20))
  for (const benchmark of ['acebench', 'api-bank']) {
    const file = join(folder, benchmark, 'answers.jsonl')
    const { child, ended } = startAtEndpoint(args(benchmark, server.url, benchmark, '--json'), folder)
    await untilStored(file, 3, { ended })
    child.kill('SIGKILL')
    await ended
    const kept = storedAnswers(file).length
    const before = server.seen.length
    const resumed = await startAtEndpoint(args(benchmark, server.url, benchmark, '--json'), folder).ended
    assert.is(resumed.code, 0, resumed.err)
    const { stored, unasked, problems } = JSON.parse(resumed.out) as Record<string, unknown[] & number>
    assert.ok((stored as number) >= kept)
    assert.equal([unasked, problems], [[], []])
    const total = storedAnswers(file).length
    assert.ok(server.seen.length - before <= total - kept, 'a stored answer was asked for again')
  }
})

test('wrong names are refused before a model is opened', async ({ folder, server }) => {
  for (const [benchmark, ...wrong] of [
    ['acebench', '--category', 'normal_atom_boolean'],
    ['acebench', '--version', 'v3'],
    ['acebench', '--handler', 'fc'],
    ['api-bank', '--category', 'plan'],
  ] as [string, ...string[]][]) {
    const { code, err } = await startAtEndpoint(args(benchmark, server.url, 'x', ...wrong), folder).ended
    assert.is(code, 2, err)
    assert.match(err, new RegExp(`expected .*got "${wrong[1]}"`))
  }
  assert.is(server.seen.length, 0)
})

test.run()
