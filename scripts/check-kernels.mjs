#!/usr/bin/env node
// Compiles every kernel for every architecture that the package holds, and reads from ptxas what each one costs:
//
//   node scripts/check-kernels.mjs [--write] [--architectures 80,90a,120]
//
// Fails where a kernel spills registers, where host code calls a function of the device (which would end the process), or where
// docs/kernels.md is not what the compiler says now; --write renews the table.
// Where nvcc is absent it says so and ends with 0.

import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { output } from './support/exec.mjs'
import { callsDeviceCode } from './support/host-code.mjs'
import { budgetRows, spillsOf, tableOf, usageOf } from './support/ptxas.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const page = join(root, 'docs', 'kernels.md')
const marker = '<!-- what ptxas says: written by `node scripts/check-kernels.mjs --write` -->'

/** What ptxas prints while one file is compiled for one architecture into `object`. */
function compile(nvcc, file, architecture, object) {
  const code = `-gencode=arch=compute_${architecture},code=sm_${architecture}`
  const args = ['-std=c++20', '-Inative', '-O3', '--expt-relaxed-constexpr', '-Xptxas', '-v', code, '-c', '-o', object]
  return new Promise((resolve, reject) => {
    const child = spawn(nvcc, [...args, join('native', 'cuda', file)], { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] })
    let text = ''
    const take = (chunk) => {
      text += chunk
    }
    child.stdout.on('data', take)
    child.stderr.on('data', take)
    child.on('error', reject)
    child.on('close', (status) =>
      status === 0 ? resolve(text) : reject(new Error(`${file} for sm_${architecture} does not compile:\n${text}`)),
    )
  })
}

/** What all kernels cost, and the files whose host code calls device code. */
async function compileAll(nvcc, architectures) {
  const files = readdirSync(join(root, 'native', 'cuda')).filter((file) => file.endsWith('.cu'))
  const jobs = files.flatMap((file) => architectures.map((architecture) => ({ file, architecture })))
  const usage = []
  const wrong = new Set()
  const folder = mkdtempSync(join(tmpdir(), 'callgrad-kernels-'))
  const worker = async () => {
    for (let job = jobs.shift(); job; job = jobs.shift()) {
      const object = join(folder, `${job.file}.${job.architecture}.o`)
      for (const kernel of usageOf(await compile(nvcc, job.file, job.architecture, object)))
        usage.push({ ...job, ...kernel })
      if (callsDeviceCode(object)) wrong.add(job.file)
      rmSync(object)
    }
  }
  try {
    await Promise.all(Array.from({ length: availableParallelism() }, worker))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  return { usage, wrong: [...wrong].sort() }
}

const { values } = parseArgs({
  options: { write: { type: 'boolean', default: false }, architectures: { type: 'string', default: '80,90a,120' } },
})
const nvcc = process.env.CUDACXX ?? output('sh', ['-c', 'command -v nvcc'])
if (!nvcc) {
  console.log('kernels: skipped, nvcc is not installed')
  process.exit(0)
}
const { usage, wrong } = await compileAll(nvcc, values.architectures.split(','))
const rows = budgetRows(usage, (name) => output('cu++filt', [name]) ?? output('c++filt', [name]) ?? name)
const spills = spillsOf(rows)
for (const line of spills) console.error(`kernels: ${line}`)
for (const file of wrong)
  console.error(`kernels: host code of ${file} calls a function that is for the device only: it would end the process`)
const text = readFileSync(page, 'utf8')
const head = text.slice(0, text.indexOf(marker))
const renewed = `${head}${marker}\n\n${tableOf(rows)}\n`
if (values.write) writeFileSync(page, renewed)
else if (text !== renewed) {
  console.error(
    'kernels: docs/kernels.md is not what the compiler says now; look at the difference of `npm run kernels -- --write`',
  )
  process.exitCode = 1
}
if (spills.length > 0 || wrong.length > 0) process.exitCode = 1
console.log(`kernels: ${rows.length} kernels for sm_${values.architectures}, ${spills.length} spills`)
