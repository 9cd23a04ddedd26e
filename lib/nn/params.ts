import { fail } from '../errors.js'
import type { Device } from '../tensor/device.js'
import { copy, fill, packWeight } from '../tensor/ops.generated.js'
import { keep, scope } from '../tensor/scope.js'
import { dtypeBytes, empty, product, type Tensor, tensor } from '../tensor/tensor.js'
import type { DecoderConfig } from './config.js'
import { layerKey, type ParamPart, type ParamSpec, paramLayout } from './param-layout.js'
import { makeRopeTable } from './rope.js'

export type ComputeDType = 'f32' | 'bf16'

/** One flat run of trainable values: what the optimizer and the gradient norm walk over. */
export interface Bucket {
  /** [n] fp32 master weights. */
  master: Tensor
  /** [n] fp32 gradients; made by the first {@link ParamStore.zeroGrad}. */
  grad: Tensor | null
  /** Whether weight decay applies. */
  decay: boolean
}

/** A parameter of the graph with its copies. */
export interface Param {
  spec: ParamSpec
  /** fp32 master values, a view into a bucket; null in a frozen store. */
  master: Tensor | null
  /** fp32 gradient, a view into a bucket; null until gradients exist. */
  grad: Tensor | null
  /**
   * What ops other than GEMMs read: f32 for norms, the compute dtype for biases and the embedding. On devices without
   * packed weights `forward` and `backward` are this tensor, too.
   */
  plain: Tensor | null
  /** What `y = x Wᵀ` reads. */
  forward: Tensor | null
  /** What `dx = dy W` reads; made by the first training step. */
  backward: Tensor | null
}

/** A tensor of the checkpoint format, readable from the store. */
export interface ExportedTensor {
  name: string
  shape: number[]
  read(): Promise<Float32Array>
}

/** Parameters of one layer, by the names of lib/nn/param-layout.ts. */
export interface LayerParams {
  inputNorm: Param
  qkv: Param
  qkvBias: Param | null
  qNorm: Param | null
  kNorm: Param | null
  out: Param
  postNorm: Param
  gateUp: Param
  down: Param
}

const alignment = 16 // elements between parameters in a bucket: whole cache lines, so threads never share one

/**
 * The weights of a decoder. The same graph runs over the policy (trainable), over a frozen reference, over any store
 * of the same config.
 *
 * A trainable store holds fp32 masters in flat buckets and compute copies in the layouts that the device's GEMM reads
 * best; {@link refresh} brings the copies up to date after an optimizer step. A frozen store holds the copies only.
 */
export class ParamStore {
  readonly buckets: Bucket[] = []
  /** Counts refreshes: rollouts state which weights they were drawn from. */
  version = 0
  #ropeTable: Tensor | null = null
  readonly #params = new Map<string, Param>()
  readonly #parts = new Map<string, { param: Param; part: ParamPart }>()

  constructor(
    readonly config: DecoderConfig,
    readonly device: Device,
    readonly dtype: ComputeDType,
    readonly trainable = true,
  ) {
    const specs = paramLayout(config)
    for (const spec of specs) {
      const param: Param = { spec, master: null, grad: null, plain: null, forward: null, backward: null }
      this.#params.set(spec.key, param)
      for (const part of spec.parts) this.#parts.set(part.name, { param, part })
    }
    if (trainable) {
      // Last layer first: the order in which the backward pass finishes gradients.
      for (const decay of [true, false]) {
        const mine = [...this.#params.values()].filter((p) => p.spec.decay === decay).reverse()
        this.#makeBucket(mine, decay)
      }
    }
  }

  #makeBucket(params: Param[], decay: boolean): void {
    const size = params.reduce((n, p) => n + paddedSize(p.spec), 0)
    const master = keep(empty([size], { device: this.device }))
    fill(master, { value: 0 })
    let offset = 0
    for (const p of params) {
      p.master = keep(master.view(p.spec.shape, offset))
      offset += paddedSize(p.spec)
    }
    this.buckets.push({ master, grad: null, decay })
  }

