import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openCheckpoint } from '../../lib/formats/checkpoint.js'
import { floatToBfloat } from '../../lib/formats/dtype.js'
import { type HuggingFaceModel, saveHuggingFace } from '../../lib/formats/huggingface.js'
import { decoderTensorShapes } from '../../lib/formats/tensor-names.js'
import { Tokenizer } from '../../lib/text/tokenizer.js'
import { sharedPath } from '../support/shared.js'
import { fixturePath, inTemporaryFolder, rejection, tinyConfig, tinyTensors } from './support.js'

function tinyModel(change: Partial<HuggingFaceModel> = {}): HuggingFaceModel {
  const config = change.config ?? tinyConfig()
  return {
    config,
    generationConfig: { temperature: 0.6 },
    tensors: tinyTensors(config),
    dtype: 'float32',
    tokenizer: null,
    ...change,
  }
}

test('every family survives saving and loading, whole and in shards', async () => {
  for (const family of ['llama', 'qwen2', 'qwen3'] as const) {
    for (const tieWordEmbeddings of [true, false]) {
      for (const maxShardBytes of [5e9, 600]) {
        await inTemporaryFolder(async (folder) => {
          const config = tinyConfig({ family, tieWordEmbeddings })
          const tensors = tinyTensors(config)
          await saveHuggingFace(join(folder, 'm'), tinyModel({ config, tensors, maxShardBytes }))
          const source = await openCheckpoint(join(folder, 'm'))
          assert.equal(source.config, config)
          assert.is(source.format, 'huggingface')
          assert.is(source.generationConfig?.temperature, 0.6)
          assert.equal([...source.tensors.keys()], [...decoderTensorShapes(config).keys()])
          for (const { name, values } of tensors) assert.equal(await source.readFloat32(name), values)
          await source.dispose()
        })
      }
    }
  }
})

test('bfloat16 is the fp32 weights rounded to nearest', async () => {
  await inTemporaryFolder(async (folder) => {
    const tensors = tinyTensors(tinyConfig())
    await saveHuggingFace(join(folder, 'm'), tinyModel({ tensors, dtype: 'bfloat16' }))
    const source = await openCheckpoint(join(folder, 'm'))
    for (const { name, values } of tensors) {
      assert.equal(floatToBfloat(await source.readFloat32(name)), floatToBfloat(values))
    }
    await source.dispose()
  })
})

test('a GGUF saved as a folder is the same model with the same tokenizer', async () => {
  await inTemporaryFolder(async (folder) => {
    const gguf = await openCheckpoint(fixturePath('tiny-llama3.gguf'))
    const out = join(folder, 'saved')
    await saveHuggingFace(out, {
      config: gguf.config,
      generationConfig: gguf.generationConfig,
      tensors: [...gguf.tensors].map(([name, { shape }]) => ({ name, shape, read: () => gguf.readFloat32(name) })),
      dtype: 'float32',
      tokenizer: gguf.tokenizer,
    })
    assert.equal((await readdir(out)).sort(), [
      'chat_template.jinja',
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ])
    const saved = await openCheckpoint(out)
    assert.equal(saved.config, gguf.config)
    for (const name of gguf.tensors.keys()) assert.equal(await saved.readFloat32(name), await gguf.readFloat32(name))
    const [a, b] = [new Tokenizer(gguf.tokenizer!), new Tokenizer(saved.tokenizer!)]
    const messages = [{ role: 'user', content: 'hello world, 12345 <|eot_id|>' }]
    assert.equal(b.applyChatTemplate(messages), a.applyChatTemplate(messages))
    assert.equal([b.bosTokenId, b.eosTokenId], [265, 266])
    await saved.dispose()
    await gguf.dispose()
  })
})

test('an older model in the folder is replaced, anything else is left alone', async () => {
  await inTemporaryFolder(async (folder) => {
    const out = join(folder, 'm')
    await saveHuggingFace(out, tinyModel({ maxShardBytes: 600 }))
    await saveHuggingFace(out, tinyModel({ config: tinyConfig({ family: 'qwen3' }) }))
    const source = await openCheckpoint(out)
    assert.is(source.config.family, 'qwen3')
    await source.dispose()
    assert.not.ok((await readdir(out)).includes('model.safetensors.index.json'))
    assert.equal(await readdir(folder), ['m'])

    await writeFile(join(out, 'thesis.txt'), 'two years of work')
    const error = await rejection(saveHuggingFace(out, tinyModel()))
    assert.match(
      error.message,
      /expected a new folder, an empty one or one with a model to replace; .* also holds "thesis.txt"/,
    )
    assert.is(await readFile(join(out, 'thesis.txt'), 'utf8'), 'two years of work')
  })
})

