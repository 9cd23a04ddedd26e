// Models by hub id: which files a repository has, which of them a model needs, where they are kept.
//
// The listing goes through `@huggingface/hub`; the transfer is our own (download.ts), because the library's cannot resume.
// The cache has the layout of Python's huggingface_hub (blobs, snapshots of links, refs), in the same place, so a model that
// one of the two has fetched is not fetched again by the other.

import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { getRepoFolderName, HubApiError, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub'
import { codedError, fail } from '../errors.js'
import { download, type TransferProgress } from './download.js'
import { exists, ioReason } from './io.js'

export interface HubOptions {
  /** Branch, tag or commit; default `main`. */
  revision?: string
  /** Default: `HF_ENDPOINT`, else the public hub. */
  endpoint?: string
  /** Default: `HF_TOKEN`. */
  token?: string
  /** Default: `HF_HUB_CACHE`, else `HF_HOME`/hub, else huggingface/hub under `XDG_CACHE_HOME` or ~/.cache. */
  cacheDir?: string
  /** Called as bytes arrive. */
  onProgress?: (progress: HubProgress) => void
  /** Pause before the first repeated attempt, in milliseconds; doubled at each. Default 500. */
  retryDelay?: number
}

/** `received` of `total` bytes over all files that a model needs, and the file at hand. */
export interface HubProgress extends TransferProgress {
  file: string
}

interface Hub {
  endpoint: string
  token: string | undefined
  cacheDir: string
  revision: string
  retryDelay: number
  onProgress: (progress: HubProgress) => void
}

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

function settings(options: HubOptions): Hub {
  const env = (name: string) => process.env[name] || undefined
  const cacheRoot = env('XDG_CACHE_HOME') ?? join(homedir(), '.cache')
  return {
    endpoint: (options.endpoint ?? env('HF_ENDPOINT') ?? 'https://huggingface.co').replace(/\/+$/, ''),
    token: options.token ?? env('HF_TOKEN'),
    cacheDir: options.cacheDir ?? env('HF_HUB_CACHE') ?? join(env('HF_HOME') ?? join(cacheRoot, 'huggingface'), 'hub'),
    revision: options.revision ?? 'main',
    retryDelay: options.retryDelay ?? 500,
    onProgress: options.onProgress ?? (() => {}),
  }
}

/**
 * The local path of a model: an existing folder or `.gguf` file as it is, a hub id (`owner/name`, `owner/name/file.gguf`)
 * downloaded into the cache first.
 *
 * Errors (`ERR_HUB`): no such path and no hub id; not found; access denied; the hub fails or cannot be reached and the model
 * is not in the cache. A download that was cut off goes on where it stopped, in this call or the next.
 */
export async function resolveModel(pathOrHubId: string, options: HubOptions = {}): Promise<string> {
  if (await exists(pathOrHubId)) return resolve(pathOrHubId)
  const match = idPattern.exec(pathOrHubId)
  if (!match || pathOrHubId.includes('..')) {
    fail(
      'Error',
      'ERR_HUB',
      `[hub] expected a model's folder, a .gguf file or a hub id such as "owner/name", got ${JSON.stringify(pathOrHubId)}, which is neither here nor an id`,
    )
  }
  return fetchModel(match[1]!, match[2] ?? null, settings(options))
}

async function fetchModel(repo: string, file: string | null, hub: Hub): Promise<string> {
  const storage = join(hub.cacheDir, getRepoFolderName({ type: 'model', name: repo }))
  let listing: { commit: string; files: ListFileEntry[] }
  try {
    if (process.env.HF_HUB_OFFLINE === '1') throw new Error('HF_HUB_OFFLINE is set')
    listing = await list(repo, hub)
  } catch (error) {
    if (error instanceof HubApiError && error.statusCode < 500) throw refused(error, repo, hub)
    const cached = await cachedSnapshot(storage, file, hub)
    if (cached) return cached
    throw unreachable(error, repo, hub)
  }
  const wanted = neededFiles(listing.files, file, repo)
  const snapshot = join(storage, 'snapshots', listing.commit)
  const total = wanted.reduce((sum, entry) => sum + entry.size, 0)
  let finished = 0
  try {
    await mkdir(snapshot, { recursive: true })
    await mkdir(join(storage, 'blobs'), { recursive: true })
    for (const entry of wanted) {
      await fetchFile(entry, repo, listing.commit, storage, hub, (received) =>
        hub.onProgress({ file: entry.path, received: finished + received, total }),
      )
      finished += entry.size
    }
    // Last, so that a snapshot that a ref names is complete.
    await writeRef(storage, hub.revision, listing.commit)
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('ERR_')) throw error
    fail('Error', 'ERR_IO', `[hub] cannot write into the cache ${hub.cacheDir}: ${ioReason(error)}`, error)
  }
  const [only] = wanted
  return only && wanted.length === 1 && only.path.endsWith('.gguf') ? join(snapshot, only.path) : snapshot
}

