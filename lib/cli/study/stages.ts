// A study as a list of stages in order: each is a command that a reader could type, and a look at its files that says how far it is.

import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { readResults } from '../../eval/results/read.js'
import { differencesOf } from './differences.js'
import { filesDigest, lineCount, readJson, secondsOf, stepReached, weightsDigest } from './made.js'
import { evaluationFolder, modelName, modelPath, ownSettings, selectionFile, selectionName } from './models.js'
import type { Questions } from './questions.js'
import { configPath, type ModelRef, type Study, stepsOf } from './settings.js'

export const evaluationNames = ['dev', 'bfcl', 'acebench'] as const
export type EvaluationName = (typeof evaluationNames)[number]

export interface StageState {
  /** From 0 to 1; 1 is done. */
  share: number
  /** "step 20 of 48", for people. */
  detail: string
  /** Used so far. */
  minutes: number
}

export interface Stage {
  /** Unique: "sft-50-s0", "teaching-s0", "rl-v0-s0 bfcl". */
  name: string
  /** Stages of one kind take about as long as each other. */
  kind: string
  /** Arguments of `callgrad`. */
  args: string[]
  /** Where what the command prints is kept; absent: it is shown. */
  result?: string
  /** What it measures; its digest goes into the result. */
  model?: string
  /** Digest of what it asks; goes into the result, too. */
  asks?: string
  /** Stages that have to be done before. */
  needs: string[]
  /** It is made for others alone: not needed where all that need it are done. */
  forOthers?: true
  /** Of the study file. */
  expectedMinutes: number
  state(): Promise<StageState>
}

/** How far a stage is; one that is made for others counts as done where those are. */
export async function stateIn(stages: readonly Stage[], stage: Stage): Promise<StageState> {
  const state = await stage.state()
  if (state.share === 1 || !stage.forOthers) return state
  for (const other of stages) {
    if (other.needs.includes(stage.name) && (await other.state()).share < 1) return state
  }
  return { ...state, share: 1, detail: 'not needed' }
}

/** A result as the study keeps it: what the command printed, of which weights, by which command, on which machine. */
export interface KeptResult {
  seconds?: number
  study?: { args: string[]; weights: string | null; asks?: string; machine: string }
}

/** All stages in the order of running, each once. */
export function stagesOf(study: Study, questions: Questions): Stage[] {
  const stages = new Map<string, Stage>()
  const add = (stage: Stage) => void (stages.has(stage.name) || stages.set(stage.name, stage))
  const train = (ref: ModelRef) => {
    if (ref.training === null) return
    const { from, on } = study.trainings[ref.training]!
    if (from !== undefined) train({ training: from, seed: ref.seed })
    if (on !== undefined) {
      train({ training: study.selections[on]!.from, seed: ref.seed })
      add(selection(study, on, ref.seed!))
    }
    add(training(study, ref.training, ref.seed!))
  }
  for (const round of study.rounds) {
    for (const ref of round) {
      train(ref)
      add(evaluation(study, ref, 'dev', questions))
    }
    for (const name of ['bfcl', 'acebench'] as const) {
      if (study.evaluations[name]) for (const ref of round) add(evaluation(study, ref, name, questions))
    }
  }
  return [...stages.values()]
}

const sets = (list: readonly string[]) => list.flatMap((one) => ['--set', one])

function training(study: Study, key: string, seed: number): Stage {
  const { command, config, from, on, set, minutes } = study.trainings[key]!
  const ref = { training: key, seed }
  const run = modelPath(study, ref)
  const start = { training: from ?? null, seed }
  const selected = on === undefined ? null : selectionName(on, seed)
  const steps = stepsOf(study, key)
  const own = ownSettings(study, ref)
  return {
    name: modelName(ref),
    kind: key,
    args: [command, configPath(study, config), ...sets([...set, ...own, `outputDir=${run}`]), '--resume'],
    needs: [...(from === undefined ? [] : [modelName(start)]), ...(selected === null ? [] : [selected])],
    expectedMinutes: minutes,
    async state() {
      const step = await stepReached(run)
      const share = Math.min(1, step / steps)
      const unlike = share === 1 ? differencesOf(study, ref, run).map((one) => `; ${one}`) : []
      return { share, detail: `step ${step} of ${steps}${unlike.join('')}`, minutes: secondsOf(run, step) / 60 }
    },
  }
}

