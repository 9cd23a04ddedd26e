// What each training of a study is, from its config and from what its data holds: the page sets it beside what the paper did.

import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import type { Example } from '../../../data/example.js'
import type { DecoderConfig } from '../../../nn/config.js'
import type { Tokenizer } from '../../../text/tokenizer.js'
import { type DatasetSpec, parseSFTRun, parseTrainRun, type SFTRun, type TrainRun } from '../../../train/config.js'
import { chatCodec } from '../../../train/grpo/prompts.js'
import { replyEncoder } from '../../../train/sft/encode.js'
import { openExamples, withReplies } from '../../examples.js'
import { openRewards } from '../../inputs.js'
import { plannedModel } from '../../plan/inputs.js'
import { readJson } from '../made.js'
import { runSettings, selectionFile } from '../models.js'
import { configOf, type Study } from '../settings.js'

/** A training in words. */
export interface TrainingFacts {
  label: string
  start: string
  data: string
  reward: string
  steps: string
  rate: string
  /** Of the study file; null where it says nothing. */
  note: string | null
}

export const untrained = 'Instruct model, untrained'

/** The trainings that the study's rounds name, in their order. Counts that need a file which is not here are left out. */
export async function trainingFacts(study: Study): Promise<TrainingFacts[]> {
  const names = new Set(study.rounds.flat().flatMap(({ training }) => (training === null ? [] : [training])))
  const model = await modelOf(study)
  const facts: TrainingFacts[] = []
  for (const key of names) {
    const { label, command, from, note = null } = study.trainings[key]!
    const settings = runSettings(study, { training: key, seed: study.seeds[0]! })
    const common = { label, start: from === undefined ? untrained : study.trainings[from]!.label, note }
    if (command === 'sft') facts.push({ ...common, ...(await supervised(parseSFTRun(settings), model)) })
    else facts.push({ ...common, ...(await reinforced(study, key, parseTrainRun(settings), model)) })
  }
  return facts
}

type Own = Pick<TrainingFacts, 'data' | 'reward' | 'steps' | 'rate'>

async function supervised(run: SFTRun, model: KnownModel | null): Promise<Own> {
  return {
    data: await recordsText(run, 'records', model && lessonLength(run, model)),
    reward: `none: replies of the records${run.thoughts === 'template' ? ', thoughts by a template' : ''}`,
    steps: `${run.maxSteps} of ${run.examplesPerStep} records`,
    rate: rateOf(run),
  }
}

async function reinforced(study: Study, key: string, run: TrainRun, model: KnownModel | null): Promise<Own> {
  const { on } = study.trainings[key]!
  return {
    data:
      on === undefined ? await recordsText(run, 'questions', model && promptLength(run, model)) : selected(study, on),
    reward: await rewardsOf(run),
    steps: `${run.maxSteps} of ${run.promptsPerStep} questions with ${run.numGenerations} replies each`,
    rate: `${rateOf(run)}, beta ${run.beta}`,
  }
}

const rateOf = ({ learningRate, lrSchedulerType }: SFTRun | TrainRun) =>
  `${learningRate.toExponential()}, ${lrSchedulerType}`

/** What the rewards are called that the config names, where they can be loaded, and what it names. */
async function rewardsOf({ reward }: TrainRun): Promise<string> {
  const loaded = await openRewards(reward).catch(() => null)
  const texts = reward.map(({ name, weight }, i) => {
    const own = loaded?.[i]?.fn.name || name
    return `${own}${own === name ? '' : ` (${name})`}${weight === 1 ? '' : ` x ${weight}`}`
  })
  return texts.join(', ')
}

interface Selected {
  asked: number
  tooLong: number
  kept: number
}

/** "64 (seed 0), 75 (seed 1) of the first 400 questions of train.jsonl, part 2/2: those that …". */
function selected(study: Study, key: string): string {
  const spec = study.selections[key]!
  const { dataset } = parseTrainRun(configOf(study, spec, ['model=x']))
  const label = study.trainings[spec.from]!.label
  const found = study.seeds.flatMap((seed) => {
    const made = readJson<Selected>(selectionFile(study, key, seed).replace(/l$/, ''))
    return made === null ? [] : [{ seed, ...made }]
  })
  const first = dataset.limit === null ? 'the' : `the first ${dataset.limit}`
  const where = `of ${first} questions of ${fileOf(dataset)}: those that “${label}” answers rightly sometimes`
  if (found.length === 0) return `some ${where}; not selected yet`
  const kept = found.map(({ seed, kept }) => `${kept} (seed ${seed})`).join(', ')
  const long = [...new Set(found.map(({ tooLong }) => tooLong))].join(' or ')
  return `${kept} ${where}${long === '0' ? '' : `; ${long} were too long to ask`}`
}

const fileOf = ({ path, part }: DatasetSpec) =>
  `${basename(path)}${part === null || (part[0] === 0 && part[1] === 1) ? '' : `, part ${partText(part)}`}`

/** "2/2" where it is one of equal parts, else "0.1 to 0.4". */
function partText([from, to]: readonly [number, number]): string {
  const of = Math.round(1 / (to - from))
  const at = Math.round(from * of)
  const equal = Math.abs(at / of - from) < 1e-9 && Math.abs((at + 1) / of - to) < 1e-9
  return equal ? `${at + 1}/${of}` : `${from} to ${to}`
}

interface KnownModel {
  config: DecoderConfig
  tokenizer: Tokenizer
}

/** How long an example is for a training, and how long it may be. */
interface Measure {
  most: number
  lengthOf(example: Example): number
}

const modelOf = ({ model }: Study): Promise<KnownModel | null> =>
  plannedModel(model, null).then(
    ({ config, tokenizer }) => tokenizer && { config, tokenizer },
    () => null,
  )

function lessonLength({ maxLength }: SFTRun, { config, tokenizer }: KnownModel): Measure {
  const encode = replyEncoder(tokenizer, tokenizer.eosTokenId ?? 0) // the token that ends a turn counts, whichever it is
  const context = config.maxPositionEmbeddings
  return { most: Math.min(maxLength ?? context, context), lengthOf: (example) => encode(example).tokens.length }
}

function promptLength({ maxPromptLength, maxCompletionLength }: TrainRun, model: KnownModel): Measure {
  const room = model.config.maxPositionEmbeddings - maxCompletionLength
  const codec = chatCodec(model.tokenizer)
  return { most: Math.min(maxPromptLength ?? room, room), lengthOf: (example) => codec.encode(example).tokens.length }
}

const count = (value: number) => value.toLocaleString('en-US')

/** "374 of 751 records of train.jsonl, part 1/2; the others have more than 1,024 tokens". */
async function recordsText(run: SFTRun | TrainRun, unit: string, measure: Measure | null): Promise<string> {
  const where = `${unit} of ${fileOf(run.dataset)}`
  if (!existsSync(run.dataset.path)) return where
  const dataset = await openExamples(run.dataset, run)
  const { examples } = 'thoughts' in run ? withReplies(dataset, run) : dataset
  if (measure === null) return `${count(examples.length)} ${where}`
  const fitting = examples.filter((example) => measure.lengthOf(example) <= measure.most).length
  if (fitting === examples.length) return `${count(fitting)} ${where}`
  return `${count(fitting)} of ${count(examples.length)} ${where}; the others have more than ${count(measure.most)} tokens`
}
