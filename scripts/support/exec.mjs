// Child processes whose output goes to a log and is shown only as progress, or, when they fail, as the log's tail.

import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { createInterface } from 'node:readline'

/** A failure that set-up can explain: printed without a stack. */
export class SetupError extends Error {}

/** Standard output of a short command, or null when it is missing or fails. */
export function output(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: 'utf8', ...options })
  return result.status === 0 ? result.stdout.trim() : null
}

/**
 * Runs a command to its end; rejects with a SetupError that carries the last lines of what it printed.
 * `onLine` sees every line as it comes. All output goes to `log`.
 */
export function execute(command, args, { log, cwd, env, onLine, what }) {
  mkdirSync(dirname(log), { recursive: true })
  writeFileSync(log, `$ ${[command, ...args].join(' ')}\n`)
  const tail = []
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: env ?? process.env, stdio: ['ignore', 'pipe', 'pipe'] })
    const take = (line) => {
      appendFileSync(log, `${line}\n`)
      tail.push(line)
      if (tail.length > 30) tail.shift()
      onLine?.(line)
    }
    createInterface({ input: child.stdout }).on('line', take)
    createInterface({ input: child.stderr }).on('line', take)
    child.on('error', (error) => reject(new SetupError(`${what}: ${command} did not start: ${error.message}`)))
    child.on('close', (code, signal) => {
      if (code === 0) return resolve()
      const ended = signal ? `was ended by ${signal}` : `failed (exit ${code})`
      reject(new SetupError(`${what} ${ended}. The end of its output:\n\n${tail.map((l) => `    ${l}`).join('\n')}`))
    })
  })
}
