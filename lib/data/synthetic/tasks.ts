import { fail } from '../../errors.js'
import type { Tool } from '../example.js'
import { Random } from '../random.js'
import {
  booleanParameters,
  booleanWords,
  enumParameters,
  listParameters,
  numericParameters,
  type ParameterType,
  toolNames,
  verbs,
  wordParameters,
} from './lexicon.js'

/** How hard the tasks are. Ranges are inclusive. */
export interface Difficulty {
  /** Tools in a prompt; those not asked for share the verb or the noun of one that is. */
  tools: readonly [number, number]
  /** Parameters of a tool. */
  parameters: readonly [number, number]
  /** Chance that a parameter is optional and the question leaves it out. */
  optional: number
  /** Chance of a second call, of another tool where the prompt has one. */
  parallel: number
}

export const defaultDifficulty: Difficulty = { tools: [2, 4], parameters: [1, 3], optional: 0.15, parallel: 0.3 }

export interface Parameter {
  name: string
  type: ParameterType
  values: readonly string[]
}

export interface SyntheticTool {
  name: string
  verb: string
  noun: string
  parameters: Parameter[]
}

/** An argument as the question words it (`words`: one, or the items of a list) and what it has to become is `parameter.type`'s business. */
export interface Argument {
  parameter: Parameter
  words: string[]
}

export interface SyntheticCall {
  tool: SyntheticTool
  arguments: Argument[]
}

export interface Task {
  id: string
  tools: SyntheticTool[]
  calls: SyntheticCall[]
  question: string
}

/** Task number `index` of a split: the same for the same (seed, split, index, difficulty), whatever else was drawn. */
export function syntheticTask(seed: number, split: 'train' | 'heldout', index: number, difficulty: Difficulty): Task {
  const random = Random.of('synthetic', seed, split, index)
  const { tools, asked } = drawTools(random, split, difficulty)
  const calls = [drawCall(random, asked, difficulty)]
  if (random.chance(difficulty.parallel)) {
    const others = tools.filter((tool) => tool !== asked)
    calls.push(drawCall(random, random.pick(others.length > 0 ? others : tools), difficulty))
  }
  return { id: `${split}-${seed}-${index}`, tools, calls, question: wordQuestion(random, calls) }
}

/** Throws a RangeError (`ERR_CONFIG`) for ranges or chances that make no tasks. */
export function checkDifficulty(difficulty: Difficulty): void {
  for (const [key, most] of [
    ['tools', 8],
    ['parameters', 6],
  ] as const) {
    const [low, high] = difficulty[key]
    if (Number.isInteger(low) && Number.isInteger(high) && low >= 1 && low <= high && high <= most) continue
    fail('RangeError', 'ERR_CONFIG', `[synthetic] expected ${key} within 1 and ${most}, got ${low} to ${high}`)
  }
  for (const key of ['optional', 'parallel'] as const) {
    const p = difficulty[key]
    if (p >= 0 && p <= 1) continue
    fail('RangeError', 'ERR_CONFIG', `[synthetic] expected ${key} to be a probability, got ${p}`)
  }
}

const pairsOf = { train: toolNames('train'), heldout: toolNames('heldout') }

/** The asked tool and its distractors, shuffled: the next ones share the verb or the noun, so that neither alone decides. */
function drawTools(random: Random, split: 'train' | 'heldout', difficulty: Difficulty) {
  const pairs = pairsOf[split]
  const first = random.pick(pairs)
  const chosen = [first]
  const count = random.integer(...difficulty.tools)
  while (chosen.length < count) {
    const like = random.pick(chosen)
    const near = pairs.filter((p) => !chosen.includes(p) && (p.verb === like.verb || p.noun === like.noun))
    chosen.push(random.pick(near))
  }
  const tools = chosen.map(({ verb, noun }) => drawTool(random, verb, noun, difficulty))
  return { tools: random.shuffle(tools), asked: tools[0] as SyntheticTool }
}

function drawTool(random: Random, verb: string, noun: string, difficulty: Difficulty): SyntheticTool {
  const count = random.integer(...difficulty.parameters)
  const parameters: Parameter[] = []
  while (parameters.length < count) {
    const parameter = drawParameter(random)
    if (!parameters.some(({ name }) => name === parameter.name)) parameters.push(parameter)
  }
  return { name: `${verb}_${noun}`, verb, noun, parameters }
}

function drawParameter(random: Random): Parameter {
  const kind = random.pick(['word', 'integer', 'number', 'digits', 'boolean', 'enum', 'list'] as const)
  const fromPool = (pool: Record<string, readonly string[]>, type: ParameterType): Parameter => {
    const name = random.pick(Object.keys(pool))
    return { name, type, values: pool[name] ?? [] }
  }
  if (kind === 'word') return fromPool(wordParameters, 'string')
  if (kind === 'enum') return fromPool(enumParameters, 'enum')
  if (kind === 'list') return fromPool(listParameters, 'list')
  if (kind === 'boolean') return { name: random.pick(booleanParameters), type: 'boolean', values: [] }
  return { name: random.pick(numericParameters), type: kind === 'digits' ? 'string' : kind, values: [] }
}

function drawCall(random: Random, tool: SyntheticTool, difficulty: Difficulty): SyntheticCall {
  const asked = tool.parameters.filter(() => !random.chance(difficulty.optional))
  const parameters = asked.length > 0 ? asked : tool.parameters.slice(0, 1)
  const args = parameters.map((parameter) => ({ parameter, words: drawWords(random, parameter) }))
  return { tool, arguments: random.shuffle(args) }
}

function drawWords(random: Random, { type, values }: Parameter): string[] {
  if (type === 'list') return random.sample(values, random.integer(1, 2))
  if (type === 'boolean') return [random.chance(0.5) ? booleanWords.true : booleanWords.false]
  if (values.length > 0) return [random.pick(values)]
  const whole = String(random.integer(1, 99))
  return [type === 'number' && random.chance(0.4) ? `${random.integer(1, 9)}.${random.integer(1, 9)}` : whole]
}

function wordQuestion(random: Random, calls: SyntheticCall[]): string {
  const requests = calls.map((call, i) => {
    const verb = random.pick(verbs[call.tool.verb] ?? [])
    const args = call.arguments.map(({ parameter, words }) => `${parameter.name} is ${words.join(' and ')}`)
    const joint = random.pick(['with', 'where', 'for'])
    return `${i === 0 ? verb : verb.toLowerCase()} the ${call.tool.noun} ${joint} ${args.join(', ')}`
  })
  return `${requests.join('. Also ')}.`
}

/** The tool as chat templates and the OpenAI convention have it. */
export function toolSchema(tool: SyntheticTool): Tool {
  const properties = Object.fromEntries(tool.parameters.map((p) => [p.name, parameterSchema(p)]))
  const description = `${verbs[tool.verb]?.[0] ?? tool.verb} the ${tool.noun}.`
  return {
    type: 'function',
    function: { name: tool.name, description, parameters: { type: 'object', properties } },
  }
}

function parameterSchema({ type, values }: Parameter): Record<string, unknown> {
  if (type === 'enum') return { type: 'string', enum: values }
  if (type === 'list') return { type: 'array', items: { type: 'string' } }
  return { type }
}
