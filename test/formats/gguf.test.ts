import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openGguf, unpermuteRows } from '../../lib/formats/gguf.js'
import { dequantize, type GgmlType } from '../../lib/formats/gguf-dequantize.js'
import { type GgufHeader, readGgufHeader } from '../../lib/formats/gguf-header.js'
import { llama3Divisors, llama3ScalingOf } from '../../lib/formats/gguf-rope.js'
import { openToRead } from '../../lib/formats/io.js'
import { SafetensorsFile } from '../../lib/formats/safetensors.js'
import { Tokenizer } from '../../lib/text/tokenizer.js'
import { sharedPath } from '../support/shared.js'
import { ggufBytes, type Meta, type WrittenFile, type WrittenTensor } from './gguf-writer.js'
import { fixturePath, inTemporaryFolder, rejection } from './support.js'

async function headerOf(path: string): Promise<GgufHeader> {
  const { handle, size } = await openToRead(path, '[gguf] test')
  try {
    return await readGgufHeader(handle, size, '[gguf] test')
  } finally {
    await handle.close()
  }
}

test('every storage type gives the values of an independent decoder', async () => {
  const expected = await SafetensorsFile.open(fixturePath('blocks.safetensors'))
  const { tensors } = await headerOf(fixturePath('blocks.gguf'))
  const bytes = await readFile(fixturePath('blocks.gguf'))
  assert.equal([...tensors.keys()].sort(), [...expected.entries.keys()].sort())
  assert.is(tensors.size, 11)
  for (const [name, tensor] of tensors) {
    assert.equal(tensor.shape, [3, 256])
    const values = dequantize(tensor.type, bytes.subarray(tensor.start, tensor.end), 768)
    // Both round an fp64 product of the same factors once; the order of three factors may differ by one rounding.
    const right = await expected.readFloat32(name)
    for (const [i, value] of values.entries()) {
      assert.ok(
        Math.abs(value - right[i]!) <= 1.2e-7 * Math.abs(right[i]!),
        `${name}[${i}]: ${value}, expected ${right[i]}`,
      )
    }
  }
  await expected.close()
})

test('blocks that do not make up the elements are refused', () => {
  const q4: GgmlType = 2
  assert.throws(
    () => dequantize(q4, new Uint8Array(17), 32),
    /\[gguf\] 32 elements of Q4_0 expected 18 bytes in whole blocks, got 17/,
  )
  assert.throws(() => dequantize(q4, new Uint8Array(18), 33), /33 elements of Q4_0/)
  assert.equal(dequantize(q4, new Uint8Array(0), 0), new Float32Array(0))
})

test('a tiny Llama 3: config, names, un-permuted rows, rotary scaling, tokenizer', async () => {
  const source = await openGguf(fixturePath('tiny-llama3.gguf'))
  const expected = await SafetensorsFile.open(fixturePath('tiny-llama3.safetensors'))
  assert.equal([...source.tensors.keys()].sort(), [...expected.entries.keys()].sort())
  for (const [name, { shape }] of source.tensors) {
    assert.equal(shape, expected.entries.get(name)!.shape)
    const [got, right] = [await source.readFloat32(name), await expected.readFloat32(name)]
    assert.ok(
      got.every((value, i) => Math.abs(value - right[i]!) <= 1.2e-7 * Math.abs(right[i]!)),
      name,
    )
  }
  const scaling = JSON.parse(expected.metadata.scaling!)
  assert.equal(source.config, {
    family: 'llama',
    vocabSize: 270,
    hiddenSize: 32,
    intermediateSize: 64,
    numLayers: 1,
    numHeads: 4,
    numKvHeads: 2,
    headDim: 8,
    rmsNormEps: 1e-5,
    ropeTheta: 100,
    ropeScaling: {
      type: 'llama3',
      factor: scaling.factor,
      lowFreqFactor: scaling.low_freq_factor,
      highFreqFactor: scaling.high_freq_factor,
      originalMaxPositionEmbeddings: scaling.original_max_position_embeddings,
    },
    tieWordEmbeddings: true,
    attentionBias: false,
    qkNorm: false,
    maxPositionEmbeddings: 768,
    bosTokenId: 265,
    eosTokenIds: [266, 269],
    padTokenId: null,
  })
  const tokenizer = new Tokenizer(source.tokenizer!, { vocabSize: source.config.vocabSize })
  const id = (text: string) => tokenizer.tokenId(text)!
  assert.equal(tokenizer.encode('hello world', { addSpecialTokens: true }), [
    id('<|begin_of_text|>'),
    id('hello'),
    id('Ġworld'),
  ])
  assert.equal(tokenizer.encode('<tool_call><|eot_id|>[PAD0]').slice(0, 2), [id('<tool_call>'), id('<|eot_id|>')])
  assert.is(tokenizer.tokenId('[PAD0]'), null)
  const messages = [{ role: 'user', content: 'hello<|eot_id|>' }]
  const tokens = tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true })
  assert.is(tokens.filter((token) => token === id('<|eot_id|>')).length, 1)
  assert.is(tokenizer.decode(tokens), '<|begin_of_text|>user: hello<|eot_id|><|eot_id|>assistant: ')
  await source.dispose()
  await expected.close()
})

