// Configs from YAML or JSON files and from `--set a.b=value`.

import { readFileSync } from 'node:fs'
import { parse, YAMLParseError } from 'yaml'
import { fail } from '../errors.js'

type Tree = Record<string, unknown>

/** Reads a YAML (or JSON) file that holds one group of keys. Throws `ERR_CONFIG` and says where the file is wrong. */
export function readConfigFile(path: string): Tree {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return fail('Error', 'ERR_CONFIG', `[config] cannot read ${path}: ${reason(error)}`, error)
  }
  const value = parseYaml(text, path)
  if (value === null || value === undefined) return {}
  if (isTree(value)) return value
  return fail(
    'TypeError',
    'ERR_CONFIG',
    `[config] ${path}: expected "key: value" lines, got ${Array.isArray(value) ? 'a list' : typeof value}`,
  )
}

function parseYaml(text: string, where: string): unknown {
  try {
    return parse(text, { maxAliasCount: 100 })
  } catch (error) {
    const at = error instanceof YAMLParseError && error.linePos ? `:${error.linePos[0].line}` : ''
    const message = reason(error).split(/ at line \d|\n/)[0]
    return fail('TypeError', 'ERR_CONFIG', `[config] ${where}${at}: ${message}`, error)
  }
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error))
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
      if (next !== undefined && next !== null && key !== 'dataset' && key !== 'evalDataset')
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
