// `callgrad bench`: how fast a step, a rollout, a training pass, an evaluation or a single op is on this machine.

import type { Command } from 'commander'
import { fail } from '../errors.js'
import { parseBytes } from '../train/config/fields.js'
import { parseNumber } from './generate.js'
import { number } from './ui/format.js'
import { dim, yellow } from './ui/style.js'
import { pairs, table } from './ui/table.js'

type Result = object

/** A benchmark with the flags that all have: which model, where, in which precision. */
function benchmark(bench: Command, name: string, description: string): Command {
  return bench
    .command(name)
    .description(description)
    .option('-m, --model <model>', 'a model, or shape:NAME for random weights', 'shape:smollm2-135m')
    .option('--device <device>', 'auto, cpu, cuda:0, simt', 'auto')
    .option('--dtype <dtype>', 'auto, fp32, bf16', 'auto')
    .option('--json', 'print one line of JSON')
}

interface Common {
  model: string
  device: string
  dtype: string
  json?: boolean
}

const modelOf = ({ model, device, dtype }: Common) => ({ model, device, dtype: dtypeOf(dtype) })

function dtypeOf(dtype: string): 'auto' | 'f32' | 'bf16' {
  if (dtype === 'fp32' || dtype === 'f32') return 'f32'
  if (dtype === 'bf16' || dtype === 'auto') return dtype
  return fail('TypeError', 'ERR_CONFIG', `[bench] --dtype: expected auto, fp32 or bf16, got "${dtype}"`)
}

function memoryOf(text: string): number {
  return (
    parseBytes(text) ??
    fail('TypeError', 'ERR_CONFIG', `[bench] --kv-memory: expected bytes or a text like "2GB", got "${text}"`)
  )
}

/** Flags of `bench ops`. */
export interface OpsFlags {
  op?: string[]
  device: string
  dtype: string
  seconds?: number
  compare?: string
  html?: string
  markdown?: boolean
  json?: boolean
}

/** Flags of `bench eval`. */
interface EvalFlags extends Common {
  data: string
  questions: number
  maxTokens?: number
  oneByOne?: number
  promptFormat?: string
  kvMemory?: string
}

async function evaluation(o: EvalFlags): Promise<void> {
  const { data, maxTokens, oneByOne, promptFormat, kvMemory } = o
  const { questions } = counts({ questions: o.questions, 'one-by-one': oneByOne ?? 1 })
  const { benchEval } = await import('./bench/eval.js')
  const { Progress } = await import('./ui/progress.js')
  const progress = new Progress(true)
  let before = ''
  const onProgress = (way: string, done: number, total: number) => {
    if (way !== before) progress.start(way, total)
    before = way
    progress.update(done)
  }
  const asking = { data, questions, maxTokens, promptFormat, oneByOne, kvMemory, onProgress }
  const result = await benchEval({ ...modelOf(o), ...asking }).finally(() => progress.stop())
  print(result, o.json)
  if (result.different_answers > 0) {
    // An answer depends on its question and the settings alone: the engine says so.
    process.exitCode = 1
    console.error(yellow(`  ${result.different_answers} answers are not the same both ways`))
  }
  if (!o.json && result.extrapolated) {
    const asked = `${result.one_by_one_questions} of ${result.questions}`
    console.log(dim(`\n  one_by_one_s and ratio are extrapolated from ${asked} questions, evenly spaced`))
  }
}

/** Refuses counts that no benchmark can run with. */
function counts<T extends Record<string, number>>(values: T): T {
  for (const [name, value] of Object.entries(values))
    if (!Number.isInteger(value) || value < 1)
      fail('RangeError', 'ERR_CONFIG', `[bench] ${name}: expected an integer of at least 1, got ${value}`)
  return values
}

