// What set-up shows: one aligned line a step, rewritten in place on a terminal while the step runs.

const live = process.stdout.isTTY === true

export class Steps {
  #open = false
  #lastShown = -1

  /** A finished step. */
  done(name, text) {
    this.#clear()
    console.log(`  ${name.padEnd(10)} ${text}`)
  }

  /** A running step; without a terminal only every tenth per cent is printed. */
  progress(name, text, percent = null) {
    if (live) {
      this.#clear()
      process.stdout.write(`  ${name.padEnd(10)} ${text}`.slice(0, (process.stdout.columns ?? 80) - 1))
      this.#open = true
      return
    }
    if (percent !== null) {
      const tenth = Math.floor(percent / 10)
      if (tenth <= this.#lastShown) return
      this.#lastShown = tenth
    }
    console.log(`  ${name.padEnd(10)} ${text}`)
  }

  #clear() {
    this.#lastShown = -1
    if (!this.#open) return
    process.stdout.write('\r\x1b[2K')
    this.#open = false
  }
}

/** "0.4 s", "12 s", "2 min 5 s". */
export function seconds(ms) {
  const s = ms / 1000
  if (s < 10) return `${s.toFixed(1)} s`
  return s < 60 ? `${Math.round(s)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`
}
