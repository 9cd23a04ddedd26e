// File access shared by the readers and writers of this folder: bounded reads, fsync, folders that appear whole or not at all.

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { access, type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { fail } from '../errors.js'

/** The operating system's reason for a failed call, in words a user can act on. */
export function ioReason(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code
  switch (code) {
    case 'ENOENT':
      return 'it does not exist'
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'permission denied'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'no space left on the device'
    case 'ENOTDIR':
      return 'a part of the path is a file, not a folder'
    case 'EEXIST':
      return 'a file of that name is in the way'
    case 'EISDIR':
      return 'it is a folder, not a file'
    case 'EMFILE':
    case 'ENFILE':
      return 'too many open files'
    default:
      return error instanceof Error ? error.message : String(error)
  }
}

/** Reads exactly `target.byteLength` bytes at `position`; a short file is an error of `where`. */
export async function readExactly(
  handle: FileHandle,
  target: Uint8Array,
  position: number,
  where: string,
): Promise<void> {
  let done = 0
  while (done < target.byteLength) {
    const length = Math.min(target.byteLength - done, 1 << 28)
    const { bytesRead } = await handle.read(target, done, length, position + done)
    if (bytesRead === 0) {
      fail(
        'Error',
        'ERR_FORMAT',
        `${where}: expected ${number(target.byteLength)} bytes at byte ${number(position)}, the file ended after ${number(done)} of them`,
      )
    }
    done += bytesRead
  }
}

/** Opens a file to read; `where` starts the error's message, as in `[gguf] model.gguf`. */
export async function openToRead(path: string, where: string): Promise<{ handle: FileHandle; size: number }> {
  let handle: FileHandle
  try {
    handle = await open(path, 'r')
  } catch (error) {
    return fail('Error', 'ERR_IO', `${where}: cannot open ${path}: ${ioReason(error)}`, error)
  }
  const info = await handle.stat()
  if (!info.isFile()) {
    await handle.close()
    fail('Error', 'ERR_IO', `${where}: expected a file, ${path} is not one`)
  }
  return { handle, size: info.size }
}

/** Largest JSON side file that is read (a tokenizer.json of 250,000 tokens has 20 MB). */
const maxJsonBytes = 256 * 2 ** 20

/** Text of a small file; `null` where it does not exist. */
export async function readTextIfPresent(path: string, where: string): Promise<string | null> {
  try {
    const { size } = await stat(path)
    if (size > maxJsonBytes) {
      fail(
        'RangeError',
        'ERR_FORMAT',
        `${where} ${basename(path)}: expected at most ${number(maxJsonBytes)} bytes, got ${number(size)}`,
      )
    }
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (code === 'ENOENT' || code === 'ENOTDIR') return null
    if (code?.startsWith('ERR_')) throw error
    return fail('Error', 'ERR_IO', `${where} cannot read ${path}: ${ioReason(error)}`, error)
  }
}

/** A JSON object out of text; anything else is one error that names the file. */
export function parseJsonObject(text: string, where: string): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    fail('Error', 'ERR_FORMAT', `${where}: expected JSON, got ${error instanceof Error ? error.message : error}`, error)
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    fail(
      'Error',
      'ERR_FORMAT',
      `${where}: expected a JSON object, got ${Array.isArray(value) ? 'a list' : String(value)}`,
    )
  }
  return value as Record<string, unknown>
}

export async function exists(path: string): Promise<boolean> {
  return access(path, constants.F_OK).then(
    () => true,
    () => false,
  )
}

/** Flushes a folder's entries, so that a rename or a new file in it survives a power cut. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** Writes and fsyncs one file. */
export async function writeFileSynced(path: string, content: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'w')
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Makes the folder `path` with what `fill` writes into it, or leaves everything as it was.
 *
 * `fill` gets a temporary folder beside `path`; every file it writes must be fsynced by it. The folder is then renamed into
 * place. An existing folder at `path` is moved aside first and removed last, so at each instant the old or the new one
 * is whole on the disk.
 */
export async function writeFolderAtomically(
  path: string,
  fill: (temporary: string) => Promise<void>,
  where: string,
): Promise<void> {
  const target = resolve(path)
  const parent = dirname(target)
  const suffix = `${process.pid}-${randomBytes(4).toString('hex')}`
  const temporary = join(parent, `.${basename(target)}.writing-${suffix}`)
  const aside = join(parent, `.${basename(target)}.replaced-${suffix}`)
  let moved = false
  try {
    await mkdir(parent, { recursive: true })
    await removeAbandoned(parent, basename(target))
    await mkdir(temporary)
    await fill(temporary)
    await syncFolder(temporary)
    if (await exists(target)) {
      if (!(await stat(target)).isDirectory()) {
        fail('Error', 'ERR_IO', `${where} expected a folder's path, ${target} is a file`)
      }
      await rename(target, aside)
      moved = true
    }
    await rename(temporary, target)
    await syncFolder(parent)
    if (moved) await rm(aside, { recursive: true, force: true })
  } catch (error) {
    if (moved && !(await exists(target))) await rename(aside, target).catch(() => {})
    await rm(temporary, { recursive: true, force: true }).catch(() => {})
    if (error instanceof Error && (error as { code?: string }).code?.startsWith('ERR_')) throw error
    fail('Error', 'ERR_IO', `${where} cannot write ${target}: ${ioReason(error)}`, error)
  }
}

/** Half-written folders of processes that were killed; those of living ones stay. */
async function removeAbandoned(parent: string, name: string): Promise<void> {
  const prefix = `.${name}.writing-`
  for (const entry of await readdir(parent)) {
    const owner = entry.startsWith(prefix) ? Number.parseInt(entry.slice(prefix.length), 10) : Number.NaN
    if (Number.isInteger(owner) && !isAlive(owner)) await rm(join(parent, entry), { recursive: true, force: true })
  }
}

/** Whether a process with this id runs on this machine. */
export function isAlive(processId: number): boolean {
  try {
    process.kill(processId, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** 91204 as `91,204`: byte offsets are read by people. */
export function number(value: number | bigint): string {
  return value.toLocaleString('en-US')
}
