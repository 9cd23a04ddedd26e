// What runs and results are called on a page: the parts of their paths that tell them apart, and what is left without the seed.

import { sep } from 'node:path'

/** Folders that say which benchmark's results they hold and not whose. */
const benchmarkFolders = new Set(['bfcl', 'acebench', 'api-bank', 'eval', 'evals', 'results'])

/**
 * A short name for each path: without the folders that all share at either end, `a/x/run` and `a/y/run` are `x` and `y`. Equal paths have
 * equal names. The ending .jsonl is dropped.
 */
export function distinctNames(paths: readonly string[]): string[] {
  const split = paths.map((path) =>
    path
      .replace(/\.jsonl$/, '')
      .split(sep)
      .filter(Boolean),
  )
  if (new Set(paths).size < 2) {
    return split.map((parts) => parts.findLast((part) => !benchmarkFolders.has(part)) ?? parts.at(-1) ?? '')
  }
  const shortest = Math.min(...split.map((parts) => parts.length))
  const same = (at: (parts: string[]) => string | undefined) => new Set(split.map(at)).size === 1
  let start = 0
  while (start < shortest - 1 && same((parts) => parts[start])) start++
  let end = 0
  while (end < shortest - start - 1 && same((parts) => parts.at(-1 - end))) end++
  return split.map((parts) => {
    const kept = parts.slice(start, parts.length - end)
    const telling = kept.filter((part) => !benchmarkFolders.has(part))
    return (telling.length > 0 ? telling : kept).join('/')
  })
}

/** A name without the last place where the seed stands as a number of its own: `rl-v0-s1` of seed 1 is `rl-v0`. */
export function withoutSeed(name: string, seed: number): string {
  const found = [...name.matchAll(new RegExp(`(?:seed[-_]?|(?<![a-z])s)?(?<!\\d)${seed}(?!\\d)`, 'gi'))].at(-1)
  if (!found) return name
  const rest = name.slice(0, found.index) + name.slice(found.index + found[0].length)
  return rest.replace(/([-_./])[-_./]+/g, '$1').replace(/^[-_./]+|[-_./]+$/g, '') || name
}

/** One name for the runs of a setting. */
export function settingName(members: readonly { name: string; seed: number }[]): string {
  const names = members.map(({ name, seed }) => withoutSeed(name, seed))
  return new Set(names).size === 1 ? names[0]! : members.map(({ name }) => name).join(' + ')
}
