import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { withReplies } from '../../lib/cli/examples.js'
import { loadDataset } from '../../lib/data/load.js'
import { scoreToolCalls } from '../../lib/reward/tool-call.js'
import { type Behaviour, completion, sendJson } from '../rollout/endpoint/support/server.js'
import { endpointSuite, startAtEndpoint, storedAnswers, untilStored, writeWeatherData } from './support/endpoint.js'

/** Needs as many tries as the number of the city, modulo 4; on the fourth it would be right, too late. */
const teacher: Behaviour = ({ body }, _index, response) => {
  const city = /in (\w+)\?/.exec(body.messages.at(-1)?.content ?? '')?.[1] ?? ''
  const right = Number(body.seed) >= Number(city.slice(4)) % 4
  const call = { name: 'get_weather', arguments: { city: right ? city : 'Atlantis' } }
  const text = `<tool_call>[${JSON.stringify(call)}]</tool_call> Done.`
  sendJson(response, 200, completion(text, { reasoning_content: 'hm' }))
}

const test = endpointSuite('callgrad distill', teacher)

const total = 24
const args = (url: string, output: string, ...more: string[]) => [
  ...['distill', '--endpoint', url, '-m', 't', '-d', 'data.jsonl', '-o', output, '--tries', '3', '--json'],
  ...['--set', 'seed=0', '--concurrency', '3', ...more],
]

test('killed at any instant it goes on; what it writes is data for sft', async ({ server, folder }) => {
  writeWeatherData(folder, total)
  const cache = join(folder, 'runs/answers/t.jsonl')
  server.behave((seen, index, response) => setTimeout(() => teacher(seen, index, response), 15))
  for (const after of [2, 20]) {
    const { child, ended } = startAtEndpoint(args(server.url, 'kept.jsonl'), folder)
    await untilStored(cache, after, { ended })
    child.kill('SIGKILL')
    assert.is((await ended).code, null)
    assert.not.ok(existsSync(join(folder, 'kept.jsonl')))
  }
  const [stored, before] = [storedAnswers(cache).length, server.seen.length]
  const { code, out, err } = await startAtEndpoint(args(server.url, 'kept.jsonl', '--rejected', 'bad.jsonl'), folder)
    .ended
  assert.is(code, 0, err)
  // Of four cities one needs one try, one two, and two need three, of which one is right.
  const answers = (total / 4) * (1 + 2 + 3 + 3)
  assert.is(server.seen.length - before, answers - stored)
  const stats = JSON.parse(out) as {
    kept: number
    keptByTry: number[]
    rejectedAnswers: object
    usage: { asked: { answers: number } }
  }
  assert.is(stats.kept, (total / 4) * 3)
  assert.equal(stats.keptByTry, [6, 6, 6])
  assert.equal(stats.rejectedAnswers, { arguments: answers - stats.kept })
  assert.is(stats.usage.asked.answers, answers - stored)
  const written = JSON.parse(readFileSync(join(folder, 'kept.jsonl.stats.json'), 'utf8')) as { kept: number }
  assert.is(written.kept, stats.kept)
  const bad = readFileSync(join(folder, 'bad.jsonl'), 'utf8').trim().split('\n')
  assert.is(bad.length, 6)
  assert.is((JSON.parse(bad[0]!) as { rejected: unknown[] }).rejected.length, 3)

  const { examples, report } = withReplies(await loadDataset(join(folder, 'kept.jsonl')), {
    thoughts: 'none',
    promptFormat: 'tool-n1',
  })
  assert.is(examples.length, stats.kept)
  assert.equal(report.problems, [])
  for (const { reply, truth, messages } of examples) {
    assert.is(scoreToolCalls(reply!, truth!, 'v0').reward, 1)
    assert.match(reply!, /^<think>hm<\/think>\n<tool_call>.*<\/tool_call>$/)
    assert.is(messages.length, 2)
    assert.match(messages[0]!.content, 'get_weather')
  }

  // Another prompt format can still be chosen.
  const native = await loadDataset(join(folder, 'kept.jsonl'), { prompt: 'native' })
  assert.is(native.examples[0]?.tools.length, 1)
  assert.is(native.examples[0]?.messages.length, 1)

  // The same from nothing, in one go, and without reasons: from the stored answers alone.
  const whole = await startAtEndpoint(args(server.url, 'fresh.jsonl', '--cache', 'fresh-answers.jsonl'), folder).ended
  assert.is(whole.code, 0, whole.err)
  assert.is(readFileSync(join(folder, 'fresh.jsonl'), 'utf8'), readFileSync(join(folder, 'kept.jsonl'), 'utf8'))
  const asked = server.seen.length
  const plain = await startAtEndpoint(args(server.url, 'plain.jsonl', '--form', 'no-reason'), folder).ended
  assert.is(plain.code, 0, plain.err)
  assert.is(server.seen.length, asked)
  const calls = await loadDataset(join(folder, 'plain.jsonl'))
  assert.is(calls.examples.length, stats.kept)
  for (const { reply } of calls.examples) assert.match(reply!, /^<tool_call>.*<\/tool_call>$/)
})

test('--single-turn leaves out questions with turns before them', async ({ server, folder }) => {
  const turn = (role: string, content: string) => ({ role, content })
  const [truth, tools] = [[{ name: 'get_weather', arguments: { city: 'City0' } }], [{ name: 'get_weather' }]]
  const records = [
    { id: 'one', messages: [turn('system', 'Be brief.'), turn('user', 'Rain in City0?')], tools, truth },
    {
      id: 'two',
      messages: [turn('user', 'Hi'), turn('assistant', 'Hello'), turn('user', 'Rain in City0?')],
      tools,
      truth,
    },
  ]
  writeFileSync(join(folder, 'data.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''))
  const { code, out, err } = await startAtEndpoint(args(server.url, 'o.jsonl', '--single-turn'), folder).ended
  assert.is(code, 0, err)
  const { examples, kept, withoutTruth } = JSON.parse(out) as Record<string, number>
  assert.equal([examples, kept, withoutTruth], [1, 1, 0])
  assert.is(server.seen.length, 1)
})

test('wrong settings are one line', async ({ server, folder }) => {
  writeFileSync(join(folder, 'data.jsonl'), '{"messages": [{"role": "user", "content": "Hello"}]}\n')
  const [form, empty] = await Promise.all([
    startAtEndpoint(args(server.url, 'o.jsonl', '--form', 'deep'), folder).ended,
    startAtEndpoint(args(server.url, 'o.jsonl'), folder).ended,
  ])
  assert.is(form.code, 2)
  assert.match(form.err, 'form: expected one of "reason", "no-reason", got "deep"')
  assert.is(empty.code, 1)
  assert.match(empty.err, 'expected examples with right calls, got none')
})

test.run()
