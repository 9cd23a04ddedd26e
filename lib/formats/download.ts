// One file over HTTP, resumable: what has arrived stays beside the target as `.incomplete`, a new attempt asks for the rest.
//
// The target appears by a rename when its size (and its SHA-256, where known) is right, so a file that exists is whole.

import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { fail } from '../errors.js'
import { exists, ioReason, isAlive, number, syncFolder } from './io.js'

/** Bytes so far of all bytes. */
export interface TransferProgress {
  received: number
  total: number
}

export interface Download {
  url: string
  path: string
  /** Bytes the file must have. */
  size: number
  /** Hex digest the file must have; null where it is not known. */
  sha256: string | null
  headers: Readonly<Record<string, string>>
  /** How messages call the file. */
  name: string
  /** Pause before the second attempt, in milliseconds; doubled at each. */
  retryDelay: number
  onProgress: (progress: TransferProgress) => void
}

/** Attempts in a row that bring nothing; an attempt that brings bytes starts the count anew. */
const maxFruitless = 5
/** A connection that brings nothing for this long counts as cut. */
const stallMilliseconds = 60_000

/** A failure that another attempt may not meet. */
class Interrupted extends Error {}

/** Fetches `path`, or returns at once where it is there. Errors: `ERR_HUB` (refused, cut off for good, wrong content), `ERR_IO`. */
export async function download(task: Download): Promise<void> {
  if (await exists(task.path)) return task.onProgress({ received: task.size, total: task.size })
  const release = await lock(`${task.path}.lock`)
  try {
    if (await exists(task.path)) return task.onProgress({ received: task.size, total: task.size })
    const partial = `${task.path}.incomplete`
    await transfer(task, partial)
    await verify(task, partial)
    await rename(partial, task.path)
    await syncFolder(dirname(task.path))
  } catch (error) {
    if ((error as { code?: string }).code?.startsWith('ERR_')) throw error
    fail('Error', 'ERR_IO', `[hub] cannot write ${task.path}: ${ioReason(error)}`, error)
  } finally {
    await release()
  }
}

async function transfer(task: Download, partial: string): Promise<void> {
  const handle = await open(partial, (await exists(partial)) ? 'r+' : 'w+')
  try {
    let have = (await handle.stat()).size
    if (have > task.size) have = await restart(handle)
    let best = have
    for (let fruitless = 0; have < task.size; ) {
      let reason = 'the server sends other bytes than it announced'
      try {
        have = await attempt(task, handle, have)
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error
        reason = error.message
        have = (await handle.stat()).size
      }
      if (have === task.size) break
      fruitless = have > best ? 0 : fruitless + 1
      best = Math.max(best, have)
      if (fruitless === maxFruitless) {
        fail(
          'Error',
          'ERR_HUB',
          `[hub] ${task.name}: ${reason} at byte ${number(have)} of ${number(task.size)}, ${maxFruitless} times in a row; what has arrived is kept, run again to go on`,
        )
      }
      await new Promise((done) => setTimeout(done, task.retryDelay * 2 ** fruitless))
    }
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const restart = async (handle: FileHandle): Promise<number> => {
  await handle.truncate(0)
  return 0
}

/** One request for the bytes from `have` on; returns how many there are afterwards. */
async function attempt(task: Download, handle: FileHandle, have: number): Promise<number> {
  const controller = new AbortController()
  let timer = setTimeout(() => controller.abort(), stallMilliseconds)
  const alive = () => {
    clearTimeout(timer)
    timer = setTimeout(() => controller.abort(), stallMilliseconds)
  }
  try {
    const response = await fetch(task.url, {
      // Identity: a compressed body has other offsets than the file.
      headers: { ...task.headers, 'accept-encoding': 'identity', ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
      signal: controller.signal,
    }).catch((error) => {
      throw interrupted(error)
    })
    const start = await startOf(response, task, handle, have)
    if (start === null) return restart(handle)
    let at = start
    if (!response.body) throw new Interrupted('an empty answer')
    const reader = response.body.getReader()
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        throw interrupted(error)
      })
      if (done) break
      alive()
      if (at + value.byteLength > task.size) {
        await reader.cancel()
        fail('Error', 'ERR_HUB', `[hub] ${task.name}: expected ${number(task.size)} bytes, the server sends more`)
      }
      await handle.write(value, 0, value.byteLength, at)
      at += value.byteLength
      task.onProgress({ received: at, total: task.size })
    }
    if (at < task.size) throw new Interrupted('the connection ended')
    return at
  } finally {
    clearTimeout(timer)
  }
}