function print(result: Result, json: boolean | undefined): void {
  if (json) {
    console.log(JSON.stringify(result))
    return
  }
  const entries = Object.entries(result)
  const text = (value: unknown) => (typeof value === 'number' ? number(value) : String(value))
  const plain = entries.filter(([, value]) => typeof value !== 'object' || value === null)
  console.log(pairs(plain.map(([key, value]) => [key, text(value)])))
  for (const [key, value] of entries) {
    if (Array.isArray(value) && value.length > 0) {
      const rows = value as Record<string, unknown>[]
      const header = Object.keys(rows[0]!)
      console.log(
        `\n${table(
          header,
          rows.map((row) => header.map((column) => text(row[column]))),
        )}`,
      )
    } else if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      const parts = Object.entries(value as Record<string, number>)
      const sum = parts.reduce((all, [, part]) => all + part, 0)
      const share = (part: number) => `${((100 * part) / sum).toFixed(1)} %`
      console.log(
        `\n${table(
          [key, 's', 'share'],
          parts.map(([name, part]) => [name, part.toFixed(3), share(part)]),
        )}`,
      )
    }
  }
}

export function benchCommand(program: Command): void {
  const bench = program
    .command('bench')
    .description('measure this machine: a GRPO step, decoding, training, an evaluation, single ops')
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad bench step --model shape:smollm2-135m --prompts 4 --group 8 --prompt-len 600 --new-tokens 96 --json
  $ callgrad bench decode --model M --sequences 64 --prompt 256 --new 64 --shared-prompt
  $ callgrad bench train --model shape:smollm2-135m --sequences 8 --len 512
  $ callgrad bench eval --model M --data dev.jsonl --questions 500 --one-by-one 50
  $ callgrad bench ops --op attention rmsNorm --compare old.json
  $ callgrad bench ops --device simt --html roofline.html
  $ callgrad bench op rmsNorm --kernel examples/own-kernel/better.cu
  $ callgrad bench bfcl --data bfcl`,
    )

  benchmark(bench, 'step', 'whole GRPO steps on random prompts: rollouts, loss, update')
    .option('--prompts <n>', 'prompts of a step', parseNumber, 4)
    .option('--group <n>', 'completions of a prompt', parseNumber, 8)
    .option('--prompt-len <n>', 'tokens of a prompt', parseNumber, 600)
    .option('--new-tokens <n>', 'tokens of a completion, exactly', parseNumber, 96)
    .option('--steps <n>', 'steps measured, after one that is not', parseNumber, 3)
    .option('--tokens-per-microbatch <n>', 'rows that run forward and backward at once', parseNumber, 2048)
    .action(
      async (
        o: Common & {
          prompts: number
          group: number
          promptLen: number
          newTokens: number
          steps: number
          tokensPerMicrobatch: number
        },
      ) => {
        const { prompts, group, promptLen, newTokens, steps, tokensPerMicrobatch } = o
        const sizes = counts({ prompts, group, promptLen, newTokens, steps, tokensPerMicrobatch })
        const { benchStep } = await import('./bench/step.js')
        print(await benchStep({ ...modelOf(o), ...sizes }), o.json)
      },
    )

  benchmark(bench, 'decode', 'rollouts of a given length; against the memory bandwidth of this run')
    .option('--sequences <n>', 'sequences that decode together', parseNumber, 64)
    .option('--prompt <n>', 'tokens of a prompt', parseNumber, 256)
    .option('--new <n>', 'tokens of a completion, exactly', parseNumber, 64)
    .option('--shared-prompt', 'one prompt for all sequences, as in a GRPO group', false)
    .option('--kv-memory <bytes>', 'memory for keys and values', '4GB')
    .action(
      async (
        o: Common & { sequences: number; prompt: number; new: number; sharedPrompt: boolean; kvMemory: string },
      ) => {
        const { sequences, prompt, sharedPrompt } = o
        const sizes = counts({ sequences, prompt, new: o.new })
        const { benchDecode } = await import('./bench/decode.js')
        print(await benchDecode({ ...modelOf(o), ...sizes, sharedPrompt, kvMemory: memoryOf(o.kvMemory) }), o.json)
      },
    )

  benchmark(bench, 'train', 'forward, backward and AdamW on random tokens')
    .option('--sequences <n>', 'sequences of a step', parseNumber, 8)
    .option('--len <n>', 'tokens of a sequence', parseNumber, 512)
    .option('--steps <n>', 'steps measured, after one that is not', parseNumber, 3)
    .option('--tokens-per-microbatch <n>', 'rows that run forward and backward at once', parseNumber, 2048)
    .action(async (o: Common & { sequences: number; len: number; steps: number; tokensPerMicrobatch: number }) => {
      const { sequences, len, steps, tokensPerMicrobatch } = o
      const { benchTrain } = await import('./bench/train.js')
      print(await benchTrain({ ...modelOf(o), ...counts({ sequences, len, steps, tokensPerMicrobatch }) }), o.json)
    })

  bench
    .command('eval')
    .description('an evaluation asked as `eval` does, all questions together, against the same one by one')
    .requiredOption('-m, --model <model>', 'a Hugging Face folder, a run, a .gguf file or a hub id')
    .requiredOption('-d, --data <file>', 'questions with their right calls')
    .option('--questions <n>', 'questions asked, from the first on', parseNumber, 500)
    .option('--max-tokens <n>', 'tokens an answer may have (default: 512)', parseNumber)
    .option('--one-by-one <k>', 'ask so many one by one, evenly spaced, and extrapolate (default: all)', parseNumber)
    .option('--prompt-format <style>', 'tool-n1, tool-n1-no-reason or native (default: tool-n1)')
    .option('--kv-memory <bytes>', 'memory for keys and values (default: 1GB)')
    .option('--device <device>', 'auto, cpu, cuda:0, simt', 'auto')
    .option('--dtype <dtype>', 'auto, fp32, bf16', 'auto')
    .option('--json', 'print one line of JSON')
    .action(evaluation)

  bench
    .command('bfcl')
    .description("verdicts a second of BFCL's checker and decoders, on one core")
    .requiredOption('-d, --data <folder>', 'the benchmark: question/ and possible_answer/')
    .option('--seconds <s>', 'time given to each figure', parseNumber, 2)
    .option('--json', 'print one line of JSON')
    .action(async ({ data, seconds, json }: { data: string; seconds: number; json?: boolean }) => {
      const { benchBfcl } = await import('./bench/bfcl.js')
      print(await benchBfcl({ data, seconds }), json)
    })

  bench
    .command('ops')
    .description(
      "single ops at a model's shapes: checked, then timed against roofs of the same run, products on cuda beside cuBLAS; on simt counted",
    )
    .option('--op <name...>', 'only these ops')
    .option('--device <device>', 'auto, cpu, cuda:0, simt', 'auto')
    .option('--dtype <dtype>', 'auto (both), fp32, bf16', 'auto')
    .option('--seconds <s>', 'time given to each measurement', parseNumber)
    .option('--compare <file>', 'an earlier --json of the same device: what has changed beyond noise')
    .option('--html <file>', 'write a page with the roofline')
    .option('--markdown', 'print the table alone, for a page of documentation')
    .option('--json', 'print one line of JSON')
    .action(async (o: OpsFlags) => {
      const { runOpsCommand } = await import('./bench/ops-command.js')
      await runOpsCommand(o, dtypeOf(o.dtype))
    })

  bench
    .command('op <name>')
    .description('a kernel file of your own beside ours: all checks of the op, counters (simt) or time (cuda)')
    .option('-k, --kernel <file>', 'a .cu file, see docs/own-kernel.md; without one the signature is printed')
    .option('--device <device>', 'simt, cuda, cuda:1', 'simt')
    .option('--timeout <s>', 'seconds that a check may take', parseNumber, 300)
    .option('--json', 'print one line of JSON')
    .action(async (op: string, o: { kernel?: string; device: string; timeout: number; json?: boolean }) => {
      const { benchOwnKernel, signatureOf } = await import('./bench/own-kernel.js')
      if (o.kernel === undefined) {
        console.log(await signatureOf(op))
        return
      }
      const report = await benchOwnKernel({ op, file: o.kernel, device: o.device, timeout: o.timeout })
      const { formatOwnKernel } = await import('./bench/own-table.js')
      console.log(o.json ? JSON.stringify(report) : formatOwnKernel(report))
      if (report.checks.some((c) => c.own !== null)) process.exitCode = 1
    })
}
