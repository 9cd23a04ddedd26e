#!/usr/bin/env node
// Takes barriers, fences, waits and bound checks out of the CUDA kernels, one at a time, swaps indices in a sample of places, and sees whether
// the checked build of `simt` notices. What it does not notice is a hole in the tests or in the checks.
//
//   npm run mutants [-- --kinds sync,bound,swap] [--swaps N] [--seed S] [--files attention*] [--minutes M] [--list] [--write]
//
// One build holds all mutants behind switches (scripts/mutants/). A survey runs every case of the conformance suite without a mutant: it must
// be clean, and tells which cases come by which place and how long they take. Then each mutant meets the quickest cases that reach it, until
// one fails. --minutes ends early and says how many are left; --write renews the table of docs/mutants.md. Exits with 1 where a mutant that
// takes out synchronisation survives without a reason in scripts/mutants/survivors.json.

import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { random } from '../dist/lib/conformance/row.js'
import { allMutants, buildMutants } from './mutants/build.mjs'
import { Worker } from './mutants/worker.mjs'
import { SetupError } from './support/exec.mjs'

const root = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const page = join(root, 'docs', 'mutants.md')
const marker = '<!-- written by `npm run mutants -- --write` -->'
const leastProbes = 12 // that reach a mutant and are tried on it, however long they take
const secondsPerMutant = 15

function options() {
  const { values } = parseArgs({
    options: {
      kinds: { type: 'string', default: 'sync,bound,swap' },
      swaps: { type: 'string', default: '40' },
      seed: { type: 'string', default: '0' },
      files: { type: 'string', default: '*' },
      minutes: { type: 'string', default: '600' },
      list: { type: 'boolean', default: false },
      write: { type: 'boolean', default: false },
    },
  })
  return values
}

/** The mutants that are asked for: all of their kinds and files, and of swaps a sample. */
function chosen(mutants, { kinds, swaps, seed, files }) {
  const wanted = kinds.split(',')
  const pattern = new RegExp(
    `^${files
      .split('*')
      .map((part) => part.replace(/\W/g, '\\$&'))
      .join('.*')}$`,
  )
  const all = mutants.filter(({ kind, file }) => wanted.includes(kind) && pattern.test(file))
  const next = random(Number(seed))
  const some = all.filter(({ kind }) => kind === 'swap').map((mutant) => ({ mutant, order: next() }))
  const kept = new Set(
    some
      .sort((a, b) => a.order - b.order)
      .slice(0, Number(swaps))
      .map(({ mutant }) => mutant),
  )
  return all.filter((mutant) => mutant.kind !== 'swap' || kept.has(mutant))
}

const place = ({ file, line, what }) => `${file}:${line} ${what}`

/** Why a survivor is no hole: reasons by file and text, since lines move. */
function reasons() {
  const list = JSON.parse(readFileSync(join(root, 'scripts', 'mutants', 'survivors.json'), 'utf8'))
  return ({ file, what }) => list.find((entry) => entry.file === file && entry.what === what)?.reason
}

/** Cases by the places they come by, the quickest first. */
async function survey(worker, progress) {
  const byPlace = new Map()
  const broken = []
  for (const [i, probe] of worker.probes.entries()) {
    progress(`survey: case ${i + 1} of ${worker.probes.length}`)
    const { reached, seconds, failed } = await worker.probe(-1, probe, 600)
    if (failed !== null) broken.push(`${probe.op}, case ${probe.case}, ${probe.check}: ${failed}`)
    for (const id of reached ?? []) {
      if (!byPlace.has(id)) byPlace.set(id, [])
      byPlace.get(id).push({ probe, seconds })
    }
  }
  for (const list of byPlace.values()) list.sort((a, b) => a.seconds - b.seconds)
  return { byPlace, broken }
}

