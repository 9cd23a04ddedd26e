// API-Bank on a model: prompts out, answers in, verdicts by both rules, counts.

import type { Answer, Asker } from '../asker.js'
import { askAndJudge, type BenchmarkSettings, type JudgedRun } from '../benchmark.js'
import { type Handler, plainName, readJsonCalls, withoutThought } from '../tool-calls.js'
import { type ApiBankDataset, parametersOf } from './dataset.js'
import { type OfficialVerdict, officialVerdict } from './official.js'
import { asText, readCalls } from './parse.js'
import { isPortableMatch, portableDifference } from './portable.js'
import { apiBankQuestion } from './prompts.js'
import type { ApiBankQuestion, ApiCall, Category } from './types.js'

/** One question, answered and judged. */
export interface Judged {
  question: ApiBankQuestion
  answer: Answer
  /** What the official rule reads: the answer without a thought in front, or its first call written as the benchmark writes calls. */
  text: string
  calls: ApiCall[] | null
  portable: boolean
  /** What was wrong by the portable rule; empty where nothing was. */
  difference: string
  official: OfficialVerdict
}

export interface ApiBankReport extends JudgedRun<Category, Judged> {
  model: string
  handler: Handler
  /** Questions that each category has; more than were asked under a limit. */
  of: Map<Category, number>
}

/** Asks every question in one request and judges the answers; stored answers are not asked again. */
export async function evaluateApiBank(
  asker: Asker,
  dataset: ApiBankDataset,
  settings: BenchmarkSettings,
): Promise<ApiBankReport> {
  const { handler, native = false } = settings
  const run = await askAndJudge(asker, dataset.questions, settings, {
    ask: (question: ApiBankQuestion) => apiBankQuestion(question, handler, native),
    judge: (question, answer) => judgeAnswer(question, answer, handler, dataset.tokens),
  })
  const of = new Map([...dataset.questions].map(([category, list]) => [category, list.length]))
  return { ...run, model: asker.name, handler, of }
}

/** The verdicts on an answer. */
export function judgeAnswer(
  question: ApiBankQuestion,
  answer: Answer,
  handler: Handler,
  tokens: ReadonlySet<string>,
): Judged {
  if (answer.error !== undefined) {
    const official: OfficialVerdict = { valid: false, errorType: 'NO_API_CALL', error: answer.error }
    return { question, answer, text: '', calls: null, portable: false, difference: answer.error, official }
  }
  const said = withoutThought(answer.text)
  const { calls, failure } = callsOf(question, answer, said, handler)
  const [first] = calls ?? []
  const text = handler === 'prompt' ? said : first ? written(first) : said
  const portable = calls !== null && isPortableMatch(calls, question)
  const difference = portable ? '' : first ? (portableDifference(first, question.right) ?? '') : failure
  return { question, answer, text, calls, portable, difference, official: officialVerdict(text, question, tokens) }
}

function callsOf(
  { apis }: ApiBankQuestion,
  answer: Answer,
  said: string,
  handler: Handler,
): { calls: ApiCall[] | null; failure: string } {
  if (handler === 'prompt') {
    const calls = readCalls(said, (name) => parametersOf(apis.find((api) => api.get('name') === name)))
    return { calls, failure: 'no call can be read' }
  }
  const read = readJsonCalls(answer, handler)
  if ('failure' in read) return { calls: null, failure: read.failure }
  const calls = read.map(({ name, args }): ApiCall => {
    const own = apis.find((api) => plainName(api.get('name') as string) === name)?.get('name')
    const given = [...args].flatMap(([key, value]) => (typeof key === 'string' ? [[key, asText(value)] as const] : []))
    return { name: typeof own === 'string' ? own : name, args: new Map(given) }
  })
  return { calls, failure: 'there is no call' }
}

/** As the benchmark writes calls; lists stand without quotes, which its own reader wants. */
function written({ name, args }: ApiCall): string {
  const one = ([key, value]: [string, string]) => (value.startsWith('[') ? `${key}=${value}` : `${key}='${value}'`)
  return `[${name}(${[...args].map(one).join(', ')})]`
}
