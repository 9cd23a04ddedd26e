// A model's safetensors: one file, or several that an index names.

import { basename, dirname, join } from 'node:path'
import { fail } from '../errors.js'
import { parseJsonObject, readTextIfPresent } from './io.js'
import { type SafetensorsEntry, SafetensorsFile } from './safetensors.js'

/** All tensors of a model, whether they lie in one file or in many behind an index. */
export class SafetensorsSet {
  private constructor(
    readonly files: readonly SafetensorsFile[],
    /** Tensor name to the file that holds it. */
    private readonly owners: ReadonlyMap<string, SafetensorsFile>,
  ) {}

  /** Opens `model.safetensors`, or the files that `model.safetensors.index.json` names, in `folder`. */
  static async open(folder: string): Promise<SafetensorsSet> {
    const index = await readTextIfPresent(join(folder, 'model.safetensors.index.json'), '[safetensors]')
    return index === null
      ? SafetensorsSet.ofFile(join(folder, 'model.safetensors'))
      : SafetensorsSet.ofIndex(folder, index)
  }

  private static async ofFile(path: string): Promise<SafetensorsSet> {
    const file = await SafetensorsFile.open(path)
    return new SafetensorsSet([file], new Map([...file.entries.keys()].map((name) => [name, file])))
  }

  private static async ofIndex(folder: string, text: string): Promise<SafetensorsSet> {
    const where = '[safetensors] model.safetensors.index.json'
    const { weight_map: map } = parseJsonObject(text, where)
    if (typeof map !== 'object' || map === null) {
      fail('Error', 'ERR_FORMAT', `${where}: expected "weight_map", an object from tensor to file`)
    }
    const files = new Map<string, SafetensorsFile>()
    const owners = new Map<string, SafetensorsFile>()
    try {
      for (const [tensor, name] of Object.entries(map)) {
        // The name is joined to the folder: a path that leaves it could read any file of the machine.
        if (typeof name !== 'string' || basename(name) !== name || name === '..' || name === '.') {
          fail(
            'Error',
            'ERR_FORMAT',
            `${where}: tensor "${tensor}" expected a file name in this folder, got ${JSON.stringify(name)}`,
          )
        }
        const file = files.get(name) ?? (await SafetensorsFile.open(join(folder, name)))
        files.set(name, file)
        if (!file.entries.has(tensor)) {
          fail('Error', 'ERR_FORMAT', `${where}: tensor "${tensor}" should be in ${name}, which does not hold it`)
        }
        owners.set(tensor, file)
      }
      for (const file of files.values()) {
        for (const tensor of file.entries.keys()) {
          if (owners.get(tensor) !== file) {
            fail(
              'Error',
              'ERR_FORMAT',
              `${where}: ${basename(file.path)} holds tensor "${tensor}", the index does not say so`,
            )
          }
        }
      }
      return new SafetensorsSet([...files.values()], owners)
    } catch (error) {
      await Promise.all([...files.values()].map((file) => file.close()))
      throw error
    }
  }

  get names(): string[] {
    return [...this.owners.keys()]
  }

  entry(name: string): SafetensorsEntry | undefined {
    return this.owners.get(name)?.entries.get(name)
  }

  async readFloat32(name: string): Promise<Float32Array> {
    const file = this.owners.get(name)
    if (!file)
      fail(
        'RangeError',
        'ERR_FORMAT',
        `[safetensors] expected a tensor "${name}" in ${dirname(this.files[0]?.path ?? '.')}, there is none`,
      )
    return file.readFloat32(name)
  }

  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => file.close()))
  }
}
