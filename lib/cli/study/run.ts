// Runs what a study still lacks, stage by stage, each in a process of its own.

import { type ChildProcess, spawn } from 'node:child_process'
import { appendFileSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { fail } from '../../errors.js'
import { onInterrupt } from '../interrupt.js'
import { holdFolder, markedEnvironment, orphansOf } from './alone.js'
import { weightsDigest } from './made.js'
import { writeWhole } from './questions.js'
import type { Study } from './settings.js'
import { type Stage, stateIn } from './stages.js'

const callgrad = fileURLToPath(new URL('../../../../scripts/callgrad.mjs', import.meta.url))

/** What is written of a machine beside what it measured. */
export const machine = (): string => `${availableParallelism()} cores of ${cpus()[0]?.model ?? 'an unknown processor'}`

export interface RunOptions {
  /** Names of the stages to run; others that are missing are not made. */
  only?: readonly string[]
  /** Stops after so many minutes, as Ctrl-C does. */
  until?: number
  say(line: string): void
}

/**
 * Runs every stage that its own files do not tell to be done. Resolves to whether all are, false where Ctrl-C or the clock stopped it.
 *
 * @throws `ERR_STUDY` naming the command that failed; `ERR_BUSY` where another process works on the study
 */
export async function runStudy(study: Study, stages: readonly Stage[], options: RunOptions): Promise<boolean> {
  const release = holdFolder(study.folder)
  const runner = new Runner(study, options)
  try {
    await runner.waitForOrphans()
    const known = new Map(stages.map((stage) => [stage.name, stage]))
    const wanted = options.only === undefined ? stages : stages.filter(({ name }) => options.only!.includes(name))
    for (const stage of wanted) {
      if (runner.stopping) return false
      if ((await stateIn(stages, stage)).share === 1) continue
      for (const need of stage.needs) {
        const { share, detail } = await known.get(need)!.state()
        if (share < 1)
          fail('Error', 'ERR_STUDY', `[study] ${stage.name}: expected ${need} to be done, it is at ${detail}`)
      }
      await runner.run(stage)
      const { share, detail } = await stage.state()
      if (share === 1) continue
      if (runner.stopping) return false
      const command = `callgrad ${stage.args.join(' ')}`
      fail(
        'Error',
        'ERR_STUDY',
        `[study] ${stage.name}: expected its files to be whole, it is at ${detail}: ${command}`,
      )
    }
    return (
      !runner.stopping ||
      (await Promise.all(wanted.map((stage) => stateIn(stages, stage)))).every(({ share }) => share === 1)
    )
  } finally {
    runner.dispose()
    release()
  }
}

class Runner {
  stopping = false
  #child: ChildProcess | null = null
  readonly #interrupt
  readonly #clock: NodeJS.Timeout | undefined
  readonly #onExit = () => void this.#child?.kill('SIGKILL')

  constructor(
    private readonly study: Study,
    private readonly options: RunOptions,
  ) {
    this.#interrupt = onInterrupt(
      () => this.#stop(),
      (line) => options.say(line),
    )
    if (options.until !== undefined) {
      this.#clock = setTimeout(() => {
        options.say('The time is up: this step is finished and saved first.')
        this.#stop()
      }, options.until * 60_000)
    }
    process.on('exit', this.#onExit)
  }

  #stop(): void {
    this.stopping = true
    this.#child?.kill('SIGINT')
  }

  /** What a killed study left running ends its stage by itself: two processes on one run would spoil it. */
  async waitForOrphans(): Promise<void> {
    let told = ''
    for (let left = orphansOf(this.study.folder); left.length > 0; left = orphansOf(this.study.folder)) {
      if (this.stopping) {
        for (const pid of left) signal(pid, 'SIGINT')
      }
      const line = `Waiting for process ${left.join(', ')}, which a study that was killed here has left running.`
      if (line !== told) this.options.say(line)
      told = line
      await wait(200)
    }
  }

  /** The process is in a group of its own, so that Ctrl-C reaches it once, through here. */
  async run(stage: Stage): Promise<void> {
    const { args, result, model, asks } = stage
    this.options.say(`\n${stage.name}: callgrad ${args.join(' ')}${result === undefined ? '' : ` > ${result}`}`)
    const began = new Date()
    const child = spawn(process.execPath, [callgrad, ...args], {
      detached: true,
      env: markedEnvironment(this.study.folder),
      stdio: ['ignore', result === undefined ? 2 : 'pipe', 2], // standard output belongs to the study's own --json
    })
    this.#child = child
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    const code = await new Promise<number | null>((resolve, reject) => {
      child.on('error', reject)
      child.on('close', resolve)
    })
    this.#child = null
    const line = { stage: stage.name, began, ended: new Date(), code, machine: machine() }
    appendFileSync(join(this.study.folder, 'sessions.jsonl'), `${JSON.stringify(line)}\n`)
    if (code !== 0 && !this.stopping) {
      fail('Error', 'ERR_STUDY', `[study] ${stage.name} ended with ${code ?? 'a signal'}: callgrad ${args.join(' ')}`)
    }
    if (code === 0 && result !== undefined) {
      const weights = model === undefined ? null : await weightsDigest(model)
      const made = { args, weights, ...(asks !== undefined && { asks }), machine: machine() }
      writeWhole(result, `${JSON.stringify({ ...(JSON.parse(text) as object), study: made }, null, 1)}\n`)
    }
  }

  dispose(): void {
    clearTimeout(this.#clock)
    this.#interrupt.dispose()
    process.off('exit', this.#onExit)
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // it has ended
  }
}
