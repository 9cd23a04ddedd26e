import { spawn } from 'node:child_process'

export interface ChildResult {
  code: number | null
  signal: string | null
  text: string
  milliseconds: number
}

/** Runs an ES module given as text in a process of its own and kills it after `timeout` milliseconds. */
export function runModuleText(
  source: string,
  { env = {}, timeout = 180_000 }: { env?: Record<string, string>; timeout?: number } = {},
): Promise<ChildResult> {
  return new Promise((resolve) => {
    const start = performance.now()
    const child = spawn(process.execPath, ['--input-type=module', '--expose-gc', '--eval', source], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let text = ''
    const take = (chunk: string) => {
      text += chunk
    }
    child.stdout.setEncoding('utf8').on('data', take)
    child.stderr.setEncoding('utf8').on('data', take)
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout)
    child.on('close', (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, text, milliseconds: performance.now() - start })
    })
  })
}

/** Import statements of the compiled tensor library for {@link runModuleText}. */
export const prelude = (() => {
  const lib = new URL('../../lib/tensor/', import.meta.url)
  return `
import { device } from '${new URL('device.js', lib)}'
import { empty, tensor } from '${new URL('tensor.js', lib)}'
import { adamw, add, fill, swiglu, gatherRows } from '${new URL('ops.generated.js', lib)}'
`
})()