test('a save that fails half-way leaves the old model whole and nothing else', async () => {
  await inTemporaryFolder(async (folder) => {
    const out = join(folder, 'm')
    await saveHuggingFace(out, tinyModel())
    const before = await readFile(join(out, 'model.safetensors'))
    const tensors = tinyTensors(tinyConfig()).map((tensor, index) => ({
      ...tensor,
      read: () => {
        if (index === 5) throw new Error('the device is gone')
        return tensor.values
      },
    }))
    assert.match((await rejection(saveHuggingFace(out, tinyModel({ tensors })))).message, /the device is gone/)
    assert.equal(await readFile(join(out, 'model.safetensors')), before)
    assert.equal(await readdir(folder), ['m'])
  })
})

test('what a killed process left half-written goes with the next save, what a living one writes stays', async () => {
  await inTemporaryFolder(async (folder) => {
    // 2^22 is the largest process id that Linux gives out; this one is never alive.
    const dead = join(folder, `.m.writing-${2 ** 22 + 1}-abcd`)
    const living = join(folder, `.m.writing-${process.pid}-abcd`)
    for (const path of [dead, living]) {
      await mkdir(path)
      await writeFile(join(path, 'model.safetensors'), 'half')
    }
    await saveHuggingFace(join(folder, 'm'), tinyModel())
    assert.equal((await readdir(folder)).sort(), [`.m.writing-${process.pid}-abcd`, 'm'].sort())
  })
})

test('folders that cannot be written are one clear error', async () => {
  await inTemporaryFolder(async (folder) => {
    await writeFile(join(folder, 'file'), '')
    const error = await rejection(saveHuggingFace(join(folder, 'file', 'm'), tinyModel()))
    assert.match(
      error.message,
      /^\[save\] m cannot write .*: (a part of the path is a file, not a folder|a file of that name is in the way)/,
    )
    assert.match((await rejection(saveHuggingFace(join(folder, 'file'), tinyModel()))).message, /a file|not a folder/)
    if (process.getuid?.() !== 0) {
      await mkdir(join(folder, 'closed'))
      await chmod(join(folder, 'closed'), 0o500)
      const denied = await rejection(saveHuggingFace(join(folder, 'closed', 'm'), tinyModel()))
      assert.match(denied.message, /permission denied/)
    }
  })
})

test('tensors that are not those of the config are refused before anything is written', async () => {
  await inTemporaryFolder(async (folder) => {
    const out = join(folder, 'm')
    const tensors = tinyTensors(tinyConfig())
    const save = (given: HuggingFaceModel['tensors']) => rejection(saveHuggingFace(out, tinyModel({ tensors: given })))
    assert.match(
      (await save(tensors.slice(1))).message,
      /\[save\] m: expected the tensor "model.embed_tokens.weight", which is missing/,
    )
    assert.match(
      (await save([...tensors, { ...tensors[0]!, name: 'x' }])).message,
      /the tensor "x" has no place in a llama model/,
    )
    assert.match(
      (await save([{ ...tensors[0]!, shape: [8, 11] }, ...tensors.slice(1)])).message,
      /expected shape \[11, 8\] by the config, got \[8, 11\]/,
    )
    assert.equal(await readdir(folder), [])
  })
})

test('a folder that is no model says what is missing', async () => {
  await inTemporaryFolder(async (folder) => {
    const open = async () => (await rejection(openCheckpoint(folder))).message
    assert.match(await open(), /expected a config.json in .*, there is none/)
    await writeFile(join(folder, 'config.json'), '{"architectures": [')
    assert.match(await open(), /config.json: expected JSON, got/)
    await writeFile(join(folder, 'config.json'), '{"architectures": ["BertModel"]}')
    assert.match(await open(), /"architectures" expected one of .* got \["BertModel"\]/)
    assert.match(
      (await rejection(openCheckpoint(join(folder, 'no')))).message,
      /\[checkpoint\] cannot open .*: it does not exist/,
    )
    assert.match(
      (await rejection(openCheckpoint(join(folder, 'config.json')))).message,
      /expected a Hugging Face folder or a .gguf file/,
    )
  })
})

