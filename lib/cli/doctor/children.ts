// Programs that load native code run in processes of their own: one that crashes is a line in the diagnosis, not its end.

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** What a child printed as its last line of JSON, or how it ended without one. */
export type ChildResult<T> = { value: T } | { failed: string }

/** Runs a module of this folder; `seconds` is the time after which it is ended. */
export function runChild<T>(
  module: string,
  args: readonly string[],
  { env = {}, seconds }: { env?: Record<string, string>; seconds: number },
): Promise<ChildResult<T>> {
  return new Promise((resolve) => {
    const file = fileURLToPath(new URL(module, import.meta.url))
    const child = spawn(process.execPath, [file, ...args], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err = (err + text).slice(-2000)
    })
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, seconds * 1000)
    child.on('error', (error) => resolve({ failed: error.message }))
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      if (late) return resolve({ failed: `gave no answer within ${seconds} s` })
      if (signal) return resolve({ failed: `was ended by ${signal}` })
      try {
        if (code === 0) return resolve({ value: JSON.parse(out.trim().split('\n').at(-1) ?? '') as T })
      } catch {}
      const lines = err.split('\n').map((line) => line.trim())
      resolve({
        failed: lines.find((line) => /^\w*Error\b/.test(line)) ?? lines.find(Boolean) ?? `ended with exit ${code}`,
      })
    })
  })
}
