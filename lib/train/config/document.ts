// docs/configuration.md, from the schemas that check a config: what is documented is what is accepted.

import { z } from 'zod'
import { expectedText } from './check.js'
import { datasetShape, distillShape, evalShape, generateShape, runShape, sftRunShape, trainShape } from './run.js'
import { commonShape, grpoOnlyShape, sftShape } from './schema.js'

type Shape = Record<string, z.core.$ZodType>
interface Described {
  default?: unknown
  description?: string
  trl?: boolean
}

const cell = (text: string) => text.replace(/\|/g, '\\|').replace(/</g, '&lt;')
const code = (text: string) => `\`${text}\``

function literal(value: unknown): string {
  if (typeof value === 'number' && value !== 0 && Math.abs(value) < 1e-3) return value.toExponential()
  return JSON.stringify(value)
}

function row(key: string, field: z.core.$ZodType): string {
  const about = z.toJSONSchema(field, { io: 'input', unrepresentable: 'any' }) as Described
  const missing = z.safeParse(field, undefined)
  const fallback = missing.success ? code(literal(about.default ?? missing.data)) : 'must be given'
  return `| ${code(key)} | ${fallback} | ${cell(expectedText(field))} | ${cell(about.description ?? '')}${about.trl ? ' †' : ''} |`
}

function section(title: string, text: string, shape: Shape, without: Shape = {}): string {
  const rows = Object.entries(shape).filter(([key]) => !Object.hasOwn(without, key))
  const table = [
    '| key | default | takes | meaning |',
    '|---|---|---|---|',
    ...rows.map(([key, field]) => row(key, field)),
  ]
  return [`## ${title}`, '', ...(text ? [text, ''] : []), ...table, ''].join('\n')
}

/** The text of docs/configuration.md. */
export function configurationMarkdown(): string {
  const optimizer = commonShape(1e-6)
  return [
    `# Configuration

<!-- Written by \`npm run docs\` from lib/train/config; a test compares them. -->

\`callgrad train CONFIG\` and \`callgrad sft CONFIG\` read a YAML (or JSON) file, one flat list of keys. \`--set key=value\` changes one of
them, \`--set dataset.limit=100\` one inside a group; values are YAML. \`new GRPOTrainer({ config })\` and \`new SFTTrainer({ config })\` take
the trainer's keys and get model, data set and reward as objects.

A wrong key is an error that names the nearest right one, and a wrong value says what was got and what would be right. Where TRL has the
setting, the key is TRL's name in camelCase (marked †) with TRL's meaning. Paths are relative to the folder that the command runs in.
`,
    section('What to train on what', 'Keys of `train` and `sft`.', runShape),
    section('Data set', 'Keys inside `dataset` and `evalDataset`; a path alone stands for `{ path }`.', datasetShape),
    section('Only `train`: the reward', '', trainShape, { ...runShape, ...grpoOnlyShape, ...optimizer }),
    section('Only `train`: rollouts, updates, loss', 'Keys of `GRPOTrainer`.', grpoOnlyShape),
    section('Only `sft`', '', { ...sftRunShape, ...sftShape }, { ...runShape, ...optimizer }),
    section(
      'Both trainers',
      '`learningRate` is `2e-5` for `sft`; the commands set `outputDir` to `runs/NAME`.',
      optimizer,
    ),
    section('`eval`', 'Flags of `callgrad eval` set `model` and `dataset`; `--set` any other.', evalShape),
    section(
      '`distill`',
      'Flags of `callgrad distill` set `model`, `dataset` and the rest; `--set` any of them.',
      distillShape,
    ),
    section('`generate`', '', generateShape),
  ].join('\n')
}