/** Where the answer's bytes belong; null where what we have is not what the server would continue. */
async function startOf(response: Response, task: Download, handle: FileHandle, have: number): Promise<number | null> {
  if (response.status === 206) {
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1]
    if (Number(start) === have) return have
    await response.body?.cancel()
    return null
  }
  if (response.status === 200) return have === 0 ? 0 : restart(handle)
  await response.body?.cancel()
  if (response.status === 416) return null
  if (response.status >= 500 || response.status === 429 || response.status === 408) {
    throw new Interrupted(`the server answered ${response.status}`)
  }
  const reason =
    response.status === 401 || response.status === 403
      ? 'access denied (HF_TOKEN?)'
      : response.status === 404
        ? 'not found'
        : 'refused'
  return fail('Error', 'ERR_HUB', `[hub] ${task.name}: ${reason}, the server answered ${response.status}`)
}

function interrupted(error: unknown): Interrupted {
  const cause = (error as { cause?: { code?: string } }).cause?.code
  return new Interrupted(cause ?? (error instanceof Error ? error.message : String(error)), { cause: error })
}

async function verify(task: Download, partial: string): Promise<void> {
  if (task.sha256 === null) return
  const hash = createHash('sha256')
  const handle = await open(partial, 'r')
  try {
    for await (const chunk of handle.createReadStream({ highWaterMark: 1 << 22, autoClose: false })) hash.update(chunk)
  } finally {
    await handle.close()
  }
  const digest = hash.digest('hex')
  if (digest === task.sha256) return
  await rm(partial, { force: true })
  fail(
    'Error',
    'ERR_HUB',
    `[hub] ${task.name}: expected SHA-256 ${task.sha256}, got ${digest}; the damaged download is removed, run again`,
  )
}

/** Locks that this process holds or tries for: one taker at a time here, the file keeps other processes out. */
const taken = new Set<string>()
const heartbeatMilliseconds = 5000

/** One writer at a time: a lock is alive while its owner touches it, and is taken over when it does not any more. */
async function lock(path: string): Promise<() => Promise<void>> {
  for (;;) {
    if (!taken.has(path)) {
      taken.add(path)
      if (await tryLock(path)) break
      taken.delete(path)
    }
    await new Promise((done) => setTimeout(done, 100))
  }
  const beat = setInterval(() => {
    const now = new Date()
    utimes(path, now, now).catch(() => {})
  }, heartbeatMilliseconds)
  beat.unref()
  return async () => {
    clearInterval(beat)
    await rm(path, { force: true })
    taken.delete(path)
  }
}

/** Creates the lock file; one that nobody keeps alive is removed first. The caller is the only one of this process. */
async function tryLock(path: string): Promise<boolean> {
  try {
    if (await isStale(path)) await rm(path, { force: true })
    await writeFile(path, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    taken.delete(path)
    throw error
  }
}

async function isStale(path: string): Promise<boolean> {
  const [owner, touched] = await Promise.all([
    readFile(path, 'utf8').catch(() => ''),
    stat(path).then(
      (info) => info.mtimeMs,
      () => Date.now(),
    ),
  ])
  if (Date.now() - touched > 6 * heartbeatMilliseconds) return true
  // A file with our own id is a former process's that had the same one: here, nobody else is in the lock.
  return owner !== '' && (Number(owner) === process.pid || !isAlive(Number(owner)))
}