test('a real file of 98 MB is read in seconds, every weight finite', async () => {
  const path = sharedPath('models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf')
  if (!path) return
  const source = await openGguf(path)
  const start = performance.now()
  let elements = 0
  for (const name of source.tensors.keys()) elements += (await source.readFloat32(name)).length
  const seconds = (performance.now() - start) / 1000
  assert.is(elements, 134_515_008)
  assert.ok(seconds < 15, `${seconds} s`)
  await source.dispose()
})

test('rows are put back in halves', () => {
  // One head of 6 rows, one column: the file holds pairs (0,3) (1,4) (2,5) side by side.
  assert.equal([...unpermuteRows(Float32Array.of(0, 3, 1, 4, 2, 5), 1, 6, 1)], [0, 1, 2, 3, 4, 5])
})

test('rotary divisors: published scalings are recognised, others fitted, the rest refused', () => {
  const shape = { ropeTheta: 500_000, headDim: 64 }
  const scaling = {
    type: 'llama3' as const,
    factor: 32,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalMaxPositionEmbeddings: 8192,
  }
  assert.equal(llama3ScalingOf(llama3Divisors(scaling, shape), shape, 'x'), scaling)
  const odd = { ...scaling, factor: 6.5, lowFreqFactor: 2, highFreqFactor: 5, originalMaxPositionEmbeddings: 4000 }
  const fitted = llama3ScalingOf(llama3Divisors(odd, shape), shape, 'x')!
  // The same function written with low = 1: original and high divided by 2.
  assert.is(fitted.originalMaxPositionEmbeddings, 2000)
  assert.is(fitted.highFreqFactor, 2.5)
  assert.is(llama3ScalingOf(new Float32Array(32).fill(1), shape, 'x'), null)
  const noise = Float32Array.from({ length: 32 }, (_, i) => 1 + ((i * 7) % 5))
  assert.throws(
    () => llama3ScalingOf(noise, shape, '[gguf] x'),
    /"rope_freqs.weight" expected the divisors of a llama3 rotary scaling/,
  )
  assert.throws(() => llama3ScalingOf(new Float32Array(7).fill(8), shape, 'x'), /rope_freqs/)
})

const tensor = (change: Partial<WrittenTensor> = {}): WrittenTensor => ({
  name: 'x',
  shape: [2, 32],
  type: 8,
  data: new Uint8Array(68),
  ...change,
})

