import type { DecoderConfig } from '../../nn/config.js'
import { shapeConfig, shapeNames } from '../../nn/shapes.js'
import { leastKv, type MemorySettings, memoryParts, totalOf } from './memory.js'

/** Part of a device's memory that is left to the driver and to gaps between blocks. */
const reserve = 0.05

/** A setting that would take less memory. */
export interface Change {
  key: string
  value: string
  /** False: the run gives the same weights, only slower. */
  changesResult: boolean
}

/** What would make a run fit. */
export interface Advice {
  /** Settings that together are enough; null where no settings are. */
  changes: Change[] | null
  /** The largest known model of the same family that fits with settings that do not change its result; null where none does. */
  smallerModel: string | null
  /** Memory of a device that would hold the run as it is. */
  deviceMemory: number
  /** How many of these devices could hold it: first as it is, then the fewest with settings that change memory alone; empty where no number could. */
  devices: DeviceCount[]
}

/** Devices that could hold a run, had each a part of weights, gradients and moments, and activations, keys and values of its own. */
export interface DeviceCount {
  devices: number
  /** Settings that the number assumes; empty: those that were given. */
  changes: Change[]
}

/** Bytes of a device that a run may use. */
export const usableBytes = (deviceMemory: number): number => deviceMemory * (1 - reserve)

type Step = { apply(settings: MemorySettings): MemorySettings; change: Change }

/** Whether a run fits into a device; else what would. */
export function adviceFor(config: DecoderConfig, settings: MemorySettings, deviceMemory: number): Advice | null {
  const usable = usableBytes(deviceMemory)
  const total = totalOf(memoryParts(config, settings))
  if (total <= usable) return null
  return {
    changes: changesThatFit(config, settings, usable),
    smallerModel: smallerModel(config, settings, usable),
    deviceMemory: total / (1 - reserve),
    devices: devicesThatFit(config, settings, usable),
  }
}

/** The fewest changes, the harmless ones first. */
function changesThatFit(config: DecoderConfig, settings: MemorySettings, usable: number): Change[] | null {
  const steps: Step[] = []
  let current = settings
  for (const make of makers) {
    const step = make(config, current, usable)
    if (!step) continue
    steps.push(step)
    current = step.apply(current)
    if (!fits(config, current, usable)) continue
    return pruned(config, settings, steps, usable).map(({ change }) => change)
  }
  return null
}

/** Leaves out what is not needed, from the first: a later change may have made it so. */
function pruned(config: DecoderConfig, settings: MemorySettings, steps: readonly Step[], usable: number): Step[] {
  let kept = [...steps]
  for (const step of steps) {
    const without = kept.filter((other) => other !== step)
    if (
      fits(
        config,
        without.reduce((s, { apply }) => apply(s), settings),
        usable,
      )
    )
      kept = without
  }
  return kept
}

function fits(config: DecoderConfig, settings: MemorySettings, usable: number): boolean {
  const enough = settings.kvMemory === null || settings.kvMemory >= leastKv(config, settings)
  return enough && totalOf(memoryParts(config, settings)) <= usable
}

type Maker = (config: DecoderConfig, settings: MemorySettings, usable: number) => Step | null

const set = (key: string, value: string, changesResult: boolean, over: Partial<MemorySettings>): Step => ({
  apply: (settings) => ({ ...settings, ...over }),
  change: { key, value, changesResult },
})

const checkpointing: Maker = (_config, { gradientCheckpointing }) =>
  gradientCheckpointing ? null : set('gradientCheckpointing', 'true', false, { gradientCheckpointing: true })

const smallerMicrobatch: Maker = (_config, { tokensPerMicrobatch, maxPrompt, maxCompletion }) => {
  const longest = maxPrompt + maxCompletion
  if (tokensPerMicrobatch <= longest) return null
  return set('tokensPerMicrobatch', `${longest}`, false, { tokensPerMicrobatch: longest })
}

