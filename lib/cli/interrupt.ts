import { exitCodes } from './exit.js'

export interface Interrupt {
  /** Whether someone asked to stop. */
  readonly requested: boolean
  /** Forgets the handlers. */
  dispose(): void
}

/**
 * The first Ctrl-C (or SIGTERM) calls `stop`, which lets the step finish and save; the second ends the process at once with 130. What
 * is on disk stays whole: checkpoints appear by a rename.
 */
export function onInterrupt(
  stop: () => void,
  say: (line: string) => void,
  text = 'Stopping: this step is finished and saved first. Press Ctrl-C again to end at once.',
): Interrupt {
  let requested = false
  const handle = () => {
    if (requested) process.exit(exitCodes.interrupted)
    requested = true
    say(text)
    stop()
  }
  process.on('SIGINT', handle)
  process.on('SIGTERM', handle)
  return {
    get requested() {
      return requested
    },
    dispose() {
      process.off('SIGINT', handle)
      process.off('SIGTERM', handle)
    },
  }
}
