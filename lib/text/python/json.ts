import { JsonNumber, type JsonObject, type JsonValue, maxPythonDigits } from '../json.js'
import { pyRepr, reprFloat } from './repr.js'
import { PyKey, PyTuple, type PyValue } from './value.js'

/**
 * A value as Python's `json.dumps` takes it: tuples are lists, keys None, True and numbers their JSON texts; what JSON has no form for is
 * its `repr`, and an integer of more digits than Python reads back is text.
 */
export function toJson(value: PyValue): JsonValue {
  if (typeof value === 'bigint') return integer(String(value))
  if (typeof value === 'number') return new JsonNumber(jsonFloat(value))
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof PyTuple) return value.items.map(toJson)
  if (value instanceof Map) {
    const object: JsonObject = new Map()
    for (const [key, item] of value) object.set(key instanceof PyKey ? keyText(key.value) : key, toJson(item))
    return object
  }
  return value !== null && typeof value === 'object' ? value.repr : value
}

function integer(digits: string): JsonValue {
  return digits.replace('-', '').length > maxPythonDigits ? digits : new JsonNumber(digits)
}

function jsonFloat(value: number): string {
  if (Number.isFinite(value)) return reprFloat(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? 'Infinity' : '-Infinity'
}

function keyText(key: PyValue): string {
  if (key === null || typeof key === 'boolean') return String(key)
  return typeof key === 'number' ? jsonFloat(key) : pyRepr(key)
}
