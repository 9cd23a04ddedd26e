// One bar at the bottom of a terminal with lines scrolling above it; without a terminal, lines now and then.

import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import { dim } from './style.js'

/** Without a terminal, progress prints at most this often. */
const quietSeconds = 15

export class Progress {
  readonly #multi: MultiBar | null
  #bar: SingleBar | null = null
  #name = ''
  #total = 0
  #printed = 0

  /** `quiet` keeps lines off standard output: they go to standard error. */
  constructor(private readonly quiet = false) {
    this.#multi =
      process.stderr.isTTY === true
        ? new MultiBar(
            {
              format: `  {name} ${dim('{bar}')} {value}/{total}  {note}`,
              hideCursor: true,
              clearOnComplete: true,
              // Ctrl-C belongs to the command, which has something to save.
              gracefulExit: false,
              stream: process.stderr,
              barsize: 24,
              fps: 8,
              linewrap: false,
            },
            Presets.rect,
          )
        : null
  }

  /** Starts counting something else. */
  start(name: string, total: number): void {
    this.#name = name
    this.#total = total
    this.#printed = Date.now()
    if (!this.#multi) return
    if (this.#bar) this.#multi.remove(this.#bar)
    this.#bar = this.#multi.create(total, 0, { name, note: '' })
  }

  /** `value` of the total is done; `note` says how fast, or what is going on. */
  update(value: number, note = ''): void {
    if (this.#bar) {
      this.#bar.update(value, { name: this.#name, note })
      return
    }
    if (this.#multi || Date.now() - this.#printed < quietSeconds * 1000) return
    this.#printed = Date.now()
    process.stderr.write(`  ${this.#name} ${value}/${this.#total}${note ? `  ${note}` : ''}\n`)
  }

  /** A line above the bar. */
  line(text: string): void {
    if (!this.#multi || !this.#bar) {
      const stream = this.quiet ? process.stderr : process.stdout
      stream.write(`${text}\n`)
      return
    }
    this.#multi.log(`${text}\n`)
    this.#multi.update()
  }

  stop(): void {
    this.#multi?.stop()
    this.#bar = null
  }
}
