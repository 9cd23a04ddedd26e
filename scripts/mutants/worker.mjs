// A process that tries mutants (test/native/mutant-worker.ts). A mutant may hang or crash it: then it is started again.

import { spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('../../dist/test/native/mutant-worker.js', import.meta.url))

export class Worker {
  /** Every case of the conformance suite; known once started. */
  probes = []

  constructor(switches, addon) {
    this.switches = switches
    this.addon = addon
  }

  async start() {
    writeFileSync(this.switches, Buffer.alloc(4096).fill(255, 0, 4)) // none selected
    const env = { ...process.env, CALLGRAD_MUTANTS: this.switches, CALLGRAD_ADDON: this.addon }
    Object.assign(env, { CALLGRAD_SIMT: 'checked', CALLGRAD_TEST_DEVICE: 'simt' })
    this.child = spawn(process.execPath, [program], { env, stdio: ['pipe', 'pipe', 'inherit'] })
    this.child.stdin.on('error', () => undefined) // a crashed child: its end is seen below
    this.ended = new Promise((resolve) => this.child.on('close', (code, signal) => resolve(signal ?? `exit ${code}`)))
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]()
    const first = await this.#line(60)
    if (!first.probes) throw new Error(`the worker did not start: ${JSON.stringify(first)}`)
    this.probes = first.probes
  }

  stop() {
    this.child?.kill('SIGKILL')
  }

  /** Runs one case: `{ failed, seconds, reached }`; a crash or a hang of `limit` seconds is a failure too. */
  async probe(id, probe, limit) {
    this.child.stdin.write(`${JSON.stringify({ id, probe })}\n`)
    const result = await this.#line(limit)
    if (result.lost) {
      this.stop()
      await this.ended
      await this.start()
      return { failed: result.lost, seconds: limit }
    }
    return result
  }

  async #line(limit) {
    let timer
    const late = new Promise((resolve) => {
      timer = setTimeout(() => resolve({ lost: `no end within ${limit.toFixed(0)} s` }), limit * 1000)
    })
    const next = this.lines
      .next()
      .then(async ({ value, done }) => (done ? { lost: await this.ended } : JSON.parse(value)))
    try {
      return await Promise.race([next, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
