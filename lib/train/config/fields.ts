import { z } from 'zod'

/** What a field says about itself: shown by the documentation and, as `expected`, by errors. */
export interface FieldMeta {
  /** One sentence for the documentation. */
  description: string
  /** What a right value looks like, where the schema's own type does not say it well. */
  expected?: string
  /** TRL's GRPOConfig or SFTConfig has the same setting under the snake_case of this name. */
  trl?: boolean
}

const units: Record<string, number> = { '': 1, KB: 1e3, MB: 1e6, GB: 1e9, KIB: 2 ** 10, MIB: 2 ** 20, GIB: 2 ** 30 }

/** Bytes of `1500000`, `"512MB"`, `"2 GB"` or `"1.5GiB"`; null when the text is not an amount of memory. */
export function parseBytes(value: number | string): number | null {
  if (typeof value === 'number') return Number.isFinite(value) && value > 0 ? Math.floor(value) : null
  const match = /^\s*(\d+(?:\.\d+)?)\s*(|[KMG]i?B)\s*$/i.exec(value)
  const unit = match && units[match[2]!.toUpperCase()]
  return unit ? parseBytes(Number(match[1]) * unit) : null
}

/** A whole number of at least `min`. */
export const count = (min: number, fallback: number, description: string, trl = false) =>
  z.int().min(min).default(fallback).meta({ description, trl })

/** A real number of at least 0. */
export const nonNegative = (fallback: number, description: string, trl = false) =>
  z.number().min(0).default(fallback).meta({ description, trl })

/** A real number above 0. */
export const positive = (fallback: number, description: string, trl = false) =>
  z.number().gt(0).default(fallback).meta({ description, trl })

/** A real number from 0 to 1. */
export const fraction = (fallback: number, description: string, trl = false) =>
  z.number().min(0).max(1).default(fallback).meta({ description, trl })

/** `true` or `false`. */
export const flag = (fallback: boolean, description: string, trl = false) =>
  z.boolean().default(fallback).meta({ description, trl })

/** An amount of memory, in bytes once parsed. */
export const memory = (fallback: string, description: string) =>
  z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const bytes = parseBytes(value)
      if (bytes !== null) return bytes
      context.addIssue({ code: 'custom', message: 'bytes', params: { expected: true } })
      return z.NEVER
    })
    .prefault(fallback)
    .meta({ description, expected: 'bytes, or a text like "2GB" or "512MiB"' })