const lies: [string, WrittenFile, RegExp][] = [
  ['another magic', { magic: 'GGML' }, /expected a file that starts with "GGUF"/],
  ['an old version', { version: 1 }, /expected GGUF version 2 or 3, got 1/],
  ['big-endian numbers', { version: 0x03000000 }, /expected little-endian GGUF/],
  ['2^63 tensors', { tensorCount: 2n ** 63n }, /the number of tensors claims 9,223,372,036,854,775,808/],
  ['2^63 keys', { keyCount: 2n ** 63n }, /the number of metadata keys claims 9,223,372,036,854,775,808/],
  ['more tensors than it holds', { tensors: [tensor()], tensorCount: 3n }, /claims|truncated|ends at byte|dimensions/],
  [
    'a key given twice',
    {
      metadata: [
        ['a', 'x'],
        ['a', 'y'],
      ],
    },
    /metadata "a" is given twice/,
  ],
  ['a tensor given twice', { tensors: [tensor(), tensor()] }, /tensor "x" is described twice/],
  [
    'a size that overflows',
    { tensors: [tensor({ shape: [2n ** 62n, 2n ** 62n] })] },
    /tensor "x" ends at byte [\d,]+, the file has/,
  ],
  [
    'four sizes of 2^63',
    { tensors: [tensor({ shape: [2n ** 63n, 2n ** 63n, 2n ** 63n, 2n ** 63n] })] },
    /tensor "x" ends at byte/,
  ],
  [
    'an offset past the end',
    { tensors: [tensor({ offset: 1n << 40n })] },
    /tensor "x" ends at byte [\d,]+, the file has/,
  ],
  ['an offset of 2^64 - 32', { tensors: [tensor({ offset: 2n ** 64n - 32n })] }, /tensor "x" ends at byte/],
  [
    'an unaligned offset',
    { tensors: [tensor({ shape: [1, 32], offset: 7n })] },
    /tensor "x" expected an offset that is a multiple of 32, got 7/,
  ],
  [
    'tensors that overlap',
    { tensors: [tensor(), tensor({ name: 'y', offset: 32n })] },
    /tensor "y" starts at byte [\d,]+, inside "x"/,
  ],
  [
    'rows that are no whole blocks',
    { tensors: [tensor({ shape: [2, 33] })] },
    /tensor "x" of Q8_0 expected rows of a multiple of 32, got 33/,
  ],
  [
    'a type that is not read',
    { tensors: [tensor({ type: 10 })] },
    /tensor "x" expected one of the types F32, .*, got Q2_K/,
  ],
  ['an unknown type', { tensors: [tensor({ type: 999 })] }, /got type 999/],
  [
    'five dimensions',
    { tensors: [tensor({ shape: [1, 1, 1, 1, 32] })] },
    /tensor "x" expected 1 to 4 dimensions, got 5/,
  ],
  [
    'an impossible alignment',
    { metadata: [['general.alignment', { u32: 24 }]] },
    /"general.alignment" expected a power of two/,
  ],
]
for (const [what, file, expected] of lies) {
  test(`a file with ${what} is refused`, async () => {
    await inTemporaryFolder(async (folder) => {
      const path = join(folder, 'x.gguf')
      await writeFile(path, ggufBytes(file))
      const error = await rejection(headerOf(path))
      assert.match(error.message, expected)
      assert.is(error.code, 'ERR_FORMAT')
    })
  })
}

test('a file cut or damaged at any byte is one clear error or still a model, never a crash', async () => {
  const bytes = await readFile(fixturePath('tiny-llama3.gguf'))
  const { tensors } = await headerOf(fixturePath('tiny-llama3.gguf'))
  const dataStart = Math.min(...[...tensors.values()].map((entry) => entry.start))
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'x.gguf')
    const tryOpen = async (what: string) => {
      try {
        await (await openGguf(path)).dispose()
        return true
      } catch (error) {
        assert.match((error as { code: string }).code, /^ERR_(FORMAT|CONFIG)$/, `${what}: ${error}`)
        return false
      }
    }
    for (let length = 0; length < bytes.byteLength; length += length < 64 ? 1 : 97) {
      await writeFile(path, bytes.subarray(0, length))
      assert.not.ok(await tryOpen(`cut at ${length}`))
    }
    for (let at = 0; at < dataStart; at += at < 600 ? 3 : 61) {
      const damaged = Buffer.from(bytes)
      damaged[at] = damaged[at]! ^ 0xff
      await writeFile(path, damaged)
      await tryOpen(`flipped ${at}`)
    }
  })
})

