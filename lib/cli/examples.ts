// Data sets for commands.

import type { Example } from '../data/example.js'
import { type Dataset, loadDataset } from '../data/load.js'
import { isKept } from '../data/problems.js'
import { withThoughts } from '../data/thoughts.js'
import type { PromptFormat } from '../text/prompts/formats.js'
import type { DatasetSpec } from '../train/config.js'
import { leftOutText, place } from './data/report.js'

/** Reads a data set as settings describe it. Records that cannot be read are in its report. */
export function openExamples(spec: DatasetSpec, { promptFormat }: { promptFormat: PromptFormat }): Promise<Dataset> {
  const { path, format, seed, part, limit } = spec
  return loadDataset(path, {
    prompt: promptFormat,
    ...(format !== 'auto' && { format }),
    ...(seed !== null && { seed }),
    ...(part !== null && { part }),
    ...(limit !== null && { limit }),
  })
}

/** "1,200 examples", and how many records were left out and why the first one was. */
export function describeExamples({ examples, report }: Dataset): string {
  const count = `${examples.length.toLocaleString('en-US')} examples`
  const first = report.problems.find(({ kind }) => !isKept(kind))
  return first ? `${count}; ${leftOutText(report)}, the first at ${place(first)}: ${first.reason}` : count
}

/** The text that a person typed in an example: its last message of the user. */
export function questionOf(example: Example): string {
  return example.messages.findLast((message) => message.role === 'user')?.content ?? ''
}

/** Examples with something to imitate: their own reply, or one written from their truth. */
export function withReplies(
  { examples, report }: Dataset,
  { thoughts, promptFormat }: { thoughts: 'template' | 'none'; promptFormat: PromptFormat },
): Dataset {
  const silent = promptFormat === 'tool-n1-no-reason'
  const kept =
    thoughts === 'template' ? withThoughts(examples, silent) : examples.filter((example) => example.reply !== undefined)
  return { examples: kept, report }
}
