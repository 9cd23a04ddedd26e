// ACEBench on a model: prompts out, answers in, verdicts, counts.

import type { Message } from '../../data/example.js'
import type { JsonObject } from '../../text/json.js'
import { toolN1System } from '../../text/prompts/tool-n1.js'
import type { Answer, Asker, Question } from '../asker.js'
import { askAndJudge, type BenchmarkSettings, type JudgedRun } from '../benchmark.js'
import { asTools, type Handler, plainName, readJsonCalls, withoutThought } from '../tool-calls.js'
import { type CategoryScore, type Summary, scoreCategory, summarize } from './aggregate.js'
import { type Category, type Version, versions } from './categories.js'
import { checkCalls, checkSpecial, isStrictMatch } from './check.js'
import { failed } from './check-value.js'
import type { AceDataset } from './dataset.js'
import { decodeAnswer } from './decode.js'
import { acePrompt } from './prompts.js'
import type { AceQuestion, DecodedCall, Verdict } from './types.js'

/** One question, answered and judged. */
export interface Judged {
  question: AceQuestion
  answer: Answer
  /** What was judged: the answer without a thought in front of it. */
  text: string
  /** Null where there are none to read, and in special categories. */
  calls: DecodedCall[] | null
  /** By either version's code on this version's data; equal where the handler leaves nothing to decode. */
  verdicts: Record<Version, Verdict>
  /** Exactly the right calls and arguments; null in special categories. */
  strict: boolean | null
}

export interface AceReport extends JudgedRun<Category, Judged> {
  model: string
  version: Version
  handler: Handler
  scores: Record<Version, Map<Category, CategoryScore>>
  summary: Summary
  /** Questions of the categories asked for; more than were asked under a limit. */
  of: number
}

/** Asks every question in one request and judges the answers; stored answers are not asked again. */
export async function evaluateAceBench(
  asker: Asker,
  dataset: AceDataset,
  settings: BenchmarkSettings,
): Promise<AceReport> {
  const { handler, native = false } = settings
  const run = await askAndJudge(asker, dataset.questions, settings, {
    ask: (question: AceQuestion) => aceQuestion(question, handler, native),
    judge: (question, answer) => judgeAnswer(question, answer, handler),
  })
  const scores = Object.fromEntries(
    versions.map((version) => [
      version,
      new Map([...run.judged].map(([key, list]) => [key, score(key, list, version)])),
    ]),
  ) as AceReport['scores']
  const accuracies = [...scores[dataset.version]].map(([category, { accuracy }]) => [category, accuracy] as const)
  return {
    ...run,
    model: asker.name,
    version: dataset.version,
    handler,
    scores,
    summary: summarize(Object.fromEntries(accuracies)),
    of: [...dataset.questions.values()].flat().length,
  }
}

function score(category: Category, judged: readonly Judged[], version: Version): CategoryScore {
  const outcomes = judged.map(({ question, verdicts }) => ({ id: question.id, valid: verdicts[version].valid }))
  return scoreCategory(category, outcomes)
}

/** The question in a handler's form: the official prompt, or real turns with the functions in the system message or as tools. */
function aceQuestion(question: AceQuestion, handler: Handler, native: boolean): Question {
  const { id, functions } = question
  if (handler === 'prompt') return { id, messages: acePrompt(question) }
  const described = functions.map(asSchema)
  const turns = dialogueTurns(question)
  if (handler === 'qwen-fc') return { id, messages: turns, tools: asTools(described, native) }
  return {
    id,
    messages: [
      { role: 'system', content: toolN1System(described, undefined, { reasoning: handler === 'tool-n1' }) },
      ...turns,
    ],
  }
}

/** Some functions that are never the right one call their parameters `arguments` and say what they return. */
function asSchema(description: JsonObject): JsonObject {
  const parameters = description.get('parameters') ?? description.get('arguments') ?? new Map()
  return new Map([
    ['name', description.get('name') as string],
    ['description', description.get('description') ?? ''],
    ['parameters', parameters],
  ])
}

/** The dialogue as messages; what the official prompts tell about date or user stands before the first. */
function dialogueTurns({ dialogue, time, profile }: AceQuestion): Message[] {
  const about = profile === '' ? time : `Character Profile:\n${profile}`
  const parts = dialogue.split(/^(user|system): /m)
  const turns: Message[] = []
  for (let i = 1; i < parts.length; i += 2) {
    const content = (parts[i + 1] as string).trimEnd()
    turns.push({ role: parts[i] === 'user' ? 'user' : 'assistant', content })
  }
  const [first, ...rest] = turns
  if (parts[0] !== '' || first?.role !== 'user') return [{ role: 'user', content: `${about}\n\n${dialogue}`.trim() }]
  return [{ role: 'user', content: `${about}\n\n${first.content}`.trim() }, ...rest]
}

/** The verdicts on an answer. */
export function judgeAnswer(question: AceQuestion, answer: Answer, handler: Handler): Judged {
  const text = withoutThought(answer.text)
  const both = (verdict: Verdict) => ({ head: verdict, '2504': verdict })
  const base = { question, answer, text, calls: null, strict: null }
  if (answer.error !== undefined) return { ...base, verdicts: both(failed('not_asked', answer.error)) }
  if (question.category.startsWith('special')) {
    return { ...base, verdicts: both(checkSpecial(text, question.category, question.truth)) }
  }
  if (handler !== 'prompt') {
    const calls = readJsonCalls(answer, handler)
    if ('failure' in calls)
      return { ...base, strict: false, verdicts: both(failed('wrong_output_format', calls.failure)) }
    const named = calls.map((call) => ({ ...call, name: originalName(call.name, question) }))
    const strict = isStrictMatch(named, question)
    return { ...base, calls: named, strict, verdicts: both(checkCalls(named, question)) }
  }
  const decoded = {
    head: decodeAnswer(text, question.category, 'head'),
    '2504': decodeAnswer(text, question.category, '2504'),
  }
  const verdict = (calls: DecodedCall[] | null) =>
    calls === null ? failed('wrong_output_format', 'no list of calls can be read') : checkCalls(calls, question)
  const calls = decoded.head
  return {
    ...base,
    calls,
    strict: calls !== null && isStrictMatch(calls, question),
    verdicts: { head: verdict(decoded.head), '2504': verdict(decoded['2504']) },
  }
}

/** The function's own name behind the one that an endpoint allows. */
function originalName(name: string, { schemas }: AceQuestion): string {
  if (schemas.some((schema) => schema.name === name)) return name
  return schemas.find((schema) => plainName(schema.name) === name)?.name ?? name
}
