import type { SafetensorsFile } from '../../formats/safetensors.js'
import type { SafetensorsOutput } from '../../formats/safetensors-write.js'
import type { Generation, Sample, SampleGroup } from '../generation.js'

// The rollout buffer as flat arrays in a safetensors file. A sample's optional vectors lie back to back; how each is present is a
// byte per sample, so that "old is the sampler's own vector" survives (nothing is compared with itself after a resume).

const absent = 0
const present = 1
const sameAsSampled = 2

type Vector = 'sampled' | 'old' | 'reference'
const vectors: Vector[] = ['sampled', 'old', 'reference']

/** Tensors of a generation; every number keeps its bits. */
export function encodeGeneration({ index, groups }: Generation): SafetensorsOutput[] {
  const samples = groups.flatMap((group) => group.samples)
  const i32 = (name: string, values: number[]) => output(name, 'I32', Int32Array.from(values))
  const tensors = [
    i32('generation', [index]),
    i32(
      'group.example',
      groups.map((group) => group.example),
    ),
    i32(
      'group.samples',
      groups.map((group) => group.samples.length),
    ),
    i32(
      'group.prompt_length',
      groups.map((group) => group.prompt.length),
    ),
    output(
      'group.prompt',
      'I32',
      concatenate(
        Int32Array,
        groups.map((group) => group.prompt),
      ),
    ),
    i32(
      'sample.length',
      samples.map((sample) => sample.tokens.length),
    ),
    output(
      'sample.tokens',
      'I32',
      concatenate(
        Int32Array,
        samples.map((sample) => sample.tokens),
      ),
    ),
    output(
      'sample.reward',
      'F64',
      Float64Array.from(samples, (sample) => sample.reward),
    ),
    output(
      'sample.advantage',
      'F32',
      Float32Array.from(samples, (sample) => sample.advantage),
    ),
    output(
      'sample.stopped',
      'U8',
      Uint8Array.from(samples, (sample) => Number(sample.finishReason === 'stop')),
    ),
    output(
      'sample.counted',
      'U8',
      Uint8Array.from(samples, (sample) => Number(sample.counted)),
    ),
  ]
  for (const name of vectors) {
    const kinds = samples.map((sample) => kindOf(sample, name))
    const stored = samples.filter((_, i) => kinds[i] === present).map((sample) => sample[name]!)
    tensors.push(output(`${name}.kind`, 'U8', Uint8Array.from(kinds)))
    tensors.push(output(`${name}.values`, 'F32', concatenate(Float32Array, stored)))
  }
  return tensors
}

export async function decodeGeneration(file: SafetensorsFile): Promise<Generation> {
  const read = async <T>(name: string) => (await file.read(name)) as T
  const ints = (name: string) => read<Int32Array>(name)
  const [index] = await ints('generation')
  const [lengths, tokens] = [await ints('sample.length'), cutter(await ints('sample.tokens'))]
  const [rewards, advantages] = [
    await read<Float64Array>('sample.reward'),
    await read<Float32Array>('sample.advantage'),
  ]
  const [stopped, counted] = [await read<Uint8Array>('sample.stopped'), await read<Uint8Array>('sample.counted')]
  const samples = Array.from(
    lengths,
    (length, i): Sample => ({
      tokens: tokens(length),
      finishReason: stopped[i] ? 'stop' : 'length',
      sampled: null,
      old: null,
      reference: null,
      reward: rewards[i]!,
      advantage: advantages[i]!,
      counted: Boolean(counted[i]),
    }),
  )
  for (const name of vectors) {
    const kinds = await read<Uint8Array>(`${name}.kind`)
    const values = cutter(await read<Float32Array>(`${name}.values`))
    for (const [i, sample] of samples.entries()) {
      const length = sample.counted || name === 'sampled' ? sample.tokens.length : 0
      if (kinds[i] === present) sample[name] = values(length)
      else if (kinds[i] === sameAsSampled) sample[name] = sample.sampled
    }
  }
  const [examples, counts] = [await ints('group.example'), await ints('group.samples')]
  const [promptLengths, prompts] = [await ints('group.prompt_length'), cutter(await ints('group.prompt'))]
  let start = 0
  const groups = Array.from(examples, (example, g): SampleGroup => {
    const own = samples.slice(start, (start += counts[g]!))
    return { example, prompt: prompts(promptLengths[g]!), samples: own }
  })
  return { index: index!, groups }
}

function kindOf(sample: Sample, name: Vector): number {
  if (sample[name] === null) return absent
  return name !== 'sampled' && sample[name] === sample.sampled ? sameAsSampled : present
}

function output(
  name: string,
  dtype: SafetensorsOutput['dtype'],
  data: Int32Array | Float32Array | Float64Array | Uint8Array,
): SafetensorsOutput {
  return { name, dtype, shape: [data.length], read: () => data }
}

type Vectors = Int32Array | Float32Array

function concatenate<T extends Vectors>(type: new (length: number) => T, parts: readonly T[]): T {
  const out = new type(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

/** Hands out the next elements of a flat array. */
function cutter<T extends Vectors>(values: T): (length: number) => T {
  let at = 0
  return (length) => values.slice(at, (at += length)) as T
}
