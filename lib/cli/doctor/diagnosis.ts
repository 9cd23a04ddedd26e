// Everything that `callgrad doctor` finds, and what it makes of it.

import { type ChildResult, runChild } from './children.js'
import { examineMachine, type Machine } from './machine.js'
import type { DeviceReport, Probe } from './probe.js'
import { findProblems, type Problem } from './problems.js'
import type { SelfTest } from './self-test.js'

export interface Diagnosis extends Machine {
  package: { version: string }
  /** `reason`: why a process of its own could not load the addon, or how it ended. */
  load: { ok: boolean; reason: string | null }
  /** What the CPU's kernels are compiled for and what multiplies matrices; null where the addon does not load. */
  kernels: { instructions: string; threads: number; gemm: string } | null
  /** oneDNN as the addon opens it when it is asked to; null where it is not used. */
  oneDnnOpened: { file: string; version: string } | null
  devices: DeviceReport[]
  selfTests: (SelfTest | { device: string; failed: string })[]
  problems: Problem[]
}

/** "2 threads, avx512bf16 with AMX, GEMM by oneDNN 2.6.3 in bf16, else own kernels" */
export function readDescription(text: string): { instructions: string; gemm: string } {
  const [, instructions = '', gemm = ''] = /threads?, (.*?), GEMM by (.*)$/.exec(text) ?? []
  return { instructions, gemm }
}

const failure = <T>(result: ChildResult<T>) => ('failed' in result ? result.failed : null)

/** `seconds`: time for the self-test of all devices together; 0 leaves it out. */
export async function diagnose(version: string, seconds: number): Promise<Diagnosis> {
  const machine = await examineMachine()
  // a first load in a process of its own; a second one that opens oneDNN, which is not opened where our kernels are as fast
  const probe = await runChild<Probe>('probe.js', [], { seconds: 60 })
  const reason = failure(probe)
  const found = 'value' in probe ? probe.value : null
  const withOneDnn =
    found && machine.oneDnn
      ? await runChild<Probe>('probe.js', [], { seconds: 60, env: { CALLGRAD_GEMM: 'onednn' } })
      : null
  const cpu = found?.devices.find((d) => d.name === 'cpu')
  const opened = withOneDnn && 'value' in withOneDnn ? withOneDnn.value : null
  const oneDnnVersion = /oneDNN [\d.]+/.exec(opened?.devices.find((d) => d.name === 'cpu')?.description ?? '')?.[0]

  const selfTests: Diagnosis['selfTests'] = []
  const available = found?.devices.filter((d) => d.available) ?? []
  for (const { name } of seconds > 0 ? available : []) {
    const share = seconds / available.length
    const result = await runChild<SelfTest>('self-test.js', [name, String(share)], { seconds: share + 60 })
    selfTests.push('value' in result ? result.value : { device: name, failed: result.failed })
  }
  const facts = {
    ...machine,
    package: { version },
    load: { ok: found !== null, reason },
    kernels: found && cpu ? { ...readDescription(cpu.description), threads: found.threads } : null,
    oneDnnOpened: opened?.oneDnn && oneDnnVersion ? { file: opened.oneDnn, version: oneDnnVersion } : null,
    devices: found?.devices ?? [],
    selfTests,
  }
  return { ...facts, problems: findProblems(facts) }
}
