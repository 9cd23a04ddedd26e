// A study's results as Markdown: nothing in it is written by hand.

import type { Estimate } from '../../../eval/intervals.js'
import type { Questions } from '../questions.js'
import type { ClaimSpec, Study, TableSpec } from '../settings.js'
import type { EvaluationName } from '../stages.js'
import {
  type ModelResults,
  measuredSeeds,
  pairedDifference,
  pooled,
  type SeedResults,
  type SelectionCost,
  verdictOf,
} from './gather.js'
import type { TrainingFacts } from './trainings.js'

const missing = 'not run yet'
const number = (share: number) => (100 * share).toFixed(1)
const share = ({ value, low, high }: Estimate) => `${number(value)} % (${number(low)} to ${number(high)})`
const points = ({ value, low, high }: Estimate) => `${signed(value)} (${signed(low)} to ${signed(high)})`
const signed = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(100 * value).toFixed(1)}`
const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
const table = (header: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(header), row(header.map(() => '---')), ...rows.map(row)].join('\n')

const shown: Record<EvaluationName, string> = { dev: 'dev', bfcl: 'BFCL', acebench: 'ACEBench' }

/** Paths of the figures beside the page, as the page names them. */
export interface FigurePaths {
  exact: string
  curves: string | null
}

/** All that a page tells. */
export interface StudyResults {
  models: readonly ModelResults[]
  selections: readonly SelectionCost[]
  trainings: readonly TrainingFacts[]
  questions: Questions
}

export function studyPage(
  study: Study,
  { models, selections, trainings, questions }: StudyResults,
  figures: FigurePaths,
): string {
  const asked = (['dev', 'bfcl', 'acebench'] as const).filter((what) => study.evaluations[what])
  return [
    ...intro(study, questions),
    exactTable(models),
    `![Exact match on dev](${figures.exact})`,
    ...(figures.curves === null ? [] : [`![Right calls while training](${figures.curves})`]),
    ...benchmarkTable(models, asked),
    ...trainingTable(trainings),
    ...study.tables.flatMap((spec) => paperTable(spec, models, asked)),
    ...reading(study.claims, models, asked),
    ...costs(models, selections),
  ].join('\n\n')
}

function intro(study: Study, questions: Questions): string[] {
  const { dev } = study.evaluations
  const lines = [
    `This section was written by \`callgrad study ${study.path} --results\` from what lies in \`${study.folder}\`. ` +
      `Answers are greedy, at most ${dev.maxTokens} tokens on dev. An interval of one seed is Wilson's over questions; one over seeds is Student's ` +
      'over questions, each with its mean over the seeds: seeds share questions, so that their answers are no independent samples.',
  ]
  for (const what of ['bfcl', 'acebench'] as const) {
    const found = questions[what]
    const spec = study.evaluations[what]
    if (!found || !spec) continue
    const entries = Object.entries(found.counts)
    const list = entries.filter(([, one]) => one.asked > 0).map(([name, one]) => `${name} ${one.asked} of ${one.of}`)
    const left = entries.filter(([, one]) => one.asked === 0)
    const shared = left.map(([name, one]) => `${name} ${one.trained}`).join(', ')
    const twice = entries.reduce((sum, [, one]) => sum + one.inDev, 0)
    lines.push(
      `${shown[what]}: at most ${spec.perCategory} questions of a category, drawn by seed ${spec.seed}, asked as ${spec.handler}, at most ` +
        `${spec.maxTokens} tokens: ${list.join(', ')}.` +
        (left.length > 0 ? ` Left out, for questions that the training data has too: ${shared}.` : '') +
        (twice > 0 ? ` ${twice} of those asked are in dev, too.` : ''),
    )
  }
  return lines
}

/** One model a row, seeds below it, dev only. */
function exactTable(models: readonly ModelResults[]): string {
  const rows = models.flatMap((model) => {
    const { label, seeds } = model
    const all = pooled(model, 'dev')
    if (all === null) return [[label, '', missing, '', '', '', '']]
    const each = seeds.map((one) => [label, one.seed === null ? '' : `seed ${one.seed}`, ...rates(one)])
    const measured = measuredSeeds(model, 'dev').length
    return measured < 2 ? each : [...each, [label, `${measured} seeds`, share(all), '', '', '', '']]
  })
  return table(['model', '', 'exact match on dev', 'format', 'names', 'mean length', 'cut'], rows)
}

function rates({ rates }: SeedResults): string[] {
  if (rates === null) return [missing, '', '', '', '']
  const { exactMatch, formatRate, nameRate, meanLength, clippedRate } = rates
  const plain = ({ value }: Estimate) => `${number(value)} %`
  return [share(exactMatch), plain(formatRate), plain(nameRate), meanLength.value.toFixed(0), plain(clippedRate)]
}

