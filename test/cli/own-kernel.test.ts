// Kernel files that somebody else wrote: right ones are measured beside ours, wrong ones are told apart, and none takes this process with it.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { benchOwnKernel, type OwnKernelReport, signatureOf } from '../../lib/cli/bench/own-kernel.js'
import { formatOwnKernel } from '../../lib/cli/bench/own-table.js'
import { packageRoot } from '../../lib/tensor/addon-file.js'

const commands = join(packageRoot, 'build', 'own-kernel', 'callgrad_simt_checked.json')
const it = suite('a kernel of your own')
const here = existsSync(commands) && !process.env.CALLGRAD_ADDON
if (!here) console.log(`own kernels: skipped, there is no ${commands}`)
const test = here ? it : it.skip
const folder = mkdtempSync(join(tmpdir(), 'callgrad-own-test-'))
it.after(() => rmSync(folder, { recursive: true, force: true }))

const example = (name: string) => join(packageRoot, 'examples', 'own-kernel', name)

test('the examples of RMSNorm pass all checks, and counters tell them apart', async () => {
  const reports: OwnKernelReport[] = []
  for (const name of ['naive.cu', 'better.cu'])
    reports.push(await benchOwnKernel({ op: 'rmsNorm', file: example(name) }))
  for (const { checks, measures } of reports) {
    assert.ok(checks.length >= 6)
    assert.equal(
      checks.filter((c) => c.own !== null || c.ours !== null),
      [],
    )
    assert.equal(
      measures.map((m) => m.dtype),
      ['f32', 'bf16'],
    )
  }
  const [naive, better] = reports.map((r) => r.measures[1]!.counters!)
  assert.ok(naive!.own.asked > 10 * naive!.ours.asked, `${naive!.own.asked} and ${naive!.ours.asked}`)
  assert.ok(better!.own.asked < 1.25 * better!.ours.asked && better!.own.askedOverTouched < 1.01)
  assert.is(naive!.own.kernels[0]!.kernel, 'naive rmsNorm')
  assert.match(formatOwnKernel(reports[0]!), /bytes asked for +\d+ +\d+ +[\d.]+x/)
})

/** A file with a kernel for clipScale: out = min(1, maxNorm / sqrt(sumSquares)). */
const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, `#include "cuda/own_kernel.h"\nusing namespace callgrad;\n${text}`)
  return path
}
const host = (body: string) =>
  `static Status mine(const OpCall& call, KernelContext& context) { ${body} }\nCALLGRAD_KERNEL(clipScale, mine)\n`
const device = (body: string) =>
  `static __global__ void kernel(const float* in, float* out) {\n  ${body}\n}\n${host(
    'return gpu::launch(*context.gpu, "mine", kernel, dim3(1), dim3(1), 0, call.in[0].as<float>(), call.out[0].as<float>());',
  )}`

async function errorOf(path: string, op = 'clipScale', timeout = 60): Promise<{ code: string; message: string }> {
  try {
    const report = await benchOwnKernel({ op, file: path, timeout })
    return { code: 'none', message: formatOwnKernel(report) }
  } catch (error) {
    return error as { code: string; message: string }
  }
}

test('a file that does not compile says where', async () => {
  const { code, message } = await errorOf(file('typo.cu', host('return lauch(call);')))
  assert.is(code, 'ERR_BUILD')
  assert.match(message, /typo\.cu does not compile:[\s\S]*typo\.cu:3:\d+: error: .*lauch/)
})

test('a file without a kernel for the op says what is expected', async () => {
  const { code, message } = await errorOf(file('none.cu', 'static int nothing = 0;\n'))
  assert.is(code, 'ERR_BUILD')
  assert.match(message, /none\.cu has no kernel for clipScale: expected CALLGRAD_KERNEL\(clipScale, function\) in it/)
  const other = await errorOf(file('other.cu', host('return {};')), 'scale')
  assert.match(other.message, /other\.cu has no kernel for scale/)
})

test('a function that is declared and not defined is a link error', async () => {
  const text = `Status elsewhere(const OpCall&);\n${host('return elsewhere(call);')}`
  const { code, message } = await errorOf(file('halfway.cu', text))
  assert.is(code, 'ERR_BUILD')
  assert.match(message, /halfway\.cu does not link:[\s\S]*undefined reference to .*elsewhere/)
})

test('a crash is told with the check in which it happened', async () => {
  const { code, message } = await errorOf(
    file('crash.cu', host('*static_cast<volatile int*>(nullptr) = 1; return {};')),
  )
  assert.is(code, 'ERR_KERNEL')
  assert.match(message, /crash\.cu crashed \(SIG\w+\) while the check "equals the float64 reference" ran/)
})

test('a kernel that does not end is stopped', async () => {
  const endless = host('for (volatile int i = 0;; i = i + 1) {} return {};')
  const { code, message } = await errorOf(file('endless.cu', endless), 'clipScale', 3)
  assert.is(code, 'ERR_KERNEL')
  assert.match(message, /endless\.cu did not end within 3 s while the check/)
})

test('wrong results are told beside ours and not measured', async () => {
  const report = await benchOwnKernel({ op: 'clipScale', file: file('wrong.cu', device('out[0] = 0.5f;')) })
  assert.equal(report.measures, [])
  assert.match(String(report.checks[0]!.own), /clipScale, clips: \w+ is off by/)
  assert.ok(report.checks.every((c) => c.ours === null))
  assert.match(formatOwnKernel(report), /fails +passes[\s\S]*is off by[\s\S]*not measured/)
})

test("an access that is not the op's own is reported with its line", async () => {
  const { message } = await errorOf(file('outside.cu', device('out[0] = in[100000];')))
  assert.match(message, /out of bounds[\s\S]*outside\.cu:4/)
})

test('the signature is that of the op table; unknown ops, devices and files are errors', async () => {
  assert.match(
    await signatureOf('rmsNorm'),
    /call\.in\[2\] +residual: .*may be absent[\s\S]*CALLGRAD_KERNEL\(rmsNorm, mine\)/,
  )
  const code = async (run: Promise<unknown>) => ((await run.catch((e: unknown) => e)) as { code?: string }).code
  assert.is(await code(signatureOf('rmsnorm')), 'ERR_CONFIG')
  assert.is(await code(benchOwnKernel({ op: 'rmsNorm', file: example('naive.cu'), device: 'cpu' })), 'ERR_CONFIG')
  assert.is(await code(benchOwnKernel({ op: 'rmsNorm', file: 'nowhere.cu' })), 'ERR_IO')
})

test('the command exits with 1 where a check fails', () => {
  const command = ['scripts/callgrad.mjs', 'bench', 'op', 'clipScale', '--kernel', join(folder, 'wrong.cu')]
  try {
    execFileSync(process.execPath, command, { cwd: packageRoot, encoding: 'utf8', stdio: 'pipe' })
    assert.unreachable()
  } catch (error) {
    const { status, stdout } = error as { status: number; stdout: string }
    assert.is(status, 1)
    assert.match(stdout, /clipScale on simt: .*wrong\.cu beside ours/)
  }
})

it.run()
