import { JsonNumber, type JsonObject, type JsonValue } from '../text/json.js'
import { detectFormat, readers } from './formats/detect.js'
import { checkText, kind } from './formats/fields.js'
import { BadRecord, detached, type Problem, type ProblemKind } from './problems.js'
import type { DataFormat, Sample } from './sample.js'
import type { RawRecord } from './source/open.js'

export interface ReaderOptions {
  /** Default: told from each record's keys. */
  format?: DataFormat
  /** Turns of the assistant without a call become samples, too. Default false. */
  noCall?: boolean
  /** ToolACE's turns that call a tool which is not in the list become samples, too; of other formats the pipeline decides. Default false. */
  keepUnknownTools?: boolean
  /** Sees what cannot be read; what it throws ends the reading. */
  onProblem: (problem: Problem) => void
}

/** What a record is and what it gave. */
export interface ReadRecord {
  /** Null where not even that can be told. */
  source: DataFormat | null
  /** The user speaks more than once. */
  multiTurn: boolean
  /** None where the record cannot be read, which is reported. */
  samples: Sample[]
}

/** Turns records of any number of files into samples whose ids are unique among them all. */
export class SampleReader {
  private readonly ids = new Map<string, number>()
  private file = ''
  /** Of the file at hand: what a record is taken for whose keys say nothing. */
  private last: DataFormat | null = null

  constructor(private readonly options: ReaderOptions) {}

  read(file: string, raw: RawRecord): ReadRecord {
    if (file !== this.file) this.last = null
    this.file = file
    const report = (kind: ProblemKind, reason: string, id?: string) =>
      this.options.onProblem({
        file,
        line: raw.line,
        kind,
        reason: detached(reason),
        ...(id !== undefined && { id: detached(id) }),
      })
    let record: JsonObject
    let format: DataFormat
    try {
      record = asObject(raw.read())
      format = this.formatOf(record)
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error
      report(error.kind, error.message)
      return { source: this.options.format ?? this.last, multiTurn: false, samples: [] }
    }
    const place = `${file}:${raw.line}`
    const { id, taken } = this.uniqueId(format === 'tool-n1' ? null : ownId(record), place)
    if (taken !== null) report('duplicate_id', `expected an id of its own, got "${taken}" again; kept as "${id}"`, id)
    try {
      checkText(id, '"id"')
      const { noCall = false, keepUnknownTools = false } = this.options
      const context = { noCall, keepUnknownTools, drop: report }
      const samples = readers[format](record, id, context)
      return { source: samples[0]?.source ?? format, multiTurn: isMultiTurn(record, samples), samples }
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error
      report(error.kind, error.message, id)
      return { source: format, multiTurn: isMultiTurn(record, []), samples: [] }
    }
  }

  private formatOf(record: JsonObject): DataFormat {
    const found = this.options.format ?? detectFormat(record) ?? this.last
    if (found === null) {
      const keys = [...record.keys()].slice(0, 8).join(', ')
      const list = [...record].find(([, value]) => Array.isArray(value) && value[0] instanceof Map)?.[0]
      const hint = list === undefined ? '' : `; if "${list}" lists the records, give that list as the file`
      throw new BadRecord(
        'field',
        `expected the keys of xLAM (query, tools, answers), "messages", "conversations" or another known format, got ${keys || 'none'}${hint}`,
      )
    }
    this.last = found
    return found
  }

  /** The record's own id, or its place; a second record of the same id gets `~2` behind it. */
  private uniqueId(own: string | null, place: string): { id: string; taken: string | null } {
    const wanted = detached(own ?? place)
    const times = (this.ids.get(wanted) ?? 0) + 1
    this.ids.set(wanted, times)
    if (times === 1) return { id: wanted, taken: null }
    const free = this.uniqueId(`${wanted}~${times}`, place)
    return { id: free.id, taken: wanted }
  }
}

/** Counted in the record itself, so that a record without a usable turn counts, too. */
function isMultiTurn(record: JsonObject, samples: readonly Sample[]): boolean {
  const list = record.get('conversations') ?? record.get('messages') ?? []
  const speakers = (Array.isArray(list) ? list : []).map((turn) =>
    turn instanceof Map ? (turn.get('from') ?? turn.get('role')) : null,
  )
  const users = speakers.filter((speaker) => speaker === 'human' || speaker === 'user').length
  const last = samples.at(-1)?.turns.filter((turn) => turn.role === 'user').length ?? 0
  return Math.max(users, last) > 1
}

function ownId(record: JsonObject): string | null {
  const value = record.get('id')
  if (typeof value === 'string' && value !== '') return value
  return value instanceof JsonNumber ? value.lexeme : null
}

function asObject(value: JsonValue): JsonObject {
  if (value instanceof Map) return value
  throw new BadRecord('field', `expected an object, got ${kind(value)}`)
}
