// What `callgrad train | sft | eval | generate` read from a file and --set: the trainer's own settings and, beside them in one flat
// list, which model on which data with which reward.

import { z } from 'zod'
import { dataFormats } from '../../data/sample.js'
import { shapeNames } from '../../nn/shapes.js'
import { promptFormats } from '../../text/prompts/formats.js'
import { count, flag, fraction, memory } from './fields.js'
import { checkCommon, checkGrpo, grpoShape, resolveGrpo, sftShape } from './schema.js'

const text = (description: string) => z.string().min(1).meta({ description, expected: 'a text' })

const partPattern = /^([1-9]\d*)\/([1-9]\d*)$/

/** `"2/3"` is the second of three equal parts: [1/3, 2/3]. Anything else is left for the schema to judge. */
function partOf(value: unknown): unknown {
  const [, index, of] = (typeof value === 'string' && partPattern.exec(value)) || []
  return index && of ? [(Number(index) - 1) / Number(of), Number(index) / Number(of)] : value
}

export const datasetShape = {
  path: text("A .jsonl, .json or .parquet file, or a data set's hub id."),
  format: z
    .enum(['auto', ...dataFormats])
    .default('auto')
    .meta({
      description: 'How records are written; auto looks at the keys of each.',
    }),
  seed: z.int().nullable().default(null).meta({
    description: 'Shuffles the records before a part of them is taken; null keeps the order of the file.',
  }),
  part: z
    .preprocess(
      partOf,
      z.tuple([z.number().min(0), z.number().max(1)]).refine(([from, to]) => from < to, { params: { expected: true } }),
    )
    .nullable()
    .default(null)
    .meta({
      description: 'A part of the records: "1/2" and "2/2" are two halves that share none.',
      expected: 'a text like "1/2" (the first of two parts), or [from, to] with 0 <= from < to <= 1',
    }),
  limit: z.int().min(1).nullable().default(null).meta({ description: 'Takes so many of them at most.' }),
}

/** Which records of which file. */
export const datasetSchema = z
  .preprocess((value) => (typeof value === 'string' ? { path: value } : value), z.strictObject(datasetShape))
  .meta({ expected: 'a path, or { path, format, seed, part, limit }', description: 'The records.' })

/** A reward: one of Tool-N1's, or a function exported by a module of the user's. */
export const rewardSchema = z
  .preprocess(
    (value) => [value].flat().map((item) => (typeof item === 'string' ? { name: item } : item)),
    z
      .array(
        z.strictObject({
          name: text('v0 … v4, llama, or "./file.mjs#export" for a function of yours.'),
          weight: z.number().default(1).meta({ description: 'Its weight in the sum.' }),
        }),
      )
      .min(1),
  )
  .default([{ name: 'v0', weight: 1 }])
  .meta({
    expected: 'a name such as "v0", "./file.mjs#export", or a list of { name, weight }',
    description: 'What a completion is worth: Tool-N1 variants v0 … v4 and llama, or functions of yours.',
  })

const modelShape = {
  model: text("A Hugging Face folder, a run's folder (its newest checkpoint), a .gguf file or a hub id."),
  device: z
    .string()
    .regex(/^(?:auto|cpu|simt|cuda(?::\d+)?)$/)
    .default('auto')
    .meta({ description: 'Where it runs.', expected: 'one of "auto", "cpu", "simt", "cuda", "cuda:0"' }),
  dtype: z
    .preprocess((value) => (value === 'f32' ? 'fp32' : value), z.enum(['auto', 'fp32', 'bf16']))
    .default('auto')
    .meta({
      expected: 'one of "auto", "fp32", "bf16"',
      description:
        'Precision of weights and activations in forward and backward; auto is bf16 where the device is fast in it.',
    }),
}

const promptShape = {
  promptFormat: z
    .enum(promptFormats)
    .default('tool-n1')
    .meta({
      description:
        "How tools are put before the model: in Tool-N1's system prompt (one form for Qwen, LLaMA and others: the model's chat template " +
        "places it), in the same without reasoning, or by the model's chat template.",
    }),
}

export const runShape = {
  name: z
    .string()
    .regex(/^[\w.-]+$/)
    .nullable()
    .default(null)
    .meta({
      description: 'Name of the run, its folder below runs/; null takes the name of the config file.',
      expected: 'letters, digits, ".", "_" and "-"',
    }),
  ...modelShape,
  ...promptShape,
  dataset: datasetSchema,
  evalDataset: datasetSchema.nullable().default(null).meta({
    description: 'Held-out records for evalSteps and for the evaluation at the end; null evaluates nothing.',
  }),
  evalOnStart: flag(false, 'Evaluates before the first step, too.', true),
  shape: z
    .string()
    .refine((name) => shapeNames.includes(name), { params: { expected: true } })
    .nullable()
    .default(null)
    .meta({
      description:
        'Architecture of the model, by name, for --plan where the model is not here; training does not read it.',
      expected: `one of ${shapeNames.map((name) => JSON.stringify(name)).join(', ')}, or null`,
    }),
}

