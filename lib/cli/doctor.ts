// `callgrad doctor`: what this machine offers, what is missing, and what to do about it.

import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Diagnosis } from './doctor/diagnosis.js'
import { bytes, number } from './ui/format.js'
import { green, red, yellow } from './ui/style.js'
import { pairs, table } from './ui/table.js'

/** Time for the self-test of the kernels. */
const selfTestSeconds = 5

function version(): string {
  const file = new URL('../../../package.json', import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version
}

function oneDnnText({ oneDnn, oneDnnOpened, kernels }: Diagnosis): string {
  if (!oneDnn) return 'not found: our own kernels multiply'
  const use = kernels?.gemm.includes('oneDNN') ? 'used' : 'not used: our own kernels are as fast on this CPU'
  return `${oneDnnOpened?.version ?? 'not opened'}, ${oneDnn.from === 'package' ? 'of this package' : oneDnn.file}; ${use}`
}

function gpuText({ nvidia }: Diagnosis): string {
  if (nvidia.gpus.length > 0)
    return nvidia.gpus
      .map((g) => `${g.name}, ${bytes(g.memory)}, capability ${g.computeCapability}, driver ${g.driver}`)
      .join('; ')
  if (nvidia.files || nvidia.driver) return `there is one; driver ${nvidia.driver ?? 'not loaded'}`
  return 'none'
}

function selfTestRows({ selfTests }: Diagnosis): string[][] {
  return selfTests.map((test) => {
    if ('failed' in test) return [test.device, red('failed'), test.failed]
    const worst = test.results.reduce((most, r) => Math.max(most, r.error), 0)
    const good = test.results.every((r) => r.ok)
    const speed = Object.entries(test.gflops).map(([dtype, x]) => `${dtype} ${number(x)} GFLOP/s`)
    const what = `${test.results.length} kernels, ${test.rounds} times, largest error ${number(worst)}`
    return [test.device, good ? green('good') : red('wrong results'), [what, ...speed].join(', ')]
  })
}

function show(d: Diagnosis): string {
  const has = (feature: string) => d.cpu.features.includes(feature)
  const bf16 = has('amx_bf16') ? 'AMX' : has('avx512_bf16') ? 'AVX512-BF16' : null
  const limit = d.memory.limit === null ? '' : `, limited to ${bytes(d.memory.limit)}`
  const loads = d.load.ok ? green('loads') : red(`does not load: ${d.load.reason}`)
  const settings = Object.entries(d.settings).map(([name, value]) => `${name}=${value}`)
  const device = (x: Diagnosis['devices'][number]) => [
    x.name,
    x.available ? green('available') : yellow('not available'),
    x.available ? x.description : (x.reason ?? ''),
  ]
  const sections = [
    pairs([
      ['callgrad', `${d.package.version}, ${d.addon.from ?? 'no addon'}; ${loads}`],
      ['Node.js', `${d.node} on ${d.platform}, ${d.glibc ? `glibc ${d.glibc}` : 'no glibc'}`],
      ['CPU', `${d.cpu.model}, ${d.cpu.threads} threads${d.cpuQuota === null ? '' : `, limited to ${d.cpuQuota}`}`],
      ['instructions', d.cpu.features.join(' ') || 'none beyond the baseline'],
      ['kernels', d.kernels ? `${d.kernels.instructions}, ${d.kernels.threads} threads` : 'none'],
      ['bf16', bf16 ? `fast, by ${bf16}` : 'not fast on this CPU: training runs in fp32'],
      ['matrices', d.kernels ? `multiplied by ${d.kernels.gemm}` : 'nothing multiplies them'],
      ['oneDNN', oneDnnText(d)],
      ['GPU', gpuText(d)],
      ['memory', `${bytes(d.memory.available)} available of ${bytes(d.memory.total)}${limit}`],
      ['disk', `${bytes(d.disk.free)} free in ${d.disk.folder}`],
      ...(settings.length > 0 ? [['settings', settings.join(' ')] as const] : []),
    ]),
  ]
  if (d.devices.length > 0) sections.push(table(['device', 'state', ''], d.devices.map(device)))
  if (d.selfTests.length > 0) sections.push(table(['self-test', '', ''], selfTestRows(d)))
  const problems = d.problems.map(
    ({ severity, what, remedy }) =>
      `  ${severity === 'error' ? red('error') : yellow('warning')}  ${what}\n         → ${remedy}`,
  )
  sections.push(problems.length > 0 ? problems.join('\n') : `  ${green('No problems found.')}`)
  return sections.join('\n\n')
}

export function doctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('show what this machine offers, test the kernels, name problems and their remedies')
    .option('--json', 'print JSON')
    .option('--no-self-test', 'leave out the five seconds of running kernels')
    .addHelpText(
      'after',
      '\nExamples:\n  $ callgrad doctor\n  $ callgrad doctor --json\n\nExit code 1 where a problem is an error.',
    )
    .action(async (options: { json?: boolean; selfTest: boolean }) => {
      const { diagnose } = await import('./doctor/diagnosis.js')
      const diagnosis = await diagnose(version(), options.selfTest ? selfTestSeconds : 0)
      console.log(options.json ? JSON.stringify(diagnosis) : show(diagnosis))
      if (diagnosis.problems.some((p) => p.severity === 'error')) process.exitCode = 1
    })
}
