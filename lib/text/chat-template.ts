// Rendering chat templates: Jinja by `@huggingface/jinja`, with a budget.
//
// A template comes with a model's files, so it may be anything: each evaluated node costs one unit, each result also its
// length, and a template that spends more than its budget stops with an error. The count does not depend on the
// machine's speed, so a template that renders here renders everywhere.

import { fail } from '../errors.js'
import { Environment, Interpreter, type Node, type Program, parse, type Result, tokenize } from './jinja.js'

/** A part of a message whose content is a list. */
export interface ContentPart {
  type: string
  text?: string
}

/** One turn of a conversation as chat templates take it. */
export interface ChatMessage {
  role: string
  content?: string | readonly ContentPart[] | null
  name?: string
  reasoning_content?: string
  tool_calls?: readonly unknown[]
  tool_call_id?: string
}

export interface ChatTemplateOptions {
  /** Function descriptions, handed to the template as `tools` where there are any. */
  tools?: readonly unknown[]
  /** Ends the text where the assistant's reply begins. Default false, as in transformers. */
  addGenerationPrompt?: boolean
  /** Further variables of the template (`enable_thinking`, `date_string` …). */
  variables?: Readonly<Record<string, unknown>>
}

/** Evaluated nodes, 20 for each round of a loop, one for each 256 characters of a result. About two seconds at worst. */
const maxCost = 5_000_000
/** Longest text and longest list that any part of a template may make. */
const maxCharacters = 2 ** 26
const maxElements = 2 ** 20

const emptyList = { type: 'ArrayLiteral', value: [] } as Node

class BudgetInterpreter extends Interpreter {
  private cost = 0
  /** What loops run over: a round with an empty body evaluates nothing, so rounds are paid when the list is made. */
  private readonly iterables = new Set<Node>()

  override evaluate(node: Node | undefined, environment: Environment): Result {
    if (node?.type === 'For') {
      const { iterable } = node as Node & { iterable: Node & { lhs?: Node } }
      this.iterables.add(iterable.lhs && iterable.type === 'SelectExpression' ? iterable.lhs : iterable)
    }
    const loops = node !== undefined && this.iterables.has(node)
    let result = super.evaluate(node, environment)
    // In Jinja a loop over what is not defined has no rounds; the library refuses it.
    if (loops && result.type === 'UndefinedValue') result = super.evaluate(emptyList, environment)
    const { value } = result
    const characters = typeof value === 'string' ? value.length : 0
    const elements = Array.isArray(value) ? value.length : value instanceof Map ? value.size : 0
    this.cost += 1 + characters / 256 + (loops ? 20 * elements : elements / 256)
    if (this.cost > maxCost || characters > maxCharacters || elements > maxElements) {
      fail(
        'RangeError',
        'ERR_TEMPLATE',
        `[chat template] expected at most ${maxCost} steps, ${maxCharacters} characters and ${maxElements} elements, the template needs more (an endless loop?)`,
      )
    }
    return result
  }
}

/** `range` whose list cannot outgrow memory before the budget is looked at. */
function boundedRange(first: number, second?: number, step = 1): number[] {
  const [start, stop] = second === undefined ? [0, first] : [first, second]
  const count = Math.max(0, Math.ceil((stop - start) / step))
  if (!(count <= 100_000))
    fail('RangeError', 'ERR_TEMPLATE', `[chat template] range() expected at most 100,000 steps, got ${count}`)
  return Array.from({ length: count }, (_, i) => start + i * step)
}

/** The directives of C's strftime that chat templates use. */
function strftime(date: Date, format: string): string {
  const name = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat('en-US', options).format(date)
  const two = (value: number) => String(value).padStart(2, '0')
  const parts: Record<string, () => string> = {
    Y: () => String(date.getFullYear()),
    y: () => two(date.getFullYear() % 100),
    m: () => two(date.getMonth() + 1),
    d: () => two(date.getDate()),
    B: () => name({ month: 'long' }),
    b: () => name({ month: 'short' }),
    A: () => name({ weekday: 'long' }),
    a: () => name({ weekday: 'short' }),
    H: () => two(date.getHours()),
    M: () => two(date.getMinutes()),
    S: () => two(date.getSeconds()),
    '%': () => '%',
  }
  return format.replace(/%([a-zA-Z%])/g, (all, letter: string) =>
    Object.hasOwn(parts, letter) ? parts[letter]!() : all,
  )
}

/** A parsed template. */
export class ChatTemplate {
  private readonly program: Program

  /** `ERR_TEMPLATE` where the source is no Jinja. */
  constructor(
    readonly source: string,
    private readonly where = '[chat template]',
  ) {
    try {
      this.program = parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true }))
    } catch (error) {
      fail('Error', 'ERR_TEMPLATE', `${where} expected a Jinja template, got ${message(error)}`, error)
    }
  }

  /** The text of `variables`; `ERR_TEMPLATE` where the template raises one, fails or runs past its budget. */
  render(variables: Readonly<Record<string, unknown>>): string {
    const environment = new Environment()
    const globals = {
      true: true,
      false: false,
      none: null,
      True: true,
      False: false,
      None: null,
      range: boundedRange,
      raise_exception: (reason: unknown) =>
        fail('Error', 'ERR_TEMPLATE', `${this.where} the template refuses: ${String(reason)}`),
      strftime_now: (format: string) => strftime(new Date(), format),
    }
    for (const [name, value] of Object.entries({ ...globals, ...variables })) {
      if (value !== undefined) environment.set(name, value)
    }
    try {
      return String(new BudgetInterpreter(environment).run(this.program).value)
    } catch (error) {
      if ((error as { code?: string }).code === 'ERR_TEMPLATE') throw error
      return fail('Error', 'ERR_TEMPLATE', `${this.where} cannot render: ${message(error)}`, error)
    }
  }
}

const message = (error: unknown): string => (error instanceof Error ? error.message : String(error))