/** A complete model of one layer with all weights zero (F32), to change. */
function model(change: (metadata: Map<string, Meta>, tensors: WrittenTensor[]) => void = () => {}): Buffer {
  const f32 = (name: string, ...shape: number[]): WrittenTensor => ({
    name,
    shape,
    type: 0,
    data: new Uint8Array(4 * shape.reduce((product, size) => product * size, 1)),
  })
  const metadata = new Map<string, Meta>([
    ['general.architecture', 'qwen3'],
    ['qwen3.block_count', { u32: 1 }],
    ['qwen3.context_length', { u32: 64 }],
    ['qwen3.embedding_length', { u32: 8 }],
    ['qwen3.feed_forward_length', { u32: 12 }],
    ['qwen3.attention.head_count', { u32: 2 }],
    ['qwen3.attention.head_count_kv', { u32: 1 }],
    ['qwen3.attention.key_length', { u32: 6 }],
    ['qwen3.attention.value_length', { u32: 6 }],
    ['qwen3.attention.layer_norm_rms_epsilon', { f32: 1e-6 }],
    ['qwen3.rope.freq_base', { f32: 1e6 }],
    ['tokenizer.ggml.model', 'gpt2'],
    ['tokenizer.ggml.pre', 'qwen2'],
    ['tokenizer.ggml.tokens', ['a', 'b', 'ab', '<|end|>']],
    ['tokenizer.ggml.token_type', [1, 1, 1, 3]],
    ['tokenizer.ggml.merges', ['a b']],
    ['tokenizer.ggml.eos_token_id', { u32: 3 }],
  ])
  const tensors = [
    f32('token_embd.weight', 4, 8),
    f32('output.weight', 4, 8),
    f32('output_norm.weight', 8),
    f32('blk.0.attn_norm.weight', 8),
    f32('blk.0.attn_q.weight', 12, 8),
    f32('blk.0.attn_k.weight', 6, 8),
    f32('blk.0.attn_v.weight', 6, 8),
    f32('blk.0.attn_output.weight', 8, 12),
    f32('blk.0.attn_q_norm.weight', 6),
    f32('blk.0.attn_k_norm.weight', 6),
    f32('blk.0.ffn_norm.weight', 8),
    f32('blk.0.ffn_gate.weight', 12, 8),
    f32('blk.0.ffn_up.weight', 12, 8),
    f32('blk.0.ffn_down.weight', 8, 12),
  ]
  change(metadata, tensors)
  return ggufBytes({ metadata: [...metadata], tensors })
}

async function openModel(bytes: Buffer) {
  return inTemporaryFolder(async (folder) => {
    const path = join(folder, 'x.gguf')
    await writeFile(path, bytes)
    const source = await openGguf(path)
    await source.dispose()
    return source
  })
}

test('Qwen3: untied head, head norms, rows as they are', async () => {
  const { config, tensors, tokenizer } = await openModel(model())
  assert.equal([config.family, config.qkNorm, config.tieWordEmbeddings, config.headDim], ['qwen3', true, false, 6])
  assert.equal(config.rmsNormEps, 1e-6)
  assert.ok(tensors.has('model.layers.0.self_attn.q_norm.weight') && tensors.has('lm_head.weight'))
  assert.equal(new Tokenizer(tokenizer!).encode('ab<|end|>a'), [2, 3, 0])
})

test('rows of Qwen models are not permuted', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'x.gguf')
    const rows = Float32Array.from({ length: 96 }, (_, i) => i)
    await writeFile(
      path,
      model((_metadata, tensors) => {
        tensors.find((entry) => entry.name.endsWith('attn_q.weight'))!.data = new Uint8Array(rows.buffer)
      }),
    )
    const source = await openGguf(path)
    assert.equal(await source.readFloat32('model.layers.0.self_attn.q_proj.weight'), rows)
    await source.dispose()
  })
})

