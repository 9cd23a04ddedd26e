import type { Problem } from '../../data/problems.js'

export const benchmarks = ['bfcl', 'acebench', 'api-bank', 'questions'] as const
/** Whose questions; `questions`: a data set of one's own, asked by `callgrad eval`. */
export type Benchmark = (typeof benchmarks)[number]

/** One question as an evaluation's files tell of it. What is absent the files do not say: most keep a question's text with failures only. */
export interface JudgedQuestion {
  id: string
  category: string
  right: boolean
  /** What the model said. */
  answer: string
  /** What was wrong. */
  why?: string
  question?: string
  expected?: string
  /** Length of the answer in tokens. */
  tokens?: number
  /** The answer ran into the limit. */
  cut?: boolean
  /** API-Bank: right by the official rule; `right` is the portable one's. */
  official?: boolean
}

/** The verdicts on one model, read back from what an evaluation wrote. */
export interface ResultSet {
  benchmark: Benchmark
  /** BFCL's version, as the file names have it. */
  version?: 'v3' | 'v4'
  /** What the files call the model; empty where they do not. */
  model: string
  /** The folder or file that it was read from. */
  path: string
  questions: JudgedQuestion[]
  /** Lines and files that could not be read. */
  problems: Problem[]
}