/** Keys and values get what the rest leaves, in whole tenths of a GB, but not less than one answer needs. */
const smallerKv: Maker = (config, settings, usable) => {
  if (settings.kvMemory === null) return null
  const room = usable - totalOf(memoryParts(config, { ...settings, kvMemory: 0 }))
  const least = Math.ceil(leastKv(config, settings) / 1e8) * 1e8
  const kvMemory = Math.max(least, Math.floor(room / 1e8) * 1e8)
  if (kvMemory >= settings.kvMemory) return null
  return set('kvMemory', `${(kvMemory / 1e9).toFixed(1)}GB`, false, { kvMemory })
}

const bf16: Maker = (_config, { dtype }) => (dtype === 'bf16' ? null : set('dtype', 'bf16', true, { dtype: 'bf16' }))

const noReference: Maker = (_config, { reference }) => (reference ? set('beta', '0', true, { reference: false }) : null)

const shorterAnswers: Maker = (_config, { maxCompletion }) =>
  maxCompletion > 1024 ? set('maxCompletionLength', '1024', true, { maxCompletion: 1024 }) : null

const harmless = [checkpointing, smallerMicrobatch, smallerKv]
const makers: readonly Maker[] = [...harmless, bf16, noReference, shorterAnswers, smallerMicrobatch, smallerKv]

function smallerModel(config: DecoderConfig, settings: MemorySettings, usable: number): string | null {
  const smaller = shapeNames
    .map((name) => ({ name, config: shapeConfig(name) }))
    .filter((shape) => isOfSeries(shape.config, config) && size(shape.config) < size(config))
    .sort((a, b) => size(b.config) - size(a.config))
  const found = smaller.find((shape) => {
    return fits(shape.config, settings, usable) || fits(shape.config, leanest(shape.config, settings, usable), usable)
  })
  return found?.name ?? null
}

const size = (config: DecoderConfig) =>
  config.numLayers * config.hiddenSize * (config.hiddenSize + config.intermediateSize)

/** Models of one series end their turns alike. */
const isOfSeries = (a: DecoderConfig, b: DecoderConfig) =>
  a.family === b.family && a.eosTokenIds.join() === b.eosTokenIds.join()

/** The settings with all that changes memory alone. */
const leanest = (config: DecoderConfig, settings: MemorySettings, usable: number): MemorySettings =>
  harmless.reduce((s, make) => make(config, s, usable)?.apply(s) ?? s, settings)

function devicesThatFit(config: DecoderConfig, settings: MemorySettings, usable: number): DeviceCount[] {
  const asGiven = devicesFor(config, settings, usable)
  let least = settings
  const changes: Change[] = []
  for (const make of [checkpointing, smallerMicrobatch, leastKvMemory]) {
    const step = make(config, least, usable)
    if (!step) continue
    least = step.apply(least)
    changes.push(step.change)
  }
  const fewest = devicesFor(config, least, usable)
  return [
    ...(asGiven === null ? [] : [{ devices: asGiven, changes: [] }]),
    ...(fewest === null || (asGiven !== null && fewest >= asGiven) ? [] : [{ devices: fewest, changes }]),
  ]
}

/** Null where activations, keys and values alone are too much for a device: they are not split. */
function devicesFor(config: DecoderConfig, settings: MemorySettings, usable: number): number | null {
  const { activations, kv, ...split } = memoryParts(config, settings)
  const room = usable - activations - kv
  return room > 0 ? Math.ceil(Object.values(split).reduce((sum, bytes) => sum + bytes, 0) / room) : null
}

/** Keys and values of one longest answer, in whole tenths of a GB. */
const leastKvMemory: Maker = (config, settings) => {
  const kvMemory = Math.ceil(leastKv(config, settings) / 1e8) * 1e8
  if (settings.kvMemory === null || kvMemory >= settings.kvMemory) return null
  return set('kvMemory', `${(kvMemory / 1e9).toFixed(1)}GB`, false, { kvMemory })
}