async function list(repo: string, hub: Hub): Promise<{ commit: string; files: ListFileEntry[] }> {
  // Not as the library's `accessToken`: it refuses tokens of mirrors, which need not start with "hf_".
  const common = {
    hubUrl: hub.endpoint,
    fetch: (url: string | URL | Request, init?: RequestInit) =>
      fetch(url, { ...init, headers: { ...(init?.headers as Record<string, string>), ...authorization(hub) } }),
  }
  const info = await retried(hub, () =>
    modelInfo({ ...common, name: repo, revision: hub.revision, additionalFields: ['sha'] }),
  )
  const commit = typeof info.sha === 'string' && /^\w[\w.-]*$/.test(info.sha) ? info.sha : hub.revision
  const files = await retried(hub, async () => {
    const entries: ListFileEntry[] = []
    for await (const entry of listFiles({ ...common, repo: { type: 'model', name: repo }, revision: commit }))
      entries.push(entry)
    return entries
  })
  return { commit, files: files.filter((entry) => entry.type === 'file') }
}

const authorization = (hub: Hub): Record<string, string> =>
  hub.token === undefined ? {} : { authorization: `Bearer ${hub.token}` }

/** Three attempts for what the network or the server may get right the next time. */
async function retried<T>(hub: Hub, attempt: () => Promise<T>): Promise<T> {
  for (let round = 0; ; round++) {
    try {
      return await attempt()
    } catch (error) {
      if (round === 2 || (error instanceof HubApiError && error.statusCode < 500 && error.statusCode !== 429))
        throw error
      await new Promise((done) => setTimeout(done, hub.retryDelay * 2 ** round))
    }
  }
}

/** The files a model needs out of a repository's: never its PyTorch, ONNX or other copies of the weights. */
export function neededFiles<Entry extends { path: string }>(
  files: readonly Entry[],
  gguf: string | null,
  repo: string,
): Entry[] {
  const none = (expected: string): never =>
    fail(
      'Error',
      'ERR_HUB',
      `[hub] ${repo}: expected ${expected}, the repository has ${
        files
          .map((entry) => entry.path)
          .slice(0, 12)
          .join(', ') || 'no files'
      }`,
    )
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

async function fetchFile(
  entry: ListFileEntry,
  repo: string,
  commit: string,
  storage: string,
  hub: Hub,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const link = join(storage, 'snapshots', commit, entry.path)
  if (await exists(link)) return onReceived(entry.size)
  // Names of the server's making: only plain ones become part of a path.
  const digest = entry.lfs?.oid ?? entry.oid
  const blob = join(storage, 'blobs', digest !== undefined && /^\w+$/.test(digest) ? digest : `${commit}-${entry.path}`)
  await download({
    url: `${hub.endpoint}/${repo}/resolve/${encodeURIComponent(commit)}/${encodeURIComponent(entry.path)}`,
    path: blob,
    size: entry.lfs?.size ?? entry.size,
    sha256: entry.lfs && /^[0-9a-f]{64}$/.test(entry.lfs.oid) ? entry.lfs.oid : null,
    headers: authorization(hub),
    name: `${repo}/${entry.path}`,
    retryDelay: hub.retryDelay,
    onProgress: ({ received }) => onReceived(received),
  })
  await symlink(relative(dirname(link), blob), link).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'EEXIST') throw error
  })
}

async function writeRef(storage: string, revision: string, commit: string): Promise<void> {
  if (revision === commit) return
  const path = join(storage, 'refs', revision)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(`${path}.${process.pid}`, commit)
  await rename(`${path}.${process.pid}`, path)
}

/** What an earlier download left, for when the hub cannot be asked. */
async function cachedSnapshot(storage: string, file: string | null, hub: Hub): Promise<string | null> {
  const commit = await readFile(join(storage, 'refs', hub.revision), 'utf8').catch(() => hub.revision)
  const snapshot = join(storage, 'snapshots', commit.trim())
  if (file !== null) return (await exists(join(snapshot, file))) ? join(snapshot, file) : null
  const names: string[] = await readdir(snapshot).catch(() => [])
  const weights = names.some((name) => name === 'model.safetensors' || name === 'model.safetensors.index.json')
  if (weights) return names.includes('config.json') ? snapshot : null
  const models = names.filter((name) => name.endsWith('.gguf'))
  return models.length === 1 ? join(snapshot, models[0]!) : null
}

function refused(error: HubApiError, repo: string, hub: Hub): Error {
  const at = `[hub] ${repo}: `
  const status = error.statusCode
  if (status === 401 || status === 403) {
    const advice =
      hub.token === undefined ? 'set HF_TOKEN to a token that may read it' : 'the token in HF_TOKEN may not read it'
    return hubError(
      `${at}access denied by ${hub.endpoint} (${status}): it does not exist, is private or asks for consent; ${advice}`,
      error,
    )
  }
  if (status === 404) return hubError(`${at}not found on ${hub.endpoint} (revision ${hub.revision})`, error)
  return hubError(`${at}${hub.endpoint} refused the request with status ${status}`, error)
}

function unreachable(error: unknown, repo: string, hub: Hub): Error {
  if (error instanceof HubApiError) {
    return hubError(
      `[hub] ${repo}: ${hub.endpoint} failed with status ${error.statusCode} three times, and the model is not in the cache`,
      error,
    )
  }
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  const reason = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error))
  return hubError(
    `[hub] ${repo}: cannot reach ${hub.endpoint} (${reason}), and the model is not in the cache ${hub.cacheDir}`,
    error,
  )
}

const hubError = (message: string, cause: unknown): Error => codedError('Error', 'ERR_HUB', message, cause)
