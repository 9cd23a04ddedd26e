import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { loadBfcl } from '../../lib/eval/bfcl/dataset.js'
import { fixtureData } from '../eval/bfcl/support.js'
import { type Behaviour, completion, sendJson, type TestServer } from '../rollout/endpoint/support/server.js'
import { endpointSuite, startAtEndpoint } from './support/endpoint.js'

const declining: Behaviour = (_seen, _index, response) => sendJson(response, 200, completion('No function helps.'))
const test = endpointSuite('eval bfcl', declining)

const args = (server: TestServer, ...more: string[]) => [
  ...['eval', 'bfcl', '--endpoint', server.url, '-m', 'some/model', '-d', fixtureData, '-o', 'out', '--json', ...more],
]

interface Result {
  categories: Record<string, { correct: number; total: number }>
  tables: Record<string, Record<string, string>>
  stored: number
  problems: unknown[]
}

test('an endpoint is asked, judged and not asked again; the files are there', async ({ server, folder }) => {
  const flags = args(server, '--category', 'irrelevance,multiple', '--handler', 'tool-n1', '--version', 'v3')
  const first = await startAtEndpoint(flags, folder).ended
  assert.is(first.code, 0, first.err)
  const result = JSON.parse(first.out) as Result
  const { irrelevance, multiple } = result.categories
  assert.is(irrelevance!.correct, irrelevance!.total)
  assert.is(multiple!.correct, 0)
  assert.is(result.tables.data_overall!['Live Simple AST'], 'N/A')
  assert.is(server.seen.length, irrelevance!.total + multiple!.total)
  const [system, user] = server.seen[0]!.body.messages
  assert.match(system!.content!, /^\n {8}You are an expert in composing functions/)
  assert.is(user!.role, 'user')
  for (const file of ['result', 'score'].map((kind) => `out/${kind}/some_model/BFCL_v3_multiple_${kind}.json`)) {
    assert.ok(existsSync(join(folder, file)), file)
  }
  assert.match(readFileSync(join(folder, 'out/failures.html'), 'utf8'), /No function helps\./)
  const again = await startAtEndpoint(flags, folder).ended
  assert.is(again.code, 0, again.err)
  const second = JSON.parse(again.out) as Result
  assert.equal(second.categories, result.categories)
  assert.is(second.stored, server.seen.length, 'nothing was asked twice')
})

test('after a kill the same command asks only the rest', async ({ server, folder }) => {
  const { questions } = await loadBfcl(fixtureData, { version: 'v4', categories: ['live_simple', 'parallel'] })
  const total = [...questions.values()].flat().length
  const flags = [...args(server, '-c', 'live_simple,parallel'), '--concurrency', '1', '--no-cache']
  const answered = Math.floor(total / 2)
  const killed = startAtEndpoint(flags, folder)
  server.behave((seen, index, response) => {
    if (index === answered) killed.child.kill('SIGKILL')
    else declining(seen, index, response)
  })
  assert.is((await killed.ended).code, null)
  const before = server.seen.length
  server.behave(declining)
  const { code, out, err } = await startAtEndpoint(flags, folder).ended
  assert.is(code, 0, err)
  assert.is((JSON.parse(out) as Result).stored, answered)
  assert.is(server.seen.length - before, total - answered)
})

test('qwen-fc hands over native tools and judges native calls', async ({ server, folder }) => {
  server.behave((seen, _index, response) => {
    const [tool] = seen.body.tools as { function: { name: string } }[]
    const calls = [{ id: 'c', type: 'function', function: { name: tool!.function.name, arguments: '{}' } }]
    sendJson(response, 200, completion(null, { tool_calls: calls }, 'tool_calls'))
  })
  const { code, out, err } = await startAtEndpoint(args(server, '-c', 'live_relevance', '--handler', 'qwen-fc'), folder)
    .ended
  assert.is(code, 0, err)
  const { correct, total } = (JSON.parse(out) as Result).categories.live_relevance!
  assert.is(correct, total)
})

test('tables for people: categories, the paper beside ours, what was left out', async ({ server, folder }) => {
  const flags = args(server, '-c', 'live', '--limit', '1').filter((flag) => flag !== '--json')
  const { code, out, err } = await startAtEndpoint(flags, folder).ended
  assert.is(code, 0, err)
  for (const text of ['live_parallel_multiple', '95 % interval', 'Tool-N1-7B', 'GPT-4o', 'failures.html', 'Live AST']) {
    assert.match(out, text)
  }
})

test('wrong usage exits 2 and names what is known', async ({ server, folder }) => {
  const cases: [string[], string][] = [
    [['eval', 'bfcl', '-m', 'm'], "required option '-d, --data <folder>' not specified"],
    [args(server, '--version', 'v5'), '--version: expected v3, v4, got "v5"'],
    [args(server, '--handler', 'x'), '--handler: expected prompt, tool-n1, tool-n1-no-reason, qwen-fc'],
    [args(server, '-c', 'simpel'), '--category: expected simple_python'],
    [args(server, '-c', 'multi_turn_base'), 'only single-turn categories are covered'],
  ]
  const ended = await Promise.all(cases.map(([given]) => startAtEndpoint(given, folder).ended))
  for (const [i, [given, message]] of cases.entries()) {
    assert.is(ended[i]!.code, 2, given.join(' '))
    assert.match(ended[i]!.err, message)
  }
  const absent = await startAtEndpoint(['eval', 'bfcl', '-m', 'm', '-d', 'nowhere'], folder).ended
  assert.is(absent.code, 1)
  assert.match(absent.err, 'BFCL_v4_simple_python.json')
})

test.run()
