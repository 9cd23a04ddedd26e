#!/usr/bin/env node
// Checks that a killed run, resumed, ends with the very weights of a run that was never killed.
//
//   npm run check:resume -- [--kills 20] [--seed 0] [--steps 12] [--dtype f32]
//
// A run of 12 updates is made once in peace. Then, for each kill, the same run is started in a folder of its own, killed by SIGKILL at
// a random instant between its first sign of life and the end, and resumed to its end. Weights, Adam's moments and logs must be
// the same, bit for bit (logs but for clocks). One line per kill; exit 1 where anything differs, 2 for wrong arguments.

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { random } from '../dist/lib/conformance/row.js'

const child = fileURLToPath(new URL('support/resume-run.mjs', import.meta.url))

function readArguments() {
  const string = (fallback) => ({ type: 'string', default: fallback })
  const options = { kills: string('20'), seed: string('0'), steps: string('12'), dtype: string('f32') }
  const { dtype, ...values } = parseArgs({ options }).values
  if (dtype !== 'f32' && dtype !== 'bf16') throw new Error(`--dtype: expected f32 or bf16, got ${dtype}`)
  const numbers = Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)]))
  for (const [name, value] of Object.entries(numbers)) {
    if (!Number.isInteger(value) || value < 0)
      throw new Error(`--${name}: expected a whole number, got ${values[name]}`)
  }
  return { ...numbers, dtype }
}

/** Runs the training; kills it `killAfter` ms after it began. Resolves to how it ended and how long it trained. */
function run(folder, { seed, steps, dtype }, killAfter = null) {
  return new Promise((resolve, reject) => {
    const process_ = spawn(process.execPath, [child, folder, String(seed), String(steps), dtype], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    let [began, timer, errors] = [0, null, '']
    process_.stdout.on('data', (text) => {
      if (began || !String(text).includes('training')) return
      began = performance.now()
      if (killAfter !== null) timer = setTimeout(() => process_.kill('SIGKILL'), killAfter)
    })
    process_.stderr.on('data', (text) => {
      errors += text
    })
    process_.on('error', reject)
    process_.on('close', (code, signal) => {
      clearTimeout(timer)
      const milliseconds = performance.now() - began
      if (signal === 'SIGKILL') resolve({ killed: true, milliseconds })
      else if (code === 0) resolve({ killed: false, milliseconds })
      else reject(new Error(`the run ended with ${code ?? signal}: ${errors.trim()}`))
    })
  })
}

const clocks = /^(?:timing|memory|throughput)\/|^step_time$/

/** What a finished run left: hashes of weights and moments, and its logs without clocks. */
function outcome(folder, steps) {
  const checkpoint = join(folder, 'checkpoints', `step-${String(steps).padStart(6, '0')}`)
  const hash = (path) => createHash('sha256').update(readFileSync(path)).digest('hex')
  const lines = (name) =>
    readFileSync(join(folder, name), 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.stringify(JSON.parse(line), (key, value) => (clocks.test(key) ? undefined : value)))
      .join('\n')
  return {
    weights: hash(join(checkpoint, 'model.safetensors')),
    moments: hash(join(checkpoint, 'optimizer.safetensors')),
    metrics: lines('metrics.jsonl'),
    completions: lines('completions.jsonl'),
  }
}

async function main() {
  let options
  try {
    options = readArguments()
  } catch (error) {
    console.error(error.message)
    return 2
  }
  const root = mkdtempSync(join(tmpdir(), 'callgrad-resume-'))
  const draw = random(options.seed ^ 0x9e3779b9)
  let failed = 0
  let killed = 0
  try {
    const peaceful = await run(join(root, 'peace'), options)
    const expected = outcome(join(root, 'peace'), options.steps)
    console.log(`A run of ${options.steps} updates takes ${Math.round(peaceful.milliseconds)} ms.`)
    for (let kill = 1; killed < options.kills; kill++) {
      const folder = join(root, `kill-${kill}`)
      const first = await run(folder, options, draw() * peaceful.milliseconds)
      // It may have been quicker than the peaceful one: that was no kill.
      if (!first.killed) {
        rmSync(folder, { recursive: true })
        continue
      }
      killed++
      const reached = existsSync(join(folder, 'metrics.jsonl'))
        ? readFileSync(join(folder, 'metrics.jsonl'), 'utf8').split('\n').length - 1
        : 0
      await run(folder, options)
      const got = outcome(folder, options.steps)
      const differing = Object.keys(expected).filter((what) => got[what] !== expected[what])
      if (differing.length > 0) failed++
      const verdict = differing.length > 0 ? `DIFFERENT: ${differing.join(', ')}` : 'equal'
      console.log(
        `kill ${killed}: after ${Math.round(first.milliseconds)} ms, ${reached} updates logged, resumed: ${verdict}`,
      )
      rmSync(folder, { recursive: true })
    }
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
  console.log(JSON.stringify({ kills: killed, failed, seed: options.seed, steps: options.steps }))
  return failed > 0 ? 1 : 0
}

process.exitCode = await main()
