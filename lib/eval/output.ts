// Files that evaluations write.

import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fail } from '../errors.js'
import type { JsonObject } from '../text/json.js'
import { fromPlain, printJson } from '../text/json-print.js'

/**
 * Writes a file and the folders that it lies in; `where` names the writer in errors.
 *
 * @throws `ERR_IO` where it cannot be written
 */
export function writeText(where: string, file: string, text: string): void {
  try {
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  } catch (error) {
    fail('Error', 'ERR_IO', `[${where}] cannot write ${file}: ${(error as Error).message}`, error)
  }
}

/** A record of a benchmark's file. Keys whose value is undefined are left out. */
export const record = (value: Record<string, unknown>): JsonObject => fromPlain(value) as JsonObject

/** The record on one line, as the official tools write it: what is not ASCII stays. */
export const jsonLine = (value: JsonObject): string => printJson(value, { ensureAscii: false })