  /** A parameter by its key; every key of the config's layout exists. */
  get(key: string): Param {
    return this.#params.get(key) ?? fail('Error', 'ERR_INTERNAL', `[params] expected a parameter, got key "${key}"`)
  }

  get params(): Iterable<Param> {
    return this.#params.values()
  }

  /** The matrix of the LM head: the embedding when tied. */
  get head(): Param {
    return this.get(this.config.tieWordEmbeddings ? 'embed' : 'head')
  }

  /** Layers in forward order. Where weights come from elsewhere, acquiring and releasing them lives here. */
  *layers(): Generator<LayerParams> {
    for (let i = 0; i < this.config.numLayers; i++) yield this.layer(i)
  }

  layer(i: number): LayerParams {
    const param = (name: string) => this.get(layerKey(i, name))
    const optional = (name: string) => this.#params.get(layerKey(i, name)) ?? null
    return {
      inputNorm: param('inputNorm'),
      qkv: param('qkv'),
      qkvBias: optional('qkvBias'),
      qNorm: optional('qNorm'),
      kNorm: optional('kNorm'),
      out: param('out'),
      postNorm: param('postNorm'),
      gateUp: param('gateUp'),
      down: param('down'),
    }
  }

  /** cos and sin of every position, f32 [maxPositionEmbeddings, headDim]; made on first use. */
  get ropeTable(): Tensor {
    this.#ropeTable ??= keep(makeRopeTable(this.config, this.config.maxPositionEmbeddings, this.device))
    return this.#ropeTable
  }

  /** Number of parameters, tied ones once. */
  get parameterCount(): number {
    let n = 0
    for (const p of this.params) n += product(p.spec.shape)
    return n
  }

  /** Names and shapes of the checkpoint's tensors, in its order. */
  tensorSpecs(): { name: string; shape: number[] }[] {
    return [...this.#params.values()].flatMap((p) => p.spec.parts.map(({ name, shape }) => ({ name, shape })))
  }

  /**
   * Sets one tensor of the checkpoint format. Call {@link refresh} once all are in.
   *
   * @throws `ERR_SHAPE` when the values are not as many as the tensor has
   */
  importTensor(name: string, values: Float32Array): void {
    const { param, part } = this.#part(name)
    if (values.length !== product(part.shape)) {
      fail(
        'RangeError',
        'ERR_SHAPE',
        `[params] expected ${product(part.shape)} values for ${name} [${part.shape}], got ${values.length}`,
      )
    }
    if (!param.master) fail('Error', 'ERR_FROZEN', `[params] expected a trainable store to import ${name} into`)
    scope(() => {
      copy(tensor(values, part.shape, { device: this.device }), param.master!.rows(part.begin, part.end))
    })
  }

  /** Every tensor of the checkpoint format, read from the fp32 masters. */
  exportTensors(): ExportedTensor[] {
    if (!this.trainable)
      fail('Error', 'ERR_FROZEN', '[params] expected a store with fp32 masters to save, got a frozen one')
    return this.tensorSpecs().map(({ name, shape }) => ({
      name,
      shape,
      read: () => this.#read(name, 'master'),
    }))
  }

  /** Gradient of one tensor of the checkpoint format. */
  readGrad(name: string): Promise<Float32Array> {
    return this.#read(name, 'grad')
  }

  async #read(name: string, which: 'master' | 'grad'): Promise<Float32Array> {
    const { param, part } = this.#part(name)
    const whole = param[which]
    if (!whole)
      fail('Error', 'ERR_FROZEN', `[params] ${name} has no ${which === 'grad' ? 'gradient' : 'master copy'} here`)
    const rows = whole.rows(part.begin, part.end)
    try {
      return await rows.toFloat32Array()
    } finally {
      rows.dispose()
    }
  }

