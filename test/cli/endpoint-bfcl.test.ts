import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type Behaviour, completion, sendJson } from '../rollout/endpoint/support/server.js'
import { endpointSuite, startAtEndpoint, storedAnswers, untilStored } from './support/endpoint.js'

const total = 24

/** Right for even numbers; native calls where it is given tools. */
const answering: Behaviour = ({ body }, _index, response) => {
  const asked = Number(/of (\d+)/.exec(body.messages.at(-1)?.content ?? '')?.[1])
  const number = asked % 2 === 0 ? asked : asked + 1
  const tools = body.tools as { function: { name: string } }[] | undefined
  if (!tools) return sendJson(response, 200, completion(`[math.factorial(number=${number})]`))
  const call = { name: tools[0]!.function.name, arguments: JSON.stringify({ number }) }
  return sendJson(response, 200, completion(null, { tool_calls: [{ id: 'c', type: 'function', function: call }] }))
}

const test = endpointSuite('eval bfcl at an endpoint', answering)
test.before.each(({ folder }) => {
  const write = (part: string, lines: object[]) => {
    mkdirSync(join(folder, 'bfcl', part), { recursive: true })
    const text = lines.map((line) => `${JSON.stringify(line)}\n`).join('')
    writeFileSync(join(folder, 'bfcl', part, 'BFCL_v4_simple_python.json'), text)
  }
  const numbers = Array.from({ length: total }, (_, i) => i)
  const parameters = {
    type: 'dict',
    properties: { number: { type: 'integer', description: 'n' } },
    required: ['number'],
  }
  write(
    'question',
    numbers.map((i) => ({
      id: `simple_python_${i}`,
      question: [[{ role: 'user', content: `The factorial of ${i}, please.` }]],
      function: [{ name: 'math.factorial', description: 'Factorial.', parameters }],
    })),
  )
  write(
    'possible_answer',
    numbers.map((i) => ({ id: `simple_python_${i}`, ground_truth: [{ 'math.factorial': { number: [i] } }] })),
  )
})

const args = (url: string, output: string, ...more: string[]) => [
  ...['eval', 'bfcl', '--endpoint', url, '-m', 'm', '-d', 'bfcl', '-c', 'simple', '-o', output, '--concurrency', '3'],
  ...['--json', ...more],
]

interface Summary {
  stored: number
  unasked: unknown[]
  categories: Record<string, { correct?: number; total?: number; accuracy?: number }>
}

test('prompt and native tools are judged alike', async ({ server, folder }) => {
  const [prompt, native] = await Promise.all([
    startAtEndpoint([...args(server.url, 'p'), '--handler', 'prompt'], folder).ended,
    startAtEndpoint([...args(server.url, 'n'), '--handler', 'qwen-fc'], folder).ended,
  ])
  for (const { code, out, err } of [prompt, native]) {
    assert.is(code, 0, err)
    const { categories, unasked } = JSON.parse(out) as Summary
    assert.equal(unasked, [])
    const [row] = Object.values(categories)
    assert.is(row?.accuracy ?? (row?.correct ?? 0) / (row?.total ?? 1), 0.5, JSON.stringify(categories))
  }
  const names = server.seen.flatMap(({ body }) => (body.tools as { function: { name: string } }[] | undefined) ?? [])
  assert.is(names.length, total)
  for (const { function: tool } of names) assert.match(tool.name, /^[\w-]+$/)
})

test('killed at any instant it goes on where it was, to the same figures', async ({ server, folder }) => {
  server.behave((seen, index, response) => setTimeout(() => answering(seen, index, response), 15))
  const file = join(folder, 'r/answers.jsonl')
  for (const after of [1, 12]) {
    const { child, ended } = startAtEndpoint(args(server.url, 'r'), folder)
    await untilStored(file, after, { ended })
    child.kill('SIGKILL')
    assert.is((await ended).code, null)
  }
  const [kept, before] = [storedAnswers(file).length, server.seen.length]
  assert.ok(kept >= 12 && kept < total)
  const resumed = await startAtEndpoint(args(server.url, 'r'), folder).ended
  assert.is(resumed.code, 0, resumed.err)
  // The endpoint's own file may hold an answer more than the evaluation's.
  assert.ok(server.seen.length - before <= total - kept)
  const fresh = await startAtEndpoint(args(server.url, 'f', '--no-cache'), folder).ended
  const figures = ({ out }: { out: string }) => {
    const { categories, unasked } = JSON.parse(out) as Summary
    return { categories, unasked }
  }
  assert.equal(figures(resumed), figures(fresh))
  const again = await startAtEndpoint(args(server.url, 'r'), folder).ended
  assert.is((JSON.parse(again.out) as Summary).stored, total)
})

test.run()
