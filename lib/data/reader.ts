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
  /** Sees what cannot be read; what it throws ends the reading. */
  onProblem: (problem: Problem) => void
}

/** Turns records of any number of files into samples whose ids are unique among them all. */
export class SampleReader {
  private readonly ids = new Map<string, number>()
  private last: DataFormat | null = null

  constructor(private readonly options: ReaderOptions) {}

  /** The samples of a record; none where it cannot be read, which is reported. */
  read(file: string, raw: RawRecord): Sample[] {
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
      return []
    }
    const place = `${file}:${raw.line}`
    const { id, taken } = this.uniqueId(format === 'tool-n1' ? null : ownId(record), place)
    if (taken !== null) report('duplicate_id', `expected an id of its own, got "${taken}" again; kept as "${id}"`, id)
    try {
      checkText(id, '"id"')
      const context = { noCall: this.options.noCall ?? false, drop: report }
      return readers[format](record, id, context)
    } catch (error) {
      if (!(error instanceof BadRecord)) throw error
      report(error.kind, error.message, id)
      return []
    }
  }

  private formatOf(record: JsonObject): DataFormat {
    const found = this.options.format ?? detectFormat(record) ?? this.last
    if (found === null) {
      const keys = [...record.keys()].slice(0, 8).join(', ')
      throw new BadRecord(
        'field',
        `expected the keys of xLAM (query, tools, answers), "messages", "conversations" or another known format, got ${keys || 'none'}`,
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

function ownId(record: JsonObject): string | null {
  const value = record.get('id')
  if (typeof value === 'string' && value !== '') return value
  return value instanceof JsonNumber ? value.lexeme : null
}

function asObject(value: JsonValue): JsonObject {
  if (value instanceof Map) return value
  throw new BadRecord('field', `expected an object, got ${kind(value)}`)
}
