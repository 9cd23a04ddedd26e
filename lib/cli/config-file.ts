// Configs from YAML or JSON files and from `--set a.b=value`.

import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import { parse, YAMLParseError } from 'yaml'
import { fail } from '../errors.js'

type Tree = Record<string, unknown>

/** A config may stand on one that stands on one that … so many times. */
const mostBases = 8

/** Length of a config: a data set given by mistake is not read, and what the parser makes of deep nesting stays short. */
const mostBytes = 128 * 1024

/**
 * Reads a YAML (or JSON) file that holds one group of keys.
 *
 * `extends: base.yaml` takes another file's keys first, by a path relative to the file that says it. Groups are merged key by key; any
 * other value, lists too, replaces the base's.
 *
 * @throws `ERR_CONFIG` saying where the file is wrong, or that files extend each other in a circle
 */
export function readConfigFile(path: string): Tree {
  return readChain(path, [])
}

function readChain(path: string, above: readonly { path: string; real: string }[]): Tree {
  const { extends: base, ...own } = readTree(path)
  if (base === undefined) return own
  const chain = [...above, { path, real: realpathSync(path) }]
  const bad = (what: string) => fail('TypeError', 'ERR_CONFIG', `[config] ${path}: extends: ${what}`)
  if (typeof base !== 'string' || base === '') return bad('expected the path of another config')
  if (isAbsolute(base) || /^[a-z][a-z+.-]*:/i.test(base)) {
    return bad(`expected a path relative to this file, got ${JSON.stringify(base)}`)
  }
  if (chain.length > mostBases) return bad(`expected at most ${mostBases} files on top of each other`)
  const next = join(dirname(path), base)
  const real = existsSync(next) ? realpathSync(next) : next
  const start = chain.findIndex((file) => file.real === real)
  if (start >= 0) {
    const circle = [...chain.slice(start).map((file) => file.path), next]
    return bad(`expected no circle, got ${circle.join(' > ')}`)
  }
  return merge(readChain(next, chain), own)
}

/** A text stands for a data set's path, so a group can be laid over it. */
function merge(base: Tree, over: Tree): Tree {
  const result = structuredClone(base)
  for (const [key, value] of Object.entries(over)) {
    const before = Object.hasOwn(base, key) ? base[key] : undefined
    const group = isDataset(key) && typeof before === 'string' ? { path: before } : before
    define(result, key, isTree(value) && isTree(group) ? merge(group, value) : value)
  }
  return result
}

function readTree(path: string): Tree {
  const value = parseYaml(readText(path), path)
  if (value === null || value === undefined) return {}
  if (isTree(value)) return value
  return fail(
    'TypeError',
    'ERR_CONFIG',
    `[config] ${path}: expected "key: value" lines, got ${Array.isArray(value) ? 'a list' : typeof value}`,
  )
}

function readText(path: string): string {
  try {
    if (statSync(path).size <= mostBytes) return readFileSync(path, 'utf8')
  } catch (error) {
    return fail('Error', 'ERR_CONFIG', `[config] cannot read ${path}: ${reason(error)}`, error)
  }
  return tooLong(path)
}

function parseYaml(text: string, where: string): unknown {
  if (Buffer.byteLength(text) > mostBytes) return tooLong(where)
  try {
    return parse(text, { maxAliasCount: 100 })
  } catch (error) {
    // The parser calls itself for each level.
    if (/maximum call stack/i.test(reason(error)))
      return fail(
        'TypeError',
        'ERR_CONFIG',
        `[config] ${where}: expected a config, got one that is nested too deeply`,
        error,
      )
    const at = error instanceof YAMLParseError && error.linePos ? `:${error.linePos[0].line}` : ''
    const message = reason(error).split(/ at line \d|\n/)[0]
    return fail('TypeError', 'ERR_CONFIG', `[config] ${where}${at}: ${message}`, error)
  }
}

function tooLong(where: string): never {
  return fail(
    'RangeError',
    'ERR_CONFIG',
    `[config] ${where}: expected a config of at most ${mostBytes} bytes, got more`,
  )
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error))
const isDataset = (key: string) => key === 'dataset' || key === 'evalDataset'
const isTree = (value: unknown): value is Tree => typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Applies `--set key.path=value` texts in order and returns a new tree. Values are YAML: `1e-6`, `true`, `null`, `[a, b]`, or text.
 * Keys are own properties only, so that `__proto__` is a key like any other (and the schema refuses it).
 */
export function applySettings(config: Tree, settings: readonly string[]): Tree {
  const result = structuredClone(config)
  for (const setting of settings) {
    const equals = setting.indexOf('=')
    if (equals < 1) fail('TypeError', 'ERR_CONFIG', `[config] --set: expected key=value, got "${setting}"`)
    const path = setting.slice(0, equals).trim().split('.')
    if (path.includes(''))
      fail('TypeError', 'ERR_CONFIG', `[config] --set: expected a key like a.b, got "${path.join('.')}"`)
    put(result, path, parseYaml(setting.slice(equals + 1), `--set ${path.join('.')}`), setting)
  }
  return result
}

function put(tree: Tree, path: readonly string[], value: unknown, setting: string): void {
  let at: Tree | unknown[] = tree
  for (const [i, key] of path.entries()) {
    if (Array.isArray(at) && !(/^\d+$/.test(key) && Number(key) <= at.length))
      fail(
        'TypeError',
        'ERR_CONFIG',
        `[config] --set ${setting}: expected an index from 0 to ${at.length}, got "${key}"`,
      )
    if (i === path.length - 1) {
      define(at, key, value)
      return
    }
    let next = Object.hasOwn(at, key) ? (at as Tree)[key] : undefined
    // A path or a name alone stands for a group of keys: `dataset: a.jsonl` and `--set dataset.limit=9` go together.
    if (typeof next !== 'object' || next === null) {
      if (next !== undefined && next !== null && !isDataset(key))
        fail(
          'TypeError',
          'ERR_CONFIG',
          `[config] --set ${setting}: "${path.slice(0, i + 1).join('.')}" is a value, not a group of keys`,
        )
      next = typeof next === 'string' ? { path: next } : {}
      define(at, key, next)
    }
    at = next as Tree | unknown[]
  }
}

function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true })
}
