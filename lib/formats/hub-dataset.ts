// Data sets by hub id: which of a repository's files hold the records.

import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fetchRepository, type HubOptions, notInRepository } from './hub-repository.js'

/** `owner/name`, or `owner/name/path/file.jsonl` for one file of a repository. */
const idPattern = /^([A-Za-z0-9][\w.-]*\/[A-Za-z0-9][\w.-]*)(?:\/([\w./-]+\.(?:json|jsonl|parquet)))?$/

/** True where a text can be a data set's id; a path to a data file (`data/train.jsonl`) cannot. */
export const isHubId = (text: string): boolean => {
  const match = idPattern.exec(text)
  return match !== null && !text.includes('..') && (match[2] !== undefined || !dataFile.test(text))
}

const dataFile = /\.(json|jsonl|parquet)$/
/** What data repositories keep beside their records. */
const sideFile = /(^|\/)(dataset_infos?|config|state|package)\.json$/
const otherSplit = /(^|[/_.-])(test|validation|valid|val|dev|eval)([/_.-]|$)/i

/**
 * Local paths of a data set's files, downloaded into the cache first: the one that the id names, or the repository's parquet files, or where
 * it has none its JSON and JSONL files. Files that are named after another split than training are left out unless there are no others.
 *
 * Errors as `resolveModel`; also `ERR_HUB` where the repository has no such files.
 */
export async function resolveDataset(id: string, options: HubOptions = {}): Promise<string[]> {
  const [, name, file] = idPattern.exec(id) ?? []
  if (name === undefined) throw new TypeError(`[hub] expected a data set's id such as "owner/name", got "${id}"`)
  const local = (snapshot: string, paths: readonly string[]) => paths.map((path) => join(snapshot, path))
  return fetchRepository({ type: 'dataset', name }, options, {
    choose: (files) => {
      const chosen = new Set(
        recordFiles(
          files.map((entry) => entry.path),
          file,
        ),
      )
      if (chosen.size > 0) return files.filter((entry) => chosen.has(entry.path))
      return notInRepository(name, file === undefined ? 'parquet, JSON or JSONL files' : `a file ${file}`, files)
    },
    result: (snapshot, chosen) =>
      local(
        snapshot,
        chosen.map((entry) => entry.path),
      ),
    cached: async (snapshot) => {
      const paths = await readdir(snapshot, { recursive: true }).catch((): string[] => [])
      const chosen = recordFiles(paths, file)
      return chosen.length > 0 ? local(snapshot, chosen) : null
    },
  })
}

/** The paths that hold a data set's records, in order of their names. */
export function recordFiles(paths: readonly string[], file?: string): string[] {
  if (file !== undefined) return paths.filter((path) => path === file)
  const data = paths.filter((path) => dataFile.test(path) && !sideFile.test(path)).sort()
  const parquet = data.filter((path) => path.endsWith('.parquet'))
  const candidates = parquet.length > 0 ? parquet : data
  const training = candidates.filter((path) => !otherSplit.test(path))
  return training.length > 0 ? training : candidates
}
