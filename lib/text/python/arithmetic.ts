import type { BinaryOperator, Expression } from './ast.js'
import { type Constant, PyComplex, pyDict } from './constants.js'
import { refuse } from './raise.js'
import { pyRepr } from './repr.js'
import { PyTuple, type PyValue } from './value.js'

const mostBits = 1 << 16 // of an integer
const mostItems = 1_000_000 // of a repeated text or list

/**
 * What Python's `eval` gives for an expression of constants: numbers, text, lists, tuples, dicts and operators between them. Nothing is
 * looked up and nothing is called: a name, a call or anything else throws, as do operands that do not fit, and results that would not fit
 * into {@link mostBits} or {@link mostItems} (Python would go on computing).
 *
 * Throws a PythonError.
 */
export function evaluate(node: Expression): PyValue {
  switch (node.kind) {
    case 'constant':
      return value(node.value)
    case 'list':
      return node.items.map(evaluate)
    case 'tuple':
      return new PyTuple(node.items.map(evaluate))
    case 'dict':
      return pyDict(
        node.entries.map(({ key, value }) => [evaluate(key ?? refuse('unpacking')), evaluate(value)] as const),
      )
    case 'unary':
      return unary(node.operator, evaluate(node.operand))
    case 'binary':
      return binary(node.operator, evaluate(node.left), evaluate(node.right))
    default:
      return refuse(`a ${node.kind} among constants`)
  }
}

/** Python's `-constant` of a number. */
export function negate(constant: Constant): PyValue {
  return unary('-', value(constant))
}

function value(constant: Constant): PyValue {
  return typeof constant === 'symbol' ? refuse('... among values') : constant
}

function unary(operator: string, value: PyValue): PyValue {
  if (operator === 'not') return !truthy(value)
  if (typeof value === 'number') return operator === '+' ? value : operator === '-' ? -value : refuse('~ of a float')
  if (value instanceof PyComplex && operator === '-') return new PyComplex(-value.real, -value.imag)
  const int = toInt(value)
  if (int === null) return refuse(`${operator} of something else than a number`)
  return operator === '+' ? int : operator === '-' ? -int : ~int
}

function truthy(value: PyValue): boolean {
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof PyTuple) return value.items.length > 0
  if (value instanceof Map) return value.size > 0
  return typeof value === 'object' ? value !== null : Boolean(value)
}

function binary(operator: BinaryOperator, left: PyValue, right: PyValue): PyValue {
  if (typeof left === 'boolean' && typeof right === 'boolean' && '&|^'.includes(operator)) {
    return operator === '&' ? left && right : operator === '|' ? left || right : left !== right
  }
  const a = toInt(left)
  const b = toInt(right)
  if (a !== null && b !== null) return integers(operator, a, b)
  const x = typeof left === 'number' ? left : a === null ? null : toFloat(a)
  const y = typeof right === 'number' ? right : b === null ? null : toFloat(b)
  if (x !== null && y !== null) return floats(operator, x, y)
  if (operator === '+') return concatenate(left, right)
  if (operator === '*') return b === null ? repeat(right, a) : repeat(left, b)
  if (operator === '%' && typeof left === 'string') return format(left, right)
  return refuse(`operands of ${operator}`)
}

function toInt(value: PyValue): bigint | null {
  return typeof value === 'bigint' ? value : typeof value === 'boolean' ? BigInt(value) : null
}

function toFloat(value: bigint): number {
  const float = Number(value)
  return Number.isFinite(float) ? float : refuse('an int too large for a float')
}

function integers(operator: BinaryOperator, a: bigint, b: bigint): PyValue {
  switch (operator) {
    case '+':
      return a + b
    case '-':
      return a - b
    case '*':
      return bitLength(a) + bitLength(b) <= mostBits ? a * b : refuse('a product too large')
    case '/':
      return trueQuotient(a, b)
    case '//':
      return floorDivide(a, b)
    case '%':
      return a - b * floorDivide(a, b)
    case '**':
      return integerPower(a, b)
    case '<<':
      return b >= 0n && BigInt(bitLength(a)) + b <= mostBits ? a << b : refuse('a shift')
    case '>>':
      return b < 0n ? refuse('a negative shift') : b > mostBits ? (a < 0n ? -1n : 0n) : a >> b
    case '&':
      return a & b
    case '|':
      return a | b
    case '^':
      return a ^ b
    default:
      return refuse(`operands of ${operator}`)
  }
}

function bitLength(value: bigint): number {
  return (value < 0n ? -value : value).toString(16).length * 4
}

function floorDivide(a: bigint, b: bigint): bigint {
  if (b === 0n) refuse('a division by zero')
  const quotient = a / b
  return a % b !== 0n && a < 0n !== b < 0n ? quotient - 1n : quotient
}

