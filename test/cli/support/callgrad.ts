// The command in a child process.

import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { join } from 'node:path'
import { repositoryRoot } from '../../support/shared.js'

const bin = join(repositoryRoot, 'scripts', 'callgrad.mjs')

export interface Ended {
  /** Null where a signal ended it. */
  code: number | null
  out: string
  err: string
}

export interface Started {
  child: ChildProcessWithoutNullStreams
  ended: Promise<Ended>
}

/** Starts `callgrad ARGS` in a folder, without colours. */
export function startCallgrad(args: readonly string[], cwd: string, env: Record<string, string> = {}): Started {
  const child = spawn(process.execPath, [bin, ...args], { cwd, env: { ...process.env, NO_COLOR: '1', ...env } })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, err })))
  return { child, ended }
}

/** The same, to its end. */
export const runCallgrad = (args: readonly string[], cwd: string, env: Record<string, string> = {}): Promise<Ended> =>
  startCallgrad(args, cwd, env).ended