/** All evaluations, pooled over seeds and categories. */
function benchmarkTable(models: readonly ModelResults[], asked: readonly EvaluationName[]): string[] {
  if (asked.length < 2) return []
  const rows = models.map((model) => [model.label, ...asked.map((what) => pooledCell(model, what))])
  return ['Right answers over all questions that were asked, over seeds:', table(['model', ...names(asked)], rows)]
}

const names = (asked: readonly EvaluationName[]) => asked.map((what) => shown[what])

function pooledCell(model: ModelResults | undefined, what: EvaluationName): string {
  const found = model && pooled(model, what)
  if (!model || !found) return missing
  const count = measuredSeeds(model, what).length
  return `${share(found)}${model.seeds.length > count ? `, ${count} of ${model.seeds.length} seeds` : ''}`
}

function trainingTable(trainings: readonly TrainingFacts[]): string[] {
  if (trainings.length === 0) return []
  const rows = trainings.map(({ label, start, data, reward, steps, rate, note }) =>
    [label, start, data, reward, steps, rate, note ?? ''].map((cell) => cell.replaceAll('\n', ' ')),
  )
  const header = ['training', 'starts from', 'data', 'reward', 'steps', 'rate', 'unlike the paper’s']
  return ['### The trainings, and what sets them apart from the paper’s', table(header, rows)]
}

function paperTable(spec: TableSpec, models: readonly ModelResults[], asked: readonly EvaluationName[]): string[] {
  const rows = spec.rows.map(({ paper, scores, training }) => {
    const own = models.find((model) => model.training === training)
    const cells = training === undefined ? asked.map(() => '–') : asked.map((what) => pooledCell(own, what))
    return [paper, ...scores.map((score) => score.toFixed(2)), ...cells]
  })
  const header = ['the paper', ...spec.columns, ...names(asked).map((name) => `here, ${name}`)]
  return [`### ${spec.title}`, table(header, rows)]
}

function reading(claims: readonly ClaimSpec[], models: readonly ModelResults[], asked: readonly EvaluationName[]) {
  if (claims.length === 0) return []
  const find = (training: string) => models.find((model) => model.training === training)
  const judged = claims.map((claim) => {
    const [better, worse] = [find(claim.better), find(claim.worse)]
    const of = (what: EvaluationName) => (better && worse ? pairedDifference(better, worse, what) : null)
    const cell = (what: EvaluationName) => {
      const found = of(what)
      return found ? `${points(found.estimate)}, ${found.seeds} ${found.seeds === 1 ? 'seed' : 'seeds'}` : missing
    }
    return { claim, verdict: verdictOf(of('dev')), cells: asked.map(cell) }
  })
  const count = (verdict: string) => judged.filter((one) => one.verdict === verdict).length
  const rows = judged.map(({ claim, verdict, cells }) => [claim.claim, claim.paper, ...cells, `**${verdict}**`])
  return [
    '### What it says of the claims',
    'The rule: for each question the difference of the two models’ verdicts, its mean over the seeds that both have, then the mean over ' +
      'questions with its 95 % interval (Student). Dev decides: the miniature supports a claim where the interval lies above 0, contradicts it ' +
      'where it lies below 0, and cannot tell where it holds 0. The interval knows of questions only: what another seed would have trained is ' +
      'in it as far as the seeds at hand show it. Differences in points, with the benchmarks’ beside.',
    table(['claim', 'the paper’s figures', ...names(asked), 'the miniature'], rows),
    `Supported: ${count('supports')}. Contradicted: ${count('contradicts')}. Cannot tell: ${count('cannot tell')}. Not run yet: ` +
      `${count(missing)}. One small model on BFCL’s own questions: this is no reproduction of the paper’s figures, which are of models 50 ` +
      'times as large and of its own data.',
  ]
}

function costs(models: readonly ModelResults[], selections: readonly SelectionCost[]): string[] {
  const rows = models.flatMap(({ label, seeds }) =>
    seeds.flatMap(({ seed, minutes, machines, differs }) => {
      if (Object.keys(minutes).length === 0) return []
      const spent = Object.entries(minutes).map(([what, time]) =>
        time > 0 ? `${what} ${time.toFixed(1)}` : `${what} not known: stopped and resumed`,
      )
      const where = machines.length > 0 ? machines.join('; ') : 'not noted'
      return [[label, seed === null ? '' : String(seed), spent.join(', '), where, differs.join('; ') || 'none']]
    }),
  )
  for (const { label, seed, minutes, machine } of selections) {
    rows.push([label, String(seed), `selection ${minutes.toFixed(1)}`, machine ?? 'not noted', 'none'])
  }
  if (rows.length === 0) return []
  const header = ['model', 'seed', 'minutes', 'machine', 'settings unlike the study’s']
  return ['### What it took', table(header, rows)]
}
