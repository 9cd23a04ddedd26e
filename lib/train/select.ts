// Which questions teach: those that a model answers rightly sometimes. A group of equal rewards has no advantage, so that GRPO learns
// nothing from the others. Offline it costs one pass; drawing again until a group is mixed (DAPO's dynamic sampling, arXiv 2503.14476)
// costs that much in every step.

import { createHash } from 'node:crypto'
import { closeSync, ftruncateSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { Model } from '../model.js'
import { scoreRollouts } from '../reward/combine.js'
import type { RewardSample, WeightedReward } from '../reward/types.js'
import { chatCodec } from './grpo/prompts.js'

/** What {@link solveCounts} needs of a run's settings: the rollouts of training, and no more. */
export interface SelectSettings {
  numGenerations: number
  maxPromptLength: number | null
  maxCompletionLength: number
  temperature: number
  topP: number
  topK: number
  minP: number
  kvMemory: number
  seed: number
}

/** How often a question was answered with the full reward. */
export interface SolveCount {
  id: string
  right: number
  of: number
}

export interface SolveOptions {
  rewards: readonly WeightedReward[]
  settings: SelectSettings
  /** Counts are appended to this file as they come; those that it has under the same settings are not drawn again. */
  store: string
  /** What else the counts depend on: the weights, the rewards' names. */
  key: string
  /** Prompts drawn for together; a kill loses at most so many. */
  batch?: number
  signal?: AbortSignal
  onProgress?: (done: number, counts: readonly SolveCount[]) => void
}

/**
 * Draws `numGenerations` replies to every question, as a step of training would, and counts those whose reward is above half. Questions over
 * `maxPromptLength` are left out. A question's replies depend on (seed, its place in `examples`) alone, so that a pass that was cut off and
 * taken up again gives the counts of one that was not.
 *
 * @throws Error `ERR_IO` where the store cannot be written, `ERR_STOPPED` where `signal` was aborted; what rewards throw
 */
export async function solveCounts(
  model: Model,
  examples: readonly Example[],
  { rewards, settings, store, key, batch = 8, signal, onProgress }: SolveOptions,
): Promise<SolveCount[]> {
  const { numGenerations: n, maxPromptLength, maxCompletionLength, kvMemory, seed, ...sampling } = settings
  const codec = chatCodec(model.tokenizer)
  const { eosTokenIds } = model.config
  const asked = examples
    .map((example, place) => ({ example, place, prompt: codec.encode(example) }))
    .filter(({ prompt }) => prompt.tokens.length <= (maxPromptLength ?? Number.POSITIVE_INFINITY))
  const counts = new CountStore(store, digest([key, settings]))
  try {
    const left = asked.filter(({ example }) => !counts.has(example.id))
    for (let from = 0; from < left.length; from += batch) {
      if (signal?.aborted) throw signal.reason
      const part = left.slice(from, from + batch)
      const rollouts = await model.engine.generate({
        prompts: part.map(({ prompt }) => [...prompt.tokens]),
        promptIds: part.map(({ place }) => place),
        kvMemory,
        settings: { ...sampling, n, maxTokens: maxCompletionLength, seed, step: 0, stop: [...eosTokenIds] },
      })
      const samples = rollouts.map(({ prompt: index, tokens, finishReason }): RewardSample => {
        const { example, prompt } = part[index]!
        const text = tokens.slice(0, finishReason === 'stop' ? -1 : undefined)
        return { prompt: prompt.text, completion: codec.decode(text), tokens, finishReason, example }
      })
      const { total } = await scoreRollouts(rewards, samples)
      for (const [index, { example }] of part.entries()) {
        const right = rollouts.filter(({ prompt }, i) => prompt === index && (total[i] ?? 0) > 0.5).length
        counts.put({ id: example.id, right, of: n })
      }
      onProgress?.(asked.length - left.length + from + part.length, counts.all())
    }
    return asked.map(({ example }) => counts.get(example.id)!)
  } finally {
    counts.close()
  }
}

const digest = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 16)

/** Counts on the disk, a line each, under a digest of what they were drawn with. */
class CountStore {
  readonly #file: number
  readonly #counts = new Map<string, SolveCount>()

  constructor(
    path: string,
    private readonly under: string,
  ) {
    try {
      mkdirSync(dirname(path), { recursive: true })
      this.#file = openSync(path, 'a+')
      const bytes = readFileSync(path)
      const whole = bytes.lastIndexOf(0x0a) + 1
      if (whole < bytes.length) ftruncateSync(this.#file, whole) // a line that a kill cut off
      for (const line of bytes.toString('utf8', 0, whole).split('\n')) this.#read(line)
    } catch (error) {
      fail('Error', 'ERR_IO', `[select] cannot keep counts in ${path}: ${(error as Error).message}`, error)
    }
  }

  #read(line: string): void {
    try {
      const value = JSON.parse(line) as Partial<SolveCount> & { under?: string }
      const { under, id, right, of } = value
      if (under !== this.under || id === undefined || right === undefined || of === undefined) return
      this.#counts.set(id, { id, right, of })
    } catch {
      // no count: drawn again
    }
  }

  has(id: string): boolean {
    return this.#counts.has(id)
  }

  get(id: string): SolveCount | undefined {
    return this.#counts.get(id)
  }

  all(): SolveCount[] {
    return [...this.#counts.values()]
  }

  put(count: SolveCount): void {
    this.#counts.set(count.id, count)
    writeSync(this.#file, `${JSON.stringify({ under: this.under, ...count })}\n`)
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** Questions by how often they were answered rightly, 0 to `of` times, and those that teach. */
export function summarizeCounts(counts: readonly SolveCount[], of: number): { histogram: number[]; kept: string[] } {
  const histogram = Array.from({ length: of + 1 }, (_, right) => counts.filter((count) => count.right === right).length)
  return { histogram, kept: counts.filter(({ right }) => right > 0 && right < of).map(({ id }) => id) }
}
