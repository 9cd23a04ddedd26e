// The model of a benchmark: the weights in this process, or an endpoint.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import type { Asker, AskProgress } from '../eval/asker.js'
import type { Model } from '../model.js'
import { type EvalRun, parseEvalRun } from '../train/config.js'
import type { EndpointFlags } from './endpoint-flags.js'
import { type ConfigOptions, nameOf, settingsOf } from './options.js'
import { dim, printable } from './ui/style.js'

export interface AskerFlags extends ConfigOptions, EndpointFlags {
  model: string
  data: string
  maxTokens?: number
}

export interface Asking {
  onProgress: (progress: AskProgress) => void
  signal: AbortSignal
}

export interface OpenedAsker {
  asker: Asker
  /** One line that says which model was opened. */
  description: string
  /** Runs `work` under a progress bar; the first Ctrl-C aborts it, and what was answered stays stored. */
  asking<T>(total: number, work: (asking: Asking) => Promise<T>): Promise<T>
  /** Tokens and cost of an endpoint so far, as one line and for `--json`; null for local models. */
  usage(): { line: string; json: object } | null
  close(): void
}

/** Opens `--model`, here or at `--endpoint`. `--set` changes sampling, device, dtype and memory as for other evaluations. */
export async function openAsker(flags: AskerFlags): Promise<OpenedAsker> {
  const given = { model: flags.model, maxCompletionLength: flags.maxTokens ?? 1024, dataset: flags.data }
  const run = parseEvalRun(settingsOf(undefined, given, flags.set))
  if (flags.endpoint !== undefined) {
    const { temperature, topP, topK, minP, maxCompletionLength: maxTokens } = run
    const sampling = { maxTokens, temperature, topP, topK, minP }
    const { Progress } = await import('./ui/progress.js')
    const progress = new Progress(true)
    const { asking, describeUsage, openEndpoint, usageOf } = await import('./endpoint.js')
    const { EndpointAsker } = await import('../eval/endpoint-asker.js')
    const endpoint = openEndpoint(run.model, flags, (reason) => progress.line(dim(`  again: ${printable(reason)}`)))
    return {
      asker: new EndpointAsker(endpoint, sampling),
      description: `${run.model} at ${endpoint.settings.url}`,
      asking: (total, work) =>
        asking({ name: 'answers', total, endpoint, flags, progress }, ({ signal, onProgress }) =>
          work({ signal, onProgress: ({ done, total: of }) => onProgress({ done, total: of }) }),
        ),
      usage: () => ({ line: describeUsage(endpoint, flags), json: usageOf(endpoint, flags) }),
      close: () => endpoint.close(),
    }
  }
  return openHere(run)
}

/** Opens a model in this process to ask it: its weights, its sampling, and a bar. */
export async function openHere(run: EvalRun): Promise<OpenedAsker> {
  const { temperature, topP, topK, minP, seed, maxCompletionLength: maxTokens, kvMemory } = run
  const sampling = { maxTokens, temperature, topP, topK, minP }
  const { Progress } = await import('./ui/progress.js')
  const progress = new Progress(true)
  const { underBar } = await import('./asking.js')
  const { describeModel, openModel } = await import('./inputs.js')
  const { ModelAsker } = await import('../eval/model-asker.js')
  const model = await openModel(run)
  const fingerprint = await fingerprintOf(model)
  return {
    asker: new ModelAsker(model, {
      ...sampling,
      name: nameOfModel(run.model),
      fingerprint,
      kvMemory,
      ...(seed !== undefined && { seed }),
    }),
    description: describeModel(model),
    asking: (total, work) =>
      underBar(
        {
          ...{ progress, name: 'answers', total, where: 'eval' },
          stopping: 'the answers so far are stored. Press Ctrl-C again to end at once.',
          beside: ({ tokensPerSecond }: AskProgress) => `${tokensPerSecond.toFixed(0)} tokens/s`,
        },
        work,
      ),
    usage: () => null,
    close: () => model.dispose(),
  }
}

/** A path's last part; a hub id as it is. */
const nameOfModel = (model: string) => (existsSync(model) ? nameOf(model) : model)

/** Tells weights apart by what they compute, so that answers of a run's last checkpoint are not taken for those of its next. */
export async function fingerprintOf(model: Model): Promise<string> {
  const probe = Array.from({ length: 16 }, (_, i) => (i * 7919 + 1) % model.config.vocabSize)
  const [logprobs] = await model.logprobs([probe])
  return createHash('sha256').update(new Uint8Array(logprobs!.buffer)).digest('base64url').slice(0, 16)
}
