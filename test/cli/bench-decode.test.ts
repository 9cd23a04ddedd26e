import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { benchDecode } from '../../lib/cli/bench/decode.js'
import { createModel } from '../../lib/model.js'
import type { DecoderConfig } from '../../lib/nn/config.js'
import { device } from '../../lib/tensor/device.js'

const config: DecoderConfig = {
  family: 'llama',
  vocabSize: 64,
  hiddenSize: 32,
  intermediateSize: 48,
  numLayers: 2,
  numHeads: 4,
  numKvHeads: 2,
  headDim: 8,
  rmsNormEps: 1e-6,
  ropeTheta: 10_000,
  ropeScaling: null,
  tieWordEmbeddings: true,
  attentionBias: false,
  qkNorm: false,
  maxPositionEmbeddings: 64,
  bosTokenId: null,
  eosTokenIds: [1],
  padTokenId: null,
}

const folder = mkdtempSync(join(tmpdir(), 'callgrad-bench-'))
const model = join(folder, 'model')
test.before(async () => {
  const tiny = createModel(config, { device: 'cpu', dtype: 'f32' })
  await tiny.save(model)
  tiny.dispose()
})
test.after(() => rmSync(folder, { recursive: true, force: true }))

test('bench decode draws what was asked for and its figures agree with each other', async () => {
  const before = device('cpu').memory().tensors
  for (const sharedPrompt of [false, true]) {
    const r = await benchDecode({
      model,
      device: 'cpu',
      dtype: 'f32',
      sequences: 3,
      prompt: 5,
      new: 4,
      sharedPrompt,
      kvMemory: 1e7,
    })
    const close = (a: number, b: number, relative = 0.01) =>
      assert.ok(Math.abs(a - b) <= relative * Math.abs(b), `${a}, ${b}`)
    const prefilled = (sharedPrompt ? 1 : 3) * 4
    close(r.phases.prefill * r.prefill_tok_s, prefilled, 0.05)
    close(r.phases.decode * r.decode_tok_s, 3 * 4, 0.05)
    close(r.step_ms, (1000 * r.phases.decode) / 4)
    close(r.bandwidth_used, (r.weights_gb * 4) / r.phases.decode / r.bandwidth_gb_s)
    assert.ok(r.peak_rss_gb > 0 && r.bandwidth_gb_s > 0)
  }
  assert.is(device('cpu').memory().tensors, before)
})

test.run()
