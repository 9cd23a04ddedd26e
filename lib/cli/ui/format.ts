// Numbers as people read them.

/** 12, 3.46, 0.0123, 1.2e-6: about three digits that say something. */
export function number(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–'
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size === 0) return '0'
  if (size >= 1e6 || size < 1e-4) return value.toExponential(1)
  if (Number.isInteger(value)) return value.toLocaleString('en-US')
  return size >= 100 ? value.toFixed(1) : size >= 1 ? value.toFixed(2) : value.toFixed(size < 0.01 ? 5 : 3)
}

export const percent = (share: number, digits = 1) =>
  Number.isFinite(share) ? `${(100 * share).toFixed(digits)} %` : '–'

const byteUnits = ['B', 'kB', 'MB', 'GB', 'TB']

/** Decimal units, as memory sizes in configs: 1.5 GB. */
export function bytes(value: number): string {
  const power = value < 1000 ? 0 : Math.min(byteUnits.length - 1, Math.floor(Math.log10(value) / 3))
  const scaled = value / 1000 ** power
  return `${power === 0 ? scaled : scaled.toFixed(scaled < 10 ? 2 : scaled < 100 ? 1 : 0)} ${byteUnits[power]}`
}

/** 0.42 s, 12.3 s, 4 min 02 s, 3 h 20 min. */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(2)} s`
  if (seconds < 60) return `${seconds.toFixed(1)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${String(Math.round(seconds % 60)).padStart(2, '0')} s`
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')} min`
}
