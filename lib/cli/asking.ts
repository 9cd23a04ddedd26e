// Questions under a bar: how far they are, and what Ctrl-C does.

import { onInterrupt } from './interrupt.js'
import type { Progress } from './ui/progress.js'

export interface BarOptions<P> {
  progress: Progress
  /** Name of the bar. */
  name: string
  total: number
  /** Names the asker in the error that a stop ends with. */
  where: string
  /** What a first Ctrl-C answers. */
  stopping: string
  /** What stands behind the bar. */
  beside(progress: P): string
}

/** Asks until all is done or Ctrl-C, which aborts the signal: the error, `ERR_STOPPED`, says how to go on. */
export async function underBar<T, P extends { done: number }>(
  { progress, name, total, where, stopping, beside }: BarOptions<P>,
  work: (asking: { signal: AbortSignal; onProgress: (progress: P) => void }) => Promise<T>,
): Promise<T> {
  const abort = new AbortController()
  const interrupt = onInterrupt(
    () => {
      const stopped = new Error(`[${where}] stopped; the answers so far are stored, the same command goes on`)
      abort.abort(Object.assign(stopped, { code: 'ERR_STOPPED' }))
    },
    (line) => progress.line(`  ${line}`),
    `Stopping: ${stopping}`,
  )
  progress.start(name, total)
  try {
    return await work({
      signal: abort.signal,
      onProgress: (made) => progress.update(made.done, beside(made)),
    })
  } finally {
    interrupt.dispose()
    progress.stop()
  }
}