test('a folder whose weights do not fit its config says which', async () => {
  await inTemporaryFolder(async (folder) => {
    const out = join(folder, 'm')
    await saveHuggingFace(out, tinyModel())
    const path = join(out, 'config.json')
    const config = JSON.parse(await readFile(path, 'utf8'))
    const withConfig = async (change: Record<string, unknown>) => {
      await writeFile(path, JSON.stringify({ ...config, ...change }))
      return (await rejection(openCheckpoint(out))).message
    }
    assert.match(
      await withConfig({ num_hidden_layers: 3 }),
      /\[checkpoint\] m: expected the tensor "model.layers.2.input_layernorm.weight" \(and \d+ more/,
    )
    assert.match(await withConfig({ num_hidden_layers: 1 }), /the tensor "model.layers.1.* has no place/)
    assert.match(
      await withConfig({ vocab_size: 12 }),
      /"model.embed_tokens.weight" expected shape \[12, 8\] by the config, got \[11, 8\]/,
    )
    assert.match(
      await withConfig({ tie_word_embeddings: false }),
      /"lm_head.weight", which is missing \("tie_word_embeddings" would have to be true/,
    )
  })
})

test('what some checkpoints carry besides is ignored: a tied head, rotary tables', async () => {
  await inTemporaryFolder(async (folder) => {
    const { writeModelSafetensors } = await import('../../lib/formats/safetensors-write.js')
    const out = join(folder, 'm')
    await saveHuggingFace(out, tinyModel())
    const extra = [
      { name: 'lm_head.weight', shape: [11, 8], read: () => new Float32Array(88) },
      { name: 'model.layers.0.self_attn.rotary_emb.inv_freq', shape: [2], read: () => new Float32Array(2) },
    ]
    const all = [...tinyTensors(tinyConfig()), ...extra].map((tensor) => ({ ...tensor, dtype: 'F32' as const }))
    await writeModelSafetensors(out, all)
    const source = await openCheckpoint(out)
    assert.not.ok(source.tensors.has('lm_head.weight'))
    assert.match(
      (await rejection(source.readFloat32('lm_head.weight'))).message,
      /expected one of the model's tensors, got "lm_head.weight"/,
    )
    await source.dispose()
  })
})

test('NaN weights are found by tensor and element', async () => {
  await inTemporaryFolder(async (folder) => {
    const tensors = tinyTensors(tinyConfig())
    tensors[3]!.values[2] = Number.NaN
    await saveHuggingFace(join(folder, 'm'), tinyModel({ tensors }))
    const source = await openCheckpoint(join(folder, 'm'))
    const { name } = tensors[3]!
    assert.match(
      (await rejection(source.readFloat32(name))).message,
      new RegExp(`tensor "${name}" expected finite weights, element 2 is NaN`),
    )
    await source.dispose()
  })
})

test('chat templates are found where each version puts them', async () => {
  await inTemporaryFolder(async (folder) => {
    const out = join(folder, 'm')
    await saveHuggingFace(out, tinyModel())
    await writeFile(join(out, 'tokenizer.json'), '{}')
    const template = async () => {
      const source = await openCheckpoint(out)
      await source.dispose()
      return source.tokenizer?.chatTemplate
    }
    assert.is(await template(), null)
    await writeFile(join(out, 'tokenizer_config.json'), JSON.stringify({ chat_template: 'inside' }))
    assert.is(await template(), 'inside')
    const named = [
      { name: 'tool_use', template: 'tools' },
      { name: 'default', template: 'the default' },
    ]
    await writeFile(join(out, 'tokenizer_config.json'), JSON.stringify({ chat_template: named }))
    assert.is(await template(), 'the default')
    await writeFile(join(out, 'chat_template.jinja'), 'own file')
    assert.is(await template(), 'own file')
  })
})

test('models that transformers 5 saved are opened', async () => {
  const root = sharedPath('parity/models')
  if (!root) return
  for (const name of await readdir(root)) {
    const source = await openCheckpoint(join(root, name))
    for (const tensor of source.tensors.keys()) await source.readFloat32(tensor)
    assert.is(source.tokenizer, null)
    assert.match(source.tokenizerMissing!, /the folder has no tokenizer.json/)
    await source.dispose()
  }
})

test.run()
