// Exit codes, and how an error reaches the terminal.

import { CommanderError } from 'commander'
import type { CodedError } from '../errors.js'

/** Documented in `callgrad --help`. */
export const exitCodes = {
  ok: 0,
  /** The command was right and could not be carried out: a file, the data, the training itself. */
  failed: 1,
  /** Wrong arguments or a wrong config: nothing was started. */
  usage: 2,
  /** Ctrl-C twice: ended at once, the last checkpoint stands. */
  interrupted: 130,
} as const

/** The exit code of what a command threw. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage
  return (error as Partial<CodedError> | null)?.code === 'ERR_CONFIG' ? exitCodes.usage : exitCodes.failed
}

/**
 * An error as one line; with `debug` its stack and causes. Line breaks inside a message are folded, for a log line per error is what
 * scripts can read.
 */
export function errorText(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return `Error ${String(error)}`
  if (!debug) return `${error.name} ${error.message}`.replace(/\s*\n\s*/g, ' ')
  const cause = error.cause === undefined ? '' : `\ncaused by ${errorText(error.cause, true)}`
  return `${error.stack ?? error.message}${cause}`
}