type Change = (metadata: Map<string, Meta>, tensors: WrittenTensor[]) => void
const unusable: [string, Change, RegExp][] = [
  [
    'an unknown architecture',
    (m) => m.set('general.architecture', 'mamba'),
    /"general.architecture" expected one of llama, qwen2, qwen3, got "mamba"/,
  ],
  [
    'a missing key',
    (m) => m.delete('qwen3.block_count'),
    /metadata "qwen3.block_count" expected a number, got nothing/,
  ],
  [
    'a key of the wrong type',
    (m) => m.set('qwen3.block_count', 'one'),
    /metadata "qwen3.block_count" expected a number, got one/,
  ],
  [
    'no layers',
    (m) => m.set('qwen3.block_count', { u32: 0 }),
    /"qwen3.block_count" expected a positive integer, got 0/,
  ],
  [
    'more layers than it holds',
    (m) => m.set('qwen3.block_count', { u32: 2 }),
    /expected the tensor "model.layers.1.input_layernorm.weight" .*, which is missing/,
  ],
  ['4 billion layers', (m) => m.set('qwen3.block_count', { u32: 2 ** 32 - 1 }), /expected at most 10,000 layers/],
  [
    'a tensor too many',
    (_m, t) => t.push({ ...t[2]!, name: 'blk.1.attn_norm.weight' }),
    /the tensor "model.layers.1.input_layernorm.weight" has no place/,
  ],
  [
    'an unknown tensor',
    (_m, t) => t.push({ ...t[2]!, name: 'blk.0.magic.weight' }),
    /the tensor "blk.0.magic.weight" has no place/,
  ],
  [
    'a tensor of another shape',
    (m) => m.set('qwen3.feed_forward_length', { u32: 13 }),
    /tensor "model.layers.0.mlp.gate_proj.weight" expected shape \[13, 8\] by the config, got \[12, 8\]/,
  ],
  ['no embedding', (_m, t) => t.shift(), /expected the tensor "token_embd.weight", which is missing/],
  ['experts', (m) => m.set('qwen3.expert_count', { u32: 8 }), /"qwen3.expert_count" expected none/],
  [
    'another scaling',
    (m) => m.set('qwen3.rope.scaling.type', 'yarn'),
    /"qwen3.rope.scaling.type" expected "none", got "yarn"/,
  ],
  [
    'a part of a split model',
    (m) => m.set('split.count', { u32: 3 }),
    /expected a whole model in one file, this is a part of 3/,
  ],
  [
    'types for fewer tokens',
    (m) => m.set('tokenizer.ggml.token_type', [1]),
    /"tokenizer.ggml.token_type" expected 4 numbers, one for each token, got 1/,
  ],
  [
    'a token twice',
    (m) => m.set('tokenizer.ggml.tokens', ['a', 'b', 'ab', 'a']),
    /token "a" stands twice in the vocabulary \(0 and 3\)/,
  ],
  ['a merge without a space', (m) => m.set('tokenizer.ggml.merges', ['ab']), /merge "ab" expected two tokens/],
  [
    'an eos outside the vocabulary',
    (m) => m.set('tokenizer.ggml.eos_token_id', { u32: 9 }),
    /expected a token below .* 4, got 9/,
  ],
]
for (const [what, change, expected] of unusable) {
  test(`a model with ${what} is refused by name`, async () => {
    const error = await rejection(openModel(model(change)))
    assert.match(error.message, expected)
    assert.match(error.message, /^\[gguf\] x.gguf/)
    assert.match(error.code!, /^ERR_(CONFIG|FORMAT)$/)
  })
}

test('a tokenizer of another kind leaves the model usable and says why', async () => {
  const cases: [Change, RegExp][] = [
    [
      (m) => m.set('tokenizer.ggml.model', 'llama'),
      /expected a byte-level BPE tokenizer \("gpt2"\), the file has "llama"/,
    ],
    [(m) => m.set('tokenizer.ggml.pre', 'tekken'), /expected one of the pre-tokenizers .*, the file has "tekken"/],
    [(m) => m.delete('tokenizer.ggml.model'), /the file has no tokenizer/],
  ]
  for (const [change, expected] of cases) {
    const source = await openModel(model(change))
    assert.is(source.tokenizer, null)
    assert.match(source.tokenizerMissing!, expected)
  }
})

test('weights that are NaN are found by tensor and element', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'x.gguf')
    const values = new Float32Array(8).fill(1)
    values[5] = Number.NaN
    await writeFile(
      path,
      model((_m, tensors) => {
        tensors[2]!.data = new Uint8Array(values.buffer)
      }),
    )
    const source = await openGguf(path)
    const error = await rejection(source.readFloat32('model.norm.weight'))
    assert.match(error.message, /\[gguf\] x.gguf: tensor "model.norm.weight" expected finite weights, element 5 is NaN/)
    await source.dispose()
  })
})

test.run()
