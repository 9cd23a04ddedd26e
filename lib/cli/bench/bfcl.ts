// Speed of BFCL's checker and decoders on one core: answers made from the right ones of a data folder, every third of them with something
// wrong, judged again and again.

import { isRelevance, languageOf } from '../../eval/bfcl/categories.js'
import { judge } from '../../eval/bfcl/check.js'
import { loadBfcl } from '../../eval/bfcl/dataset.js'
import { decodeAnswer, loadGrammars } from '../../eval/bfcl/decode.js'
import type { BfclQuestion } from '../../eval/bfcl/types.js'
import { printJson } from '../../text/json-print.js'
import { toJson } from '../../text/python/json.js'
import { pyRepr } from '../../text/python/repr.js'
import type { PyValue } from '../../text/python/value.js'

export interface BfclBench {
  questions: number
  /** Share of the answers that are right. */
  right: number
  /** Verdicts a second on decoded answers. */
  checker: number
  /** From the text: Tool-N1's JSON, Python calls, Java and JavaScript calls. */
  tool_n1: number
  python: number
  tree_sitter: number
}

const options = { underscoreToDot: false }

/** @param seconds given to each figure; the best of five parts of it counts */
export async function benchBfcl({ data, seconds }: { data: string; seconds: number }): Promise<BfclBench> {
  const { questions } = await loadBfcl(data, { version: 'v4' })
  await loadGrammars()
  const list = [...questions.values()].flat().filter(({ category }) => !isRelevance(category))
  const cases = list.map((question, i) => ({ question, calls: answer(question, i % 3 === 0) }))
  const decoded = cases.map(({ question, calls }) => ({
    question,
    value: calls.map(({ name, args }): PyValue => new Map([[name, new Map(args)]])),
  }))
  const texts = cases.map(({ question, calls }) => ({
    question,
    json: `<think>…</think> <tool_call>[${calls.map(jsonCall).join(', ')}]</tool_call>`,
    source: `[${calls.map(({ name, args }) => `${name}(${args.map(([k, v]) => `${k}=${pyRepr(v)}`).join(', ')})`).join(', ')}]`,
  }))
  const inPython = texts.filter(({ question }) => languageOf(question.category) === 'python')
  const inOthers = texts.filter(({ question }) => languageOf(question.category) !== 'python')
  const valid = decoded.filter(({ question, value }) => judge(question, { value }, options).valid).length
  return {
    questions: list.length,
    right: valid / list.length,
    checker: rate(seconds, decoded, ({ question, value }) => judge(question, { value }, options)),
    tool_n1: rate(seconds, texts, ({ question, json }) => {
      return judge(question, decodeAnswer(json, 'tool-n1', languageOf(question.category), 'v4'), options)
    }),
    python: rate(seconds, inPython, ({ question, source }) => {
      return judge(question, decodeAnswer(source, 'prompt', 'python', 'v4'), options)
    }),
    tree_sitter: rate(seconds, inOthers, ({ question, source }) => {
      return judge(question, decodeAnswer(source, 'prompt', languageOf(question.category), 'v4'), options)
    }),
  }
}

interface Call {
  name: string
  args: [string, PyValue][]
}

/** The first value that is allowed for each argument; with `wrong` the last argument is text that is not. */
function answer({ truth }: BfclQuestion, wrong: boolean): Call[] {
  return truth.map(({ name, arguments: args }) => {
    const given = [...args].map(([key, values]): [string, PyValue] => [
      key,
      concrete(values.find((v) => v !== '') ?? ''),
    ])
    if (wrong && given.length > 0) given[given.length - 1]![1] = 'something else'
    return { name, args: given }
  })
}

/** Dicts of the right answers hold alternatives by key. */
function concrete(value: PyValue): PyValue {
  if (Array.isArray(value)) return value.map(concrete)
  if (!(value instanceof Map)) return value
  return new Map([...value].map(([key, list]) => [key, Array.isArray(list) ? (list.find((v) => v !== '') ?? '') : '']))
}

const jsonCall = ({ name, args }: Call) =>
  `{"name": ${printJson(name)}, "arguments": ${printJson(toJson(new Map(args)))}}`

function rate<T>(seconds: number, cases: readonly T[], work: (one: T) => unknown): number {
  let best = 0
  for (let part = 0; part < 5; part++) {
    const start = performance.now()
    let done = 0
    do {
      for (const one of cases) work(one)
      done += cases.length
    } while (performance.now() - start < (seconds * 1000) / 5)
    best = Math.max(best, (1000 * done) / (performance.now() - start))
  }
  return Math.round(best)
}