/** The float nearest to a / b: 66 bits of the quotient and a sticky bit round as the exact value would. */
function trueQuotient(a: bigint, b: bigint): number {
  if (b === 0n) refuse('a division by zero')
  const small = (x: bigint) => x >= BigInt(Number.MIN_SAFE_INTEGER) && x <= BigInt(Number.MAX_SAFE_INTEGER)
  if (small(a) && small(b)) return Number(a) / Number(b)
  const [top, bottom] = [a < 0n ? -a : a, b < 0n ? -b : b]
  const shift = BigInt(Math.max(0, bitLength(bottom) - bitLength(top) + 72))
  const quotient = (top << shift) / bottom
  const sticky = (top << shift) % bottom === 0n ? 0n : 1n
  const value = Number((quotient << 1n) | sticky) / 2 ** Number(shift + 1n)
  if (!Number.isFinite(value)) refuse('a quotient too large for a float')
  return a < 0n === b < 0n ? value : -value
}

function integerPower(a: bigint, b: bigint): PyValue {
  if (b < 0n) return a === 0n ? refuse('a division by zero') : floats('**', toFloat(a), toFloat(b))
  if (a >= -1n && a <= 1n) return b % 2n === 0n ? a * a || (b === 0n ? 1n : 0n) : a
  return BigInt(bitLength(a)) * b <= mostBits ? a ** b : refuse('a power too large')
}

function floats(operator: BinaryOperator, x: number, y: number): PyValue {
  switch (operator) {
    case '+':
      return x + y
    case '-':
      return x - y
    case '*':
      return x * y
    case '/':
      return y === 0 ? refuse('a division by zero') : x / y
    case '//':
      return divideFloats(x, y).quotient
    case '%':
      return divideFloats(x, y).remainder
    case '**':
      return floatPower(x, y)
    default:
      return refuse(`operands of ${operator}`)
  }
}

/** Python's divmod of floats: the remainder has the divisor's sign, the quotient is whole. */
function divideFloats(x: number, y: number): { quotient: number; remainder: number } {
  if (y === 0) refuse('a division by zero')
  let remainder = x % y
  let quotient = (x - remainder) / y
  if (remainder === 0) remainder = Object.is(Math.sign(y), -1) ? -0 : 0
  else if (remainder < 0 !== y < 0) {
    remainder += y
    quotient -= 1
  }
  const whole = Math.floor(quotient)
  const rounded = quotient - whole > 0.5 ? whole + 1 : whole
  return { quotient: quotient === 0 ? (x / y < 0 ? -0 : 0) : rounded, remainder }
}

function floatPower(x: number, y: number): number {
  if (x === 1 || y === 0) return 1 // also of NaN
  if (x === 0 && y < 0) refuse('a division by zero')
  if (x < 0 && Number.isFinite(x) && Number.isFinite(y) && !Number.isInteger(y)) refuse('a complex power')
  const power = x ** y
  return Number.isFinite(power) || !Number.isFinite(x) || !Number.isFinite(y) ? power : refuse('a power too large')
}

function concatenate(left: PyValue, right: PyValue): PyValue {
  if (typeof left === 'string' && typeof right === 'string') return left + right
  if (Array.isArray(left) && Array.isArray(right)) return [...left, ...right]
  if (left instanceof PyTuple && right instanceof PyTuple) return new PyTuple([...left.items, ...right.items])
  return refuse('operands of +')
}

function repeat(value: PyValue, times: bigint | null): PyValue {
  const items = value instanceof PyTuple ? value.items : value
  if (times === null || !(typeof items === 'string' || Array.isArray(items))) return refuse('operands of *')
  const count = times < 0n ? 0n : times
  if (BigInt(items.length) * count > mostItems) refuse('a repetition too long')
  if (typeof items === 'string') return items.repeat(Number(count))
  const repeated = Array.from({ length: Number(count) }, () => items as PyValue[]).flat()
  return value instanceof PyTuple ? new PyTuple(repeated) : repeated
}

/** `text % values` with `%s`, `%r`, `%d`, `%i` and `%%`, without widths. */
function format(text: string, values: PyValue): string {
  const items: PyValue[] = values instanceof PyTuple ? [...values.items] : [values]
  const out = text.replace(/%([\s\S])?/gu, (_, code: string | undefined) => {
    if (code === '%') return '%'
    const item = items.shift()
    if (item === undefined) return refuse('too few values for a format')
    if (code === 's') return typeof item === 'string' ? item : pyRepr(item)
    if (code === 'r') return pyRepr(item)
    if (code === 'd' || code === 'i')
      return String(toInt(typeof item === 'number' ? BigInt(Math.trunc(item)) : item) ?? refuse('%d'))
    return refuse(`the format %${code ?? ''}`)
  })
  if (items.length > 0 && !(values instanceof Map)) refuse('too many values for a format')
  return out
}
