// Which runs are one setting tried with several seeds.

import { isDeepStrictEqual } from 'node:util'
import type { Run } from './read.js'

/** A setting and its runs: one, or several of different seeds. */
export interface Setting<T> {
  name: string
  members: T[]
}

/** Settings that name where a run is kept, not what it does. */
const naming = new Set(['name', 'outputDir', 'seed'])
/** Settings whose paths may tell the seed: the warm start of the same seed, questions drawn with it. */
const paths = new Set(['model', 'dataset', 'evalDataset'])

/** The run's seed; undefined where its config does not say. */
export function seedOf({ config }: Run): number | undefined {
  return typeof config.seed === 'number' ? config.seed : undefined
}

/** Whether two runs do the same with different seeds. */
export function sameSetting(a: Run, b: Run): boolean {
  const seeds = [seedOf(a), seedOf(b)] as const
  if (seeds[0] === undefined || seeds[1] === undefined || seeds[0] === seeds[1]) return false
  const keys = new Set([...Object.keys(a.config), ...Object.keys(b.config)].filter((key) => !naming.has(key)))
  return [...keys].every((key) => {
    const [x, y] = [a.config[key], b.config[key]]
    return paths.has(key) ? sameButSeed(x, y, seeds as [number, number]) : isDeepStrictEqual(x, y)
  })
}

/** Equal, or each with its own seed at the same place: `rl-0/sft.1` and `rl-7/sft.1` of seeds 0 and 7. */
function sameButSeed(x: unknown, y: unknown, seeds: readonly [number, number]): boolean {
  if (isDeepStrictEqual(x, y) || (x === seeds[0] && y === seeds[1])) return true
  if (typeof x === 'string' && typeof y === 'string') {
    const [left, right] = [x.split(/(\d+)/), y.split(/(\d+)/)]
    return (
      left.length === right.length &&
      left.every((part, i) => part === right[i] || (part === `${seeds[0]}` && right[i] === `${seeds[1]}`))
    )
  }
  if (typeof x !== 'object' || typeof y !== 'object' || x === null || y === null || Array.isArray(x)) return false
  const [left, right] = [x as Record<string, unknown>, y as Record<string, unknown>]
  // Numbers besides a seed of its own are what the setting does.
  return [...new Set([...Object.keys(left), ...Object.keys(right)])].every((key) =>
    key === 'seed' || typeof left[key] === 'string'
      ? sameButSeed(left[key], right[key], seeds)
      : isDeepStrictEqual(left[key], right[key]),
  )
}

/** Settings in the order of their first members; a member joins the first setting all of whose members it is `same` as. */
export function groupSettings<T>(
  items: readonly T[],
  same: (a: T, b: T) => boolean,
  name: (members: readonly T[]) => string,
): Setting<T>[] {
  const groups: T[][] = []
  for (const item of items) {
    const group = groups.find((members) => members.every((member) => same(member, item)))
    if (group) group.push(item)
    else groups.push([item])
  }
  return groups.map((members) => ({ name: name(members), members }))
}