function selection(study: Study, key: string, seed: number): Stage {
  const { config, from, set, minutes } = study.selections[key]!
  const name = selectionName(key, seed)
  const output = selectionFile(study, key, seed)
  const result = output.replace(/l$/, '')
  const start = { training: from, seed }
  const model = modelPath(study, start)
  const own = [`model=${model}`, `seed=${seed}`]
  const args = ['data', 'select', configPath(study, config), ...sets([...set, ...own]), '-o', output, '--json']
  return {
    ...{ name, kind: key, args, result, model },
    needs: [modelName(start)],
    forOthers: true,
    expectedMinutes: minutes,
    async state() {
      const made = readJson<KeptResult & { kept: number }>(result)
      const whole = made !== null && lineCount(output) === made.kept && (await isOf(made, model))
      const done = Math.max(0, lineCount(`${output}.counts`))
      return {
        share: whole ? 1 : 0,
        detail: whole ? `${made.kept} kept` : `${done} questions asked`,
        minutes: (made?.seconds ?? 0) / 60,
      }
    },
  }
}

/** Whether a result is of the weights that the model has now. */
async function isOf(made: KeptResult, model: string): Promise<boolean> {
  const weights = await weightsDigest(model)
  return weights !== null && made.study?.weights === weights
}

function evaluation(study: Study, ref: ModelRef, what: EvaluationName, questions: Questions): Stage {
  const folder = evaluationFolder(study, ref)
  const model = modelPath(study, ref)
  const result = join(folder, `${what}.json`)
  const spec = what === 'dev' ? devCommand(study, folder) : benchmarkCommand(study, what, folder, questions)
  const args = ['eval', ...spec.args, '--model', model, '--json']
  const asks = filesDigest(what === 'dev' ? [study.evaluations.dev.data] : questionFiles(questions[what]!.data))
  return {
    name: `${modelName(ref)} ${what}`,
    kind: `${what} of ${ref.training === null ? 'base' : 'a trained model'}`,
    ...{ args, result, model, asks },
    needs: ref.training === null ? [] : [modelName(ref)],
    expectedMinutes: study.evaluations[what]!.minutes,
    async state() {
      const made = readJson<KeptResult & { samples?: number; stored?: number }>(result)
      const same = made !== null && JSON.stringify(made.study?.args) === JSON.stringify(args)
      const asked = made?.study?.asks ?? asks // older results do not say it
      const whole = same && asked === asks && (await isOf(made, model)) && spec.answered(made.samples) > 0
      const stored = Math.max(0, lineCount(spec.store))
      return {
        share: whole ? 1 : 0,
        detail: whole ? `${spec.answered(made.samples)} questions` : `${stored} questions answered`,
        minutes: made?.stored ? 0 : (made?.seconds ?? 0) / 60, // of the last session alone, where there were several
      }
    },
  }
}

/** Drawn questions and their answers. */
const questionFiles = (data: string): string[] =>
  ['question', 'possible_answer']
    .map((kind) => join(data, kind))
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .sort()
        .map((file) => join(folder, file)),
    )

interface EvaluationCommand {
  args: string[]
  store: string
  /** Questions whose verdicts lie in the files, all of them or 0. */
  answered(samples: number | undefined): number
}

function devCommand({ evaluations: { dev } }: Study, folder: string): EvaluationCommand {
  const replies = join(folder, 'dev.jsonl')
  const store = join(folder, 'dev.answers')
  const format = ['--prompt-format', dev.promptFormat]
  return {
    args: ['--data', dev.data, ...format, '--max-tokens', String(dev.maxTokens), '--cache', store, '-o', replies],
    store,
    answered: (samples) => (samples !== undefined && lineCount(replies) === samples ? samples : 0),
  }
}

function benchmarkCommand(
  { evaluations }: Study,
  what: 'bfcl' | 'acebench',
  folder: string,
  questions: Questions,
): EvaluationCommand {
  const { handler, maxTokens } = evaluations[what]!
  const output = join(folder, what)
  const { data, counts } = questions[what]!
  const asked = Object.keys(counts)
  const total = Object.values(counts).reduce((sum, { asked: n }) => sum + n, 0)
  const limits = ['--handler', handler, '--max-tokens', String(maxTokens)]
  return {
    args: [
      what,
      '--data',
      data,
      '--category',
      asked.filter((name) => counts[name]!.asked > 0).join(','),
      ...limits,
    ].concat(['-o', output]),
    store: join(output, 'answers.jsonl'),
    answered: () => {
      if (!existsSync(output)) return 0
      const found = readResults(output).flatMap((set) => set.questions).length
      return found === total ? total : 0
    },
  }
}