  #part(name: string) {
    return (
      this.#parts.get(name) ??
      fail('RangeError', 'ERR_NAME', `[params] expected the name of one of the model's tensors, got "${name}"`)
    )
  }

  /** Sets all gradients to 0; makes them the first time. */
  zeroGrad(): void {
    for (const [i, bucket] of this.buckets.entries()) {
      if (!bucket.grad) {
        bucket.grad = keep(empty(bucket.master.shape, { device: this.device }))
        let offset = 0
        for (const p of [...this.#params.values()].filter((q) => q.spec.decay === bucket.decay).reverse()) {
          p.grad = keep(bucket.grad.view(p.spec.shape, offset))
          offset += paddedSize(p.spec)
        }
      }
      fill(this.buckets[i]!.grad!, { value: 0 })
    }
  }

  /** Brings the compute copies up to date with the masters. */
  refresh(): void {
    scope(() => {
      for (const p of this.params) this.#refreshParam(p, p.master!)
    })
    this.version++
  }

  #refreshParam(p: Param, master: Tensor): void {
    const linear = p.spec.kind === 'linear' || p === this.head
    const plain = !this.device.packedWeights
    if (p.spec.kind !== 'linear' || plain) p.plain = this.#plainCopy(p, master)
    if (!linear) return
    if (plain) {
      p.forward = p.backward = p.plain // one copy in rows serves the embedding and both directions of a GEMM
      return
    }
    const bf16 = this.dtype === 'bf16'
    p.forward = packWeight(master, { bf16, transposed: false, ...(p.forward && { out: { packed: p.forward } }) })
    keep(p.forward)
    if (p.backward) packWeight(master, { bf16, transposed: true, out: { packed: p.backward } })
  }

  /** The values as rows in the type that the graph reads; in fp32 the masters themselves, where there are any. */
  #plainCopy(p: Param, master: Tensor): Tensor {
    const dtype = p.spec.kind === 'norm' ? 'f32' : this.dtype
    if (this.trainable && dtype === 'f32') return master
    const into = p.plain ?? keep(empty(p.spec.shape, { device: this.device, dtype }))
    copy(master, into)
    return into
  }

  /** Makes the layouts that only the backward pass reads. Idempotent. */
  prepareBackward(): void {
    if (!this.trainable) fail('Error', 'ERR_FROZEN', '[params] expected a trainable store, got a frozen one')
    for (const p of this.params) {
      if (p.backward || (p.spec.kind !== 'linear' && p !== this.head)) continue
      p.backward = keep(packWeight(p.master!, { bf16: this.dtype === 'bf16', transposed: true }))
    }
  }

  /** A frozen copy of the current weights, in compute dtype only: the reference model. */
  freeze(): ParamStore {
    const frozen = new ParamStore(this.config, this.device, this.dtype, false)
    scope(() => {
      for (const p of frozen.params) frozen.#refreshParam(p, this.get(p.spec.key).master!)
    })
    frozen.version = this.version
    return frozen
  }

  dispose(): void {
    for (const p of this.params) {
      for (const t of [p.master, p.grad, p.plain, p.forward, p.backward]) t?.dispose()
    }
    this.#ropeTable?.dispose()
    for (const b of this.buckets) {
      b.master.dispose()
      b.grad?.dispose()
    }
  }

  /** Bytes of masters, compute copies and gradients as they are or would be when training. */
  static bytes(
    config: DecoderConfig,
    dtype: ComputeDType,
    { packedWeights }: Pick<Device, 'packedWeights'> = { packedWeights: true },
  ): { master: number; compute: number; frozen: number; grads: number } {
    const size = dtypeBytes[dtype]
    let values = 0
    let once = 0 // linear layers and the embedding in rows
    let forward = 0
    let backward = 0
    for (const spec of paramLayout(config)) {
      const n = product(spec.shape)
      values += paddedSize(spec)
      const linear = spec.kind === 'linear' || (spec.kind === 'embedding' && config.tieWordEmbeddings)
      if (linear || spec.kind === 'embedding') once += n * size
      if (linear) backward += n * size
      if (linear) forward += n * size
      if (spec.kind === 'embedding' && dtype === 'bf16') forward += n * 2
    }
    const masters = { master: values * 4, grads: values * 4 }
    if (!packedWeights) return { ...masters, compute: dtype === 'f32' ? 0 : once, frozen: once }
    return { ...masters, compute: forward + backward, frozen: forward }
  }
}

function paddedSize(spec: ParamSpec): number {
  return Math.ceil(product(spec.shape) / alignment) * alignment
}
