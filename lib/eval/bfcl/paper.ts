import type { PaperScores } from './aggregate.js'

/**
 * BFCL rows of Tool-N1's paper (arXiv 2505.00024, Table 2; evaluated 2025-04-13 on version 3), in percent. The column Live of the table's
 * baselines covers all 2,251 live questions, relevance and irrelevance included; that of its own models is the share over the four AST
 * categories (computed from their own columns on every row). {@link PaperRow.liveAst} is that share for every row, so that rows compare.
 */
export interface PaperRow extends Record<Exclude<keyof PaperScores, 'liveAst'>, number> {
  model: string
  liveAst: number
}

const columns = [
  'nonLiveSimple',
  'nonLiveMultiple',
  'nonLiveParallel',
  'nonLiveParallelMultiple',
  'liveSimple',
  'liveMultiple',
  'liveParallel',
  'liveParallelMultiple',
  'nonLive',
  'live',
  'overall',
  'liveAst',
] as const

const table: readonly [string, string][] = [
  ['GPT-4o', '79.42 95.50 94.00 83.50 84.88 79.77 87.50 75.00 88.10 79.83 83.97 80.75'],
  ['GPT-4o-mini', '80.08 90.50 89.50 87.00 81.40 76.73 93.75 79.17 86.77 76.50 81.64 77.87'],
  ['GPT-3.5-Turbo-0125', '77.92 93.50 67.00 53.00 80.62 78.63 75.00 58.33 72.85 68.55 70.70 78.61'],
  ['Gemini-2.0-Flash-001', '74.92 89.50 86.50 87.00 75.58 73.12 81.25 83.33 84.48 81.39 82.94 73.87'],
  ['DeepSeek-R1', '76.42 94.50 90.05 88.00 84.11 79.87 87.50 70.83 87.35 74.41 80.88 80.61'],
  ['Llama3.1-70B-Inst', '77.92 96.00 94.50 91.50 78.29 76.16 87.50 66.67 89.98 62.24 76.11 76.54'],
  ['Llama3.1-8B-Inst', '72.83 93.50 87.00 83.50 74.03 73.31 56.25 54.17 84.21 61.08 72.65 72.91'],
  ['Qwen2.5-7B-Inst', '75.33 94.50 91.50 84.50 76.74 74.93 62.50 70.83 86.46 67.44 76.95 75.06'],
  ['xLAM-2-70b-fc-r', '78.25 94.50 92.00 89.00 77.13 71.13 68.75 58.33 88.44 72.95 80.70 72.02'],
  ['ToolACE-8B', '76.67 93.50 90.50 89.50 73.26 76.73 81.25 70.83 87.54 78.59 82.57 76.02'],
  ['Hammer2.1-7B', '78.08 95.00 93.50 88.00 76.74 77.40 81.25 70.83 88.65 75.11 81.88 77.20'],
  ['Tool-N1-7B', '77.00 95.00 94.50 90.50 82.17 80.44 62.50 70.83 89.25 80.38 84.82 80.38'],
  ['Tool-N1-14B', '80.58 96.00 93.50 92.00 84.10 81.10 81.25 66.67 90.52 81.42 85.97 81.42'],
]

export const paperRows: readonly PaperRow[] = table.map(([model, cells]) => {
  const values = cells.split(' ').map(Number)
  return { model, ...Object.fromEntries(columns.map((column, i) => [column, values[i]])) } as PaperRow
})