export const trainShape = { ...runShape, reward: rewardSchema, ...grpoShape }
export const sftRunShape = {
  ...runShape,
  thoughts: z
    .enum(['template', 'none'])
    .default('template')
    .meta({
      description:
        'For records without a reply: writes one, a short thought from the record before its calls (the calls alone under ' +
        'tool-n1-no-reason), or leaves the record out.',
    }),
  maxCompletionLength: count(1, 512, 'Tokens an answer may have in an evaluation.'),
  kvMemory: memory('1GB', 'Memory for keys and values in an evaluation.'),
  ...sftShape,
}

type Context = z.core.$RefinementCtx
function checkRun(run: { evalSteps: number; evalDataset: unknown }, context: Context): void {
  if (run.evalSteps > 0 && run.evalDataset === null)
    context.addIssue({
      code: 'custom',
      path: ['evalDataset'],
      message: `expected a data set because evalSteps is ${run.evalSteps}`,
    })
}

export const trainRunSchema = z
  .strictObject(trainShape)
  .superRefine(checkGrpo)
  .superRefine(checkRun)
  .superRefine((run, context) => {
    if (run.rewardWeights && run.rewardWeights.length !== run.reward.length)
      context.addIssue({
        code: 'custom',
        path: ['rewardWeights'],
        message: `expected one weight for each of ${run.reward.length} rewards, got ${run.rewardWeights.length}`,
      })
    if (run.promptFormat === 'tool-n1-no-reason' && run.reward.every(({ name }) => name === 'v0' || name === 'llama'))
      context.addIssue({
        code: 'custom',
        path: ['reward'],
        message: `expected one that pays without a thought (v1 to v4) because promptFormat is ${run.promptFormat}, got ${run.reward.map(({ name }) => name).join(', ')}`,
      })
  })
  .transform(resolveGrpo)
export const sftRunSchema = z.strictObject(sftRunShape).superRefine(checkCommon).superRefine(checkRun)

const samplingShape = {
  temperature: z.number().min(0).default(0).meta({ description: 'Sampling temperature; 0 takes the likeliest token.' }),
  topP: grpoShape.topP,
  topK: grpoShape.topK,
  minP: fraction(0, 'Drops tokens below this part of the most likely one; 0 keeps every token.'),
  seed: grpoShape.seed,
  kvMemory: memory('1GB', 'Memory for keys and values; sequences wait when it is full.'),
}

export const evalShape = {
  ...modelShape,
  ...promptShape,
  dataset: datasetSchema,
  maxCompletionLength: count(1, 512, 'Tokens an answer may have.'),
  ...samplingShape,
}
export const evalRunSchema = z.strictObject(evalShape)

export const distillShape = {
  model: text("The teacher's name at the endpoint."),
  ...promptShape,
  dataset: datasetSchema,
  form: z.enum(['reason', 'no-reason']).default('reason').meta({
    description:
      'What the written set teaches: thoughts and calls, or the calls alone. Both are made from the same answers.',
  }),
  tries: count(1, 10, 'Answers asked for until one is right.'),
  maxCompletionLength: count(1, 4096, 'Tokens an answer may have, thoughts included.'),
  temperature: z.number().min(0).default(0.7).meta({ description: 'Sampling temperature.' }),
  topP: grpoShape.topP,
  seed: z.int().min(0).max(0xffffffff).nullable().default(null).meta({
    description: 'Try k is drawn with seed + k, where the server takes seeds; null sends none.',
  }),
}
export const distillRunSchema = z.strictObject(distillShape)

export const generateShape = {
  ...modelShape,
  maxCompletionLength: count(1, 256, 'Tokens an answer may have.'),
  numGenerations: count(1, 1, 'Answers for each prompt.'),
  ...samplingShape,
}
export const generateRunSchema = z.strictObject(generateShape)

/** The keys of `run` that are the trainer's own settings. */
export function pick<S extends object>(shape: S, run: Record<string, unknown>): { [K in keyof S]: unknown } {
  return Object.fromEntries(Object.keys(shape).map((key) => [key, run[key]])) as { [K in keyof S]: unknown }
}
