// Models by hub id: which of a repository's files a model needs.

import { readdir } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { fail } from '../errors.js'
import { newestOf } from './checkpoints.js'
import { fetchRepository, type HubOptions, notInRepository } from './hub-repository.js'
import { exists } from './io.js'

export type { HubOptions, HubProgress } from './hub-repository.js'

/** `owner/name`, or `owner/name/file.gguf` for one file of a repository that holds several. */
const idPattern = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:\/([\w.-]+\.gguf))?$/

const sideFiles = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'chat_template.jinja',
])
const weightFile = /^model(-\d{5}-of-\d{5})?\.safetensors$|^model\.safetensors\.index\.json$/

/**
 * The local path of a model: an existing folder or `.gguf` file as it is, a run's folder's newest checkpoint, a hub id (`owner/name`, `owner/name/file.gguf`)
 * downloaded into the cache first.
 *
 * Errors (`ERR_HUB`): no such path and no hub id; not found; access denied; the hub fails or cannot be reached and the model
 * is not in the cache. A download that was cut off goes on where it stopped, in this call or the next.
 */
export async function resolveModel(pathOrHubId: string, options: HubOptions = {}): Promise<string> {
  if (await exists(pathOrHubId)) return resolve(await newestOf(pathOrHubId))
  const match = idPattern.exec(pathOrHubId)
  if (!match || pathOrHubId.includes('..')) {
    fail(
      'Error',
      'ERR_HUB',
      `[hub] expected a model's folder, a .gguf file or a hub id such as "owner/name", got ${JSON.stringify(pathOrHubId)}, which is neither here nor an id`,
    )
  }
  const name = match[1]!
  const file = match[2] ?? null
  return fetchRepository({ type: 'model', name }, options, {
    choose: (files) => neededFiles(files, file, name),
    result: (snapshot, chosen) => {
      const [only] = chosen
      return only && chosen.length === 1 && only.path.endsWith('.gguf') ? join(snapshot, only.path) : snapshot
    },
    cached: (snapshot) => cachedModel(snapshot, file),
  })
}

/** The files a model needs out of a repository's: never its PyTorch, ONNX or other copies of the weights. */
export function neededFiles<Entry extends { path: string }>(
  files: readonly Entry[],
  gguf: string | null,
  repo: string,
): Entry[] {
  const none = (expected: string): never => notInRepository(repo, expected, files)
  if (gguf !== null)
    return files.some((entry) => entry.path === gguf)
      ? files.filter((entry) => entry.path === gguf)
      : none(`a file ${gguf}`)
  const weights = files.filter((entry) => weightFile.test(entry.path))
  if (weights.length > 0) {
    const sharded = weights.some((entry) => entry.path.endsWith('.index.json'))
    const chosen = weights.filter((entry) => (entry.path !== 'model.safetensors') === sharded)
    return [...files.filter((entry) => sideFiles.has(entry.path)), ...chosen]
  }
  const models = files.filter((entry) => entry.path.endsWith('.gguf') && basename(entry.path) === entry.path)
  if (models.length === 1) return models
  return none(
    models.length > 1 ? `a choice between its GGUF files ("${repo}/NAME.gguf")` : 'model.safetensors or a .gguf file',
  )
}

/** What an earlier download left, for when the hub cannot be asked. */
async function cachedModel(snapshot: string, file: string | null): Promise<string | null> {
  if (file !== null) return (await exists(join(snapshot, file))) ? join(snapshot, file) : null
  const names: string[] = await readdir(snapshot).catch(() => [])
  const weights = names.some((name) => name === 'model.safetensors' || name === 'model.safetensors.index.json')
  if (weights) return names.includes('config.json') ? snapshot : null
  const models = names.filter((name) => name.endsWith('.gguf'))
  return models.length === 1 ? join(snapshot, models[0]!) : null
}
