// Category counts to the cells of BFCL's score tables, for both versions, and to the figures of Tool-N1's paper.

import { type BfclVersion, type Category, categories, categoryName, questionCount } from './categories.js'

export interface Count {
  correct: number
  total: number
}

/** Counts by the version's own category names; categories that were not evaluated are absent. */
export type Counts = ReadonlyMap<string, Count>

/** A share, how many questions it stands for, and whether all of its categories were evaluated. */
interface Score {
  accuracy: number
  total: number
  /** A category is missing: it counts as 0, and the cell says N/A unless it is an overall one. */
  missing: boolean
}

/** Categories beyond single turns, which the tables have columns for, with their sizes. */
const others: Record<BfclVersion, Readonly<Record<string, number>>> = {
  v3: { multi_turn_base: 200, multi_turn_miss_func: 200, multi_turn_miss_param: 200, multi_turn_long_context: 200 },
  v4: {
    multi_turn_base: 200,
    multi_turn_miss_func: 200,
    multi_turn_miss_param: 200,
    multi_turn_long_context: 200,
    web_search_base: 100,
    web_search_no_snippet: 100,
    memory_kv: 155,
    memory_vector: 155,
    memory_rec_sum: 155,
  },
}

function scoreOf(counts: Counts, name: string, size: number): Score {
  const count = counts.get(name)
  if (count === undefined) return { accuracy: 0, total: size, missing: true }
  return { accuracy: count.correct / count.total, total: count.total, missing: false }
}

const totalOf = (scores: readonly Score[]) => scores.reduce((sum, { total }) => sum + total, 0)
const anyMissing = (scores: readonly Score[]) => scores.some(({ missing }) => missing)

/** The mean of categories, whatever their sizes. */
function mean(...scores: Score[]): Score {
  const accuracy = scores.reduce((sum, score) => sum + score.accuracy, 0) / scores.length
  return { accuracy, total: totalOf(scores), missing: anyMissing(scores) }
}

/** The share over all questions of the categories. */
function pooled(...scores: Score[]): Score {
  const total = totalOf(scores)
  const accuracy = scores.reduce((sum, score) => sum + score.accuracy * score.total, 0) / total
  return { accuracy, total, missing: anyMissing(scores) }
}

/** The sum of shares by weights in percent. */
function weighted(...parts: [weight: number, score: Score][]): Score {
  const scores = parts.map(([, score]) => score)
  const accuracy = parts.reduce((sum, [weight, score]) => sum + score.accuracy * (weight / 100), 0)
  return { accuracy, total: totalOf(scores), missing: anyMissing(scores) }
}

/** Overall cells show a number also where categories are missing. */
const shown = (score: Score): Score => ({ ...score, missing: false })

/** `{:.2f}%` of Python: exact ties, which only eighths can be, go to the even neighbour. */
export function percentCell(accuracy: number): string {
  const x = accuracy * 100
  const tie = Number.isInteger(x * 8) && (x * 8) % 2 !== 0
  if (!tie) return `${x.toFixed(2)}%`
  const lower = Math.floor(x * 100)
  return `${((lower % 2 === 0 ? lower : lower + 1) / 100).toFixed(2)}%`
}

const cell = ({ accuracy, missing }: Score): string => (missing ? 'N/A' : percentCell(accuracy))

/** Tables by the name of the official CSV file, each a row of cells by column. */
export type Tables = Record<string, Record<string, string>>

/** Every score that a table shows, by what it is. */
function scores(counts: Counts, version: BfclVersion) {
  const single = (category: Category) =>
    scoreOf(counts, categoryName(category, version), questionCount(category, version))
  const all = Object.fromEntries(categories.map((category) => [category, single(category)])) as Record<Category, Score>
  const other = (name: string) => scoreOf(counts, name, others[version][name] ?? 0)
  const simple = mean(all.simple_python, all.simple_java, all.simple_javascript)
  const nonLive = [simple, all.multiple, all.parallel, all.parallel_multiple]
  const live = [all.live_simple, all.live_multiple, all.live_parallel, all.live_parallel_multiple]
  const turns = ['base', 'miss_func', 'miss_param', 'long_context'].map((name) => other(`multi_turn_${name}`))
  return {
    all,
    other,
    simple,
    turns,
    astNonLive: mean(...nonLive),
    nonLiveWithIrrelevance: mean(...nonLive, all.irrelevance),
    astLive: pooled(...live),
    liveWithRelevance: pooled(...live, all.live_irrelevance, all.live_relevance),
    irrelevance: mean(all.irrelevance, all.live_irrelevance),
    multiTurn: shown(mean(...turns)),
  }
}

type Scores = ReturnType<typeof scores>

/**
 * The cells of the official score tables. A category without a count is 0 with its full size in every sum, and "N/A" in its own cell and
 * in those of its summaries.
 */
export function aggregate(counts: Counts, version: BfclVersion): Tables {
  const s = scores(counts, version)
  const tables = version === 'v3' ? tablesOfV3(s) : tablesOfV4(s)
  return Object.fromEntries(
    Object.entries(tables).map(([name, row]) => [
      name,
      Object.fromEntries(Object.entries(row).map(([column, score]) => [column, cell(score)])),
    ]),
  )
}

function nonLiveRow(s: Scores, overall: string, score: Score): Record<string, Score> {
  return {
    [overall]: shown(score),
    'AST Summary': s.astNonLive,
    'Simple AST': s.simple,
    'Python Simple AST': s.all.simple_python,
    'Java Simple AST': s.all.simple_java,
    'JavaScript Simple AST': s.all.simple_javascript,
    'Multiple AST': s.all.multiple,
    'Parallel AST': s.all.parallel,
    'Parallel Multiple AST': s.all.parallel_multiple,
    'Irrelevance Detection': s.all.irrelevance,
  }
}

