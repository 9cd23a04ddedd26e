import { codedError } from '../errors.js'

/**
 * Why a record, or one turn of it, is not in a data set. `filtered`: nothing is wrong with it, the data set shall not have it, so `strict`
 * lets it pass.
 */
export const kinds = {
  file: { what: 'a file that is no data set' },
  encoding: { what: 'text that is no Unicode (not UTF-8, or a lone surrogate)' },
  json: { what: 'not JSON' },
  size: { what: 'larger than a record may be' },
  field: { what: 'a field that is missing or of the wrong type' },
  tools: { what: 'tools that cannot be read' },
  calls: { what: 'calls that cannot be read' },
  number: { what: 'a number that no reader of the truth can hold' },
  duplicate_id: { what: 'an id that was there before (kept under a new one)', kept: true },
  unknown_tool: { what: 'a call of a tool that is not in the list', filtered: true },
  arguments: { what: "arguments that break the tool's own schema", filtered: true },
  prompt_length: { what: 'a prompt over the limit', filtered: true },
  no_call: { what: 'no call to learn (--include-no-call makes samples of answers in words)', filtered: true },
} as const satisfies Record<string, { what: string; filtered?: true; kept?: true }>

export type ProblemKind = keyof typeof kinds

export interface Problem {
  file: string
  /** 1-based line of a JSONL file; of a JSON list or a parquet file, the 1-based number of the record. 0: the file as a whole. */
  line: number
  kind: ProblemKind
  /** In words. */
  reason: string
  /** Of the sample, where the record gave one before it was left out. */
  id?: string
}

/** What a reader throws over a record. Without a stack: it names a fault of the data, and a file may have a hundred thousand of them. */
export class BadRecord extends Error {
  constructor(
    readonly kind: ProblemKind,
    message: string,
  ) {
    const limit = Error.stackTraceLimit
    Error.stackTraceLimit = 0
    super(message)
    Error.stackTraceLimit = limit
  }
}

const isFiltered = (kind: ProblemKind): boolean => 'filtered' in kinds[kind]
/** The record stays in the data set. */
export const isKept = (kind: ProblemKind): boolean => 'kept' in kinds[kind]

/** `[data] file:line: reason`, code `ERR_DATA`. */
export function problemError({ file, line, reason }: Problem): Error {
  return codedError('Error', 'ERR_DATA', `[data] ${file}${line > 0 ? `:${line}` : ''}: ${reason}`)
}

export interface TallyOptions {
  /** The first problem that is no filter's doing is thrown as an error. */
  strict?: boolean
  /** Sees every problem, in order. */
  onProblem?: (problem: Problem) => void
}

/** Counts problems by kind; memory does not grow with their number. */
export class Tally {
  readonly counts = new Map<ProblemKind, number>()
  /** The first of each kind. */
  readonly first = new Map<ProblemKind, Problem>()

  constructor(private readonly options: TallyOptions = {}) {}

  /** Throws {@link problemError} where `strict` says so. */
  add(problem: Problem): void {
    if (this.options.strict && !isFiltered(problem.kind)) throw problemError(problem)
    this.counts.set(problem.kind, (this.counts.get(problem.kind) ?? 0) + 1)
    if (!this.first.has(problem.kind)) this.first.set(problem.kind, problem)
    this.options.onProblem?.(problem)
  }

  /** Records and turns that are not in the data set. */
  get dropped(): number {
    let sum = 0
    for (const [kind, count] of this.counts) if (!isKept(kind)) sum += count
    return sum
  }
}

/**
 * A copy that shares no memory: text cut out of a larger one keeps the larger one alive, and what is kept for a million records must not
 * keep the records.
 */
export function detached(text: string): string {
  return Buffer.from(text, 'utf16le').toString('utf16le')
}
