import type { Device } from '../tensor/device.js'
import { keep } from '../tensor/scope.js'
import { dtypeBytes, empty, type Tensor } from '../tensor/tensor.js'
import type { DecoderConfig } from './config.js'
import type { ComputeDType } from './params.js'

/** Tokens of a page: a multiple of the attention kernels' key block, so that a block never crosses a page. */
export const kvPageSize = 64

/** Keys and values of every layer in pages `[page][K|V][kvHead][slot][headDim]`. Contents are undefined until written. */
export class KvCache {
  /** Per layer [pages, 2, Hkv, pageSize, D]. */
  readonly layers: readonly Tensor[]

  constructor(
    config: DecoderConfig,
    device: Device,
    dtype: ComputeDType,
    readonly pages: number,
    readonly pageSize = kvPageSize,
  ) {
    const shape = [pages, 2, config.numKvHeads, pageSize, config.headDim]
    const layers: Tensor[] = []
    try {
      for (let i = 0; i < config.numLayers; i++) layers.push(keep(empty(shape, { device, dtype })))
    } catch (error) {
      for (const t of layers) t.dispose()
      throw error
    }
    this.layers = layers
  }

  /** Bytes of one page in all layers. */
  static pageBytes(config: DecoderConfig, dtype: ComputeDType, pageSize = kvPageSize): number {
    return config.numLayers * 2 * config.numKvHeads * pageSize * config.headDim * dtypeBytes[dtype]
  }

  dispose(): void {
    for (const t of this.layers) t.dispose()
  }
}