function liveRow(s: Scores, score: Score): Record<string, Score> {
  return {
    'Live Overall Acc': shown(score),
    'AST Summary': s.astLive,
    'Python Simple AST': s.all.live_simple,
    'Python Multiple AST': s.all.live_multiple,
    'Python Parallel AST': s.all.live_parallel,
    'Python Parallel Multiple AST': s.all.live_parallel_multiple,
    'Irrelevance Detection': s.all.live_irrelevance,
    'Relevance Detection': s.all.live_relevance,
  }
}

function turnCells(s: Scores, prefix: string): Record<string, Score> {
  const names = ['Base', 'Miss Func', 'Miss Param', 'Long Context']
  return Object.fromEntries(names.map((name, i) => [`${prefix}${name}`, s.turns[i]!]))
}

/** The columns that both versions' overall tables begin with. */
function overallRow(s: Scores, overall: Score, live: Score): Record<string, Score> {
  return {
    'Overall Acc': shown(overall),
    'Non-Live AST Acc': s.astNonLive,
    'Non-Live Simple AST': s.simple,
    'Non-Live Multiple AST': s.all.multiple,
    'Non-Live Parallel AST': s.all.parallel,
    'Non-Live Parallel Multiple AST': s.all.parallel_multiple,
    'Live Acc': shown(live),
    'Live Simple AST': s.all.live_simple,
    'Live Multiple AST': s.all.live_multiple,
    'Live Parallel AST': s.all.live_parallel,
    'Live Parallel Multiple AST': s.all.live_parallel_multiple,
    'Multi Turn Acc': s.multiTurn,
    ...turnCells(s, 'Multi Turn '),
  }
}

const relevanceCells = (s: Scores) => ({
  'Relevance Detection': s.all.live_relevance,
  'Irrelevance Detection': s.irrelevance,
})

function tablesOfV3(s: Scores): Record<string, Record<string, Score>> {
  const overall = mean(s.liveWithRelevance, s.nonLiveWithIrrelevance, s.multiTurn)
  return {
    data_non_live: nonLiveRow(s, 'Non_Live Overall Acc', s.nonLiveWithIrrelevance),
    data_live: liveRow(s, s.liveWithRelevance),
    data_multi_turn: { 'Multi Turn Overall Acc': s.multiTurn, ...turnCells(s, '') },
    data_overall: { ...overallRow(s, overall, s.liveWithRelevance), ...relevanceCells(s) },
  }
}

function tablesOfV4(s: Scores): Record<string, Record<string, Score>> {
  const search = { Base: s.other('web_search_base'), 'No Snippet': s.other('web_search_no_snippet') }
  const memory = {
    'Memory KV': s.other('memory_kv'),
    'Memory Vector': s.other('memory_vector'),
    'Memory Recursive Summarization': s.other('memory_rec_sum'),
  }
  const searchCells = { 'Web Search Base': search.Base, 'Web Search No Snippet': search['No Snippet'] }
  const searchMean = mean(...Object.values(search))
  const memoryMean = mean(...Object.values(memory))
  const agentic = shown(mean(searchMean, memoryMean))
  const overall = weighted([10, s.astNonLive], [10, s.astLive], [10, s.irrelevance], [30, s.multiTurn], [40, agentic])
  return {
    data_non_live: nonLiveRow(s, 'Non-Live Overall Acc', s.astNonLive),
    data_live: liveRow(s, s.astLive),
    data_multi_turn: { 'Multi Turn Overall Acc': s.multiTurn, ...turnCells(s, '') },
    data_agentic: {
      'Agentic Overall Acc': agentic,
      'Web Search Summary': searchMean,
      ...searchCells,
      'Memory Summary': memoryMean,
      ...memory,
    },
    data_overall: {
      ...overallRow(s, overall, s.astLive),
      'Web Search Acc': searchMean,
      ...searchCells,
      'Memory Acc': memoryMean,
      ...memory,
      ...relevanceCells(s),
    },
  }
}

/** The figures of Tool-N1's Table 2, as shares; null where a category that they need was not evaluated. */
export interface PaperScores {
  nonLiveSimple: number | null
  nonLiveMultiple: number | null
  nonLiveParallel: number | null
  nonLiveParallelMultiple: number | null
  liveSimple: number | null
  liveMultiple: number | null
  liveParallel: number | null
  liveParallelMultiple: number | null
  /** The mean of the four non-live columns. */
  nonLive: number | null
  /** Over all live questions, relevance and irrelevance included: version 3's, which the table's baselines have. */
  live: number | null
  /** The mean of the two. No multi-turn. */
  overall: number | null
  /** Over the four live AST categories only: what the table's own models have in the column Live. */
  liveAst: number | null
}

export function paperScores(counts: Counts, version: BfclVersion): PaperScores {
  const s = scores(counts, version)
  const value = ({ accuracy, missing }: Score) => (missing ? null : accuracy)
  return {
    nonLiveSimple: value(s.simple),
    nonLiveMultiple: value(s.all.multiple),
    nonLiveParallel: value(s.all.parallel),
    nonLiveParallelMultiple: value(s.all.parallel_multiple),
    liveSimple: value(s.all.live_simple),
    liveMultiple: value(s.all.live_multiple),
    liveParallel: value(s.all.live_parallel),
    liveParallelMultiple: value(s.all.live_parallel_multiple),
    nonLive: value(s.astNonLive),
    live: value(s.liveWithRelevance),
    overall: value(mean(s.astNonLive, s.liveWithRelevance)),
    liveAst: value(s.astLive),
  }
}
