// Repositories of the Hugging Face Hub: which files one has, and how some of them get into the cache.
//
// The listing goes through `@huggingface/hub`; the transfer is our own (download.ts), because the library's cannot resume.
// The cache has the layout of Python's huggingface_hub (blobs, snapshots of links, refs), in the same place, so a file that
// one of the two has fetched is not fetched again by the other.

import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { datasetInfo, getRepoFolderName, HubApiError, type ListFileEntry, listFiles, modelInfo } from '@huggingface/hub'
import { codedError, fail } from '../errors.js'
import { download, type TransferProgress } from './download.js'
import { exists, ioReason } from './io.js'

export interface Repository {
  type: 'model' | 'dataset'
  /** `owner/name`. */
  name: string
}

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

/** `received` of `total` bytes over all files that are needed, and the file at hand. */
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

/** What to take out of a repository, and what that makes. */
export interface Wanted<T> {
  /** Files out of the repository's; throws where it has not what is needed. */
  choose: (files: readonly ListFileEntry[]) => ListFileEntry[]
  /** From the files in a snapshot's folder. */
  result: (snapshot: string, chosen: readonly ListFileEntry[]) => T
  /** The same from what an earlier download left, for when the hub cannot be asked; null where that is not all. */
  cached: (snapshot: string) => Promise<T | null>
}

/**
 * Brings files of a repository into the cache. Errors (`ERR_HUB`): not found; access denied; the hub fails or cannot be reached and the
 * files are not in the cache. A download that was cut off goes on where it stopped, in this call or the next.
 */
export async function fetchRepository<T>(repo: Repository, options: HubOptions, wanted: Wanted<T>): Promise<T> {
  const hub = settings(options)
  const storage = join(hub.cacheDir, getRepoFolderName(repo))
  let listing: { commit: string; files: ListFileEntry[] }
  try {
    if (process.env.HF_HUB_OFFLINE === '1') throw new Error('HF_HUB_OFFLINE is set')
    listing = await list(repo, hub)
  } catch (error) {
    if (error instanceof HubApiError && error.statusCode < 500) throw refused(error, repo, hub)
    const commit = await readFile(join(storage, 'refs', hub.revision), 'utf8').catch(() => hub.revision)
    const cached = await wanted.cached(join(storage, 'snapshots', commit.trim()))
    if (cached !== null) return cached
    throw unreachable(error, repo, hub)
  }
  const chosen = wanted.choose(listing.files)
  const snapshot = join(storage, 'snapshots', listing.commit)
  const total = chosen.reduce((sum, entry) => sum + entry.size, 0)
  let finished = 0
  try {
    await mkdir(snapshot, { recursive: true })
    await mkdir(join(storage, 'blobs'), { recursive: true })
    for (const entry of chosen) {
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
  return wanted.result(snapshot, chosen)
}

/** `[hub] owner/name: expected … , the repository has …`, code `ERR_HUB`. */
export function notInRepository(name: string, expected: string, files: readonly { path: string }[]): never {
  const paths = files.map((entry) => entry.path).slice(0, 12)
  return fail(
    'Error',
    'ERR_HUB',
    `[hub] ${name}: expected ${expected}, the repository has ${paths.join(', ') || 'no files'}`,
  )
}

async function list(repo: Repository, hub: Hub): Promise<{ commit: string; files: ListFileEntry[] }> {
  // Not as the library's `accessToken`: it refuses tokens of mirrors, which need not start with "hf_".
  const common = {
    hubUrl: hub.endpoint,
    fetch: (url: string | URL | Request, init?: RequestInit) =>
      fetch(url, { ...init, headers: { ...(init?.headers as Record<string, string>), ...authorization(hub) } }),
  }
  const about = { ...common, name: repo.name, revision: hub.revision, additionalFields: ['sha'] as 'sha'[] }
  const info = await retried(hub, () => (repo.type === 'model' ? modelInfo(about) : datasetInfo(about)))
  const commit = typeof info.sha === 'string' && /^\w[\w.-]*$/.test(info.sha) ? info.sha : hub.revision
  const files = await retried(hub, async () => {
    const entries: ListFileEntry[] = []
    // A model's files lie at the top; a data set's may lie anywhere.
    for await (const entry of listFiles({ ...common, repo, revision: commit, recursive: repo.type === 'dataset' }))
      entries.push(entry)
    return entries
  })
  return { commit, files: files.filter((entry) => entry.type === 'file' && isPlainPath(entry.path)) }
}

/** Names of the server's making become part of a path. */
const isPlainPath = (path: string) =>
  !path.startsWith('/') && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..')

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

async function fetchFile(
  entry: ListFileEntry,
  repo: Repository,
  commit: string,
  storage: string,
  hub: Hub,
  onReceived: (bytes: number) => void,
): Promise<void> {
  const link = join(storage, 'snapshots', commit, entry.path)
  if (await exists(link)) return onReceived(entry.size)
  await mkdir(dirname(link), { recursive: true })
  const digest = entry.lfs?.oid ?? entry.oid
  const plain = `${commit}-${entry.path.replaceAll('/', '--')}`
  const blob = join(storage, 'blobs', digest !== undefined && /^\w+$/.test(digest) ? digest : plain)
  const base = repo.type === 'dataset' ? `${hub.endpoint}/datasets` : hub.endpoint
  const path = entry.path.split('/').map(encodeURIComponent).join('/')
  await download({
    url: `${base}/${repo.name}/resolve/${encodeURIComponent(commit)}/${path}`,
    path: blob,
    size: entry.lfs?.size ?? entry.size,
    sha256: entry.lfs && /^[0-9a-f]{64}$/.test(entry.lfs.oid) ? entry.lfs.oid : null,
    headers: authorization(hub),
    name: `${repo.name}/${entry.path}`,
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

function refused(error: HubApiError, repo: Repository, hub: Hub): Error {
  const at = `[hub] ${repo.name}: `
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

function unreachable(error: unknown, repo: Repository, hub: Hub): Error {
  if (error instanceof HubApiError) {
    return hubError(
      `[hub] ${repo.name}: ${hub.endpoint} failed with status ${error.statusCode} three times, and the ${repo.type} is not in the cache`,
      error,
    )
  }
  const cause = (error as { cause?: { code?: string; message?: string } }).cause
  const reason = cause?.code ?? cause?.message ?? (error instanceof Error ? error.message : String(error))
  return hubError(
    `[hub] ${repo.name}: cannot reach ${hub.endpoint} (${reason}), and the ${repo.type} is not in the cache ${hub.cacheDir}`,
    error,
  )
}

const hubError = (message: string, cause: unknown): Error => codedError('Error', 'ERR_HUB', message, cause)