/** The quickest probes first, but of each op and check some before the others; as many as the time of a mutant allows. */
function probesFor(list) {
  const counts = new Map()
  const turn = ({ probe }) => {
    const kind = `${probe.op} ${probe.check}`
    counts.set(kind, (counts.get(kind) ?? 0) + 1)
    return Math.ceil(counts.get(kind) / 3)
  }
  const ordered = list.map((entry) => ({ ...entry, turn: turn(entry) })).sort((a, b) => a.turn - b.turn)
  let left = secondsPerMutant
  return ordered.filter(({ seconds }, i) => {
    left -= seconds
    return i < leastProbes || left > 0
  })
}

async function verdict(worker, mutant, list) {
  if (!list) return { ...mutant, fate: 'not reached' }
  for (const { probe, seconds } of probesFor(list)) {
    const { failed } = await worker.probe(mutant.id, probe, 20 + 20 * seconds)
    if (failed !== null) return { ...mutant, fate: 'caught', by: `${probe.op}: ${failed}` }
  }
  return { ...mutant, fate: 'survived' }
}

function tableOf(results, left) {
  const kinds = ['sync', 'bound', 'swap']
  const count = (kind, fate) => results.filter((r) => r.kind === kind && r.fate === fate).length
  const rows = kinds.map(
    (kind) => `| ${kind} | ${count(kind, 'caught')} | ${count(kind, 'survived')} | ${count(kind, 'not reached')} |`,
  )
  const because = reasons()
  const list = results
    .filter(({ fate }) => fate !== 'caught')
    .map((r) => `| \`${place(r).replaceAll('|', '\\|')}\` | ${r.fate} | ${because(r) ?? ''} |`)
  return [
    '| kind | caught | survived | not reached |',
    '|---|---|---|---|',
    ...rows,
    ...(left > 0 ? ['', `${left} mutants were not tried: the time was up.`] : []),
    ...(list.length ? ['', '| survivor | | why |', '|---|---|---|', ...list] : []),
  ].join('\n')
}

async function main() {
  const asked = options()
  if (asked.list) {
    for (const mutant of chosen(allMutants().mutants, asked)) console.log(`${mutant.kind}  ${place(mutant)}`)
    return
  }
  const start = Date.now()
  const minutes = () => (Date.now() - start) / 60_000
  const progress = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K  ${text}`)
  console.log('  building the mutants …')
  const { mutants, addon, folder } = await buildMutants({ log: join(root, 'build-mutants', 'build.log') })
  const worker = new Worker(join(folder, 'switches'), addon)
  try {
    await worker.start()
    const { byPlace, broken } = await survey(worker, progress)
    console.log(
      `  survey: ${worker.probes.length} cases, ${broken.length} fail without a mutant, ${minutes().toFixed(1)} min`,
    )
    for (const text of broken) console.log(`    ${text}`)
    if (broken.length > 0) process.exitCode = 1
    const todo = chosen(mutants, asked)
    const results = []
    for (const mutant of todo) {
      if (minutes() > Number(asked.minutes)) break
      progress(`${results.length} of ${todo.length}: ${place(mutant)}`)
      const result = await verdict(worker, mutant, byPlace.get(mutant.id))
      results.push(result)
      if (result.fate !== 'caught') console.log(`  ${result.fate}: ${mutant.kind} ${place(mutant)}`)
    }
    const left = todo.length - results.length
    writeFileSync(join(folder, 'results.json'), JSON.stringify(results, null, 1))
    const table = tableOf(results, left)
    console.log(`\n${table}\n\n  ${minutes().toFixed(1)} min`)
    if (asked.write) writeFileSync(page, `${readFileSync(page, 'utf8').split(marker)[0]}${marker}\n\n${table}\n`)
    const because = reasons()
    const open = results.filter((r) => r.kind === 'sync' && r.fate !== 'caught' && !because(r))
    if (open.length > 0) process.exitCode = 1
  } finally {
    worker.stop()
  }
}

main().catch((error) => {
  if (!(error instanceof SetupError)) throw error
  console.error(`\n${error.message}`)
  process.exitCode = 1
})
