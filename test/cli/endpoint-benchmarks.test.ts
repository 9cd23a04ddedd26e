import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { createProgram } from '../../lib/cli/main.js'
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

test('tokens and cost are told of what was asked now and of what was stored before', async ({ folder, server }) => {
  type Tally = { answers: number; prompt_tokens: number; cost: number }
  const run = async (benchmark: string, output: string, ...more: string[]) => {
    const priced = ['--limit', '2', '--price-in', '1', '--price-out', '10', ...more]
    const { code, out, err } = await startAtEndpoint(args(benchmark, server.url, output, ...priced), folder).ended
    assert.is(code, 0, err)
    return out
  }
  const usage = async (...given: Parameters<typeof run>) =>
    (JSON.parse(await run(...given, '--json')) as { usage: Record<'asked' | 'stored', Tally> }).usage
  const check = async (benchmark: string, ...picked: string[]) => {
    const first = await usage(benchmark, 'own', '--no-cache', ...picked)
    const answers = storedAnswers(join(folder, 'own', 'answers.jsonl')).length
    assert.equal([first.asked.answers, first.asked.prompt_tokens], [answers, 10 * answers])
    assert.ok(answers > 0 && Math.abs(first.asked.cost - (answers * (10 + 40)) / 1e6) < 1e-12)
    assert.is(first.stored.answers, 0)
    const before = server.seen.length
    const again = await usage(benchmark, 'own', ...picked)
    assert.is(server.seen.length, before)
    assert.equal([again.asked.answers, again.asked.cost, again.stored], [0, 0, first.asked])
    rmSync(join(folder, 'own'), { recursive: true })
    return answers
  }
  await check('acebench', '-c', 'normal_atom_bool,special')
  const answers = await check('api-bank', '-c', 'call')
  await run('api-bank', 'one', '-c', 'call')
  const told = new RegExp(`\\b0 asked \\(0 \\+ 0 tokens, cost 0\\.0\\), ${answers} stored before .*cost 0\\.00010`)
  assert.match(await run('api-bank', 'one', '-c', 'call', '--no-cache'), told, 'from answers.jsonl')
  assert.match(await run('api-bank', 'two', '-c', 'call'), told, 'from the shared file')
})

test('answers whose tokens the server does not count are told as such, now and later', async ({ folder, server }) => {
  server.behave((_seen, _index, response) => sendJson(response, 200, { ...completion('Hm.'), usage: undefined }))
  const uncounted = async () => {
    const { out } = await startAtEndpoint(args('api-bank', server.url, 'u', '--limit', '1', '--json'), folder).ended
    const { asked, stored } = (JSON.parse(out) as { usage: Record<'asked' | 'stored', { uncounted: number }> }).usage
    return [asked.uncounted, stored.uncounted]
  }
  assert.equal(
    [await uncounted(), await uncounted()],
    [
      [2, 0],
      [0, 2],
    ],
  )
})

test('--help says that answers are always kept', () => {
  const program = createProgram().commands.find((command) => command.name() === 'eval')!
  for (const name of ['bfcl', 'acebench', 'api-bank']) {
    const help = program.commands.find((command) => command.name() === name)!.helpInformation()
    const text = help.replaceAll(/\s+/g, ' ')
    assert.match(text, '--no-cache at an endpoint: no such file; answers.jsonl is kept all the same')
    assert.match(text, 'answers.jsonl, which always keeps the answers')
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
