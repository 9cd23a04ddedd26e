import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { JsonNumber, type JsonValue, maxJsonDepth, parseJson } from '../../lib/text/json.js'
import { fromPlain, printJson, toPlain } from '../../lib/text/json-print.js'
import { cpuMilliseconds } from '../support/time.js'

const dumps = (text: string) => printJson(parseJson(text, 'python'), { sortKeys: true })

test('numbers keep their lexemes', () => {
  for (const lexeme of ['5', '5.0', '5e0', '1e2', '100', '-0', '1152921504606846976', '0.10', '1E+2']) {
    const value = parseJson(`[${lexeme}]`) as JsonNumber[]
    assert.is(value[0]?.lexeme, lexeme)
  }
  assert.is(printJson(parseJson('1152921504606846976')), '1152921504606846976')
})

test('prints what json.dumps(json.loads(text), sort_keys=True) prints', () => {
  // expected texts made with CPython 3.11
  const cases: [string, string][] = [
    ['1e2', '100.0'],
    ['1.50', '1.5'],
    ['-0', '0'],
    ['-0.0', '-0.0'],
    ['1e16', '1e+16'],
    ['1e15', '1000000000000000.0'],
    ['123456789012345678.0', '1.2345678901234568e+17'],
    ['0.0001', '0.0001'],
    ['0.00001', '1e-05'],
    ['1.5e-7', '1.5e-07'],
    ['5e-324', '5e-324'],
    ['1.7976931348623157e308', '1.7976931348623157e+308'],
    ['1e999', 'Infinity'],
    ['-1e999', '-Infinity'],
    ['NaN', 'NaN'],
    ['[Infinity, -Infinity]', '[Infinity, -Infinity]'],
    ['0.1e1', '1.0'],
    ['12345.678', '12345.678'],
    ['"é\\u007f\\/\\ud83d\\ude00\\ud800"', '"\\u00e9\\u007f/\\ud83d\\ude00\\ud800"'],
    ['"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\"', '"\\u0000\\u001f\\b\\f\\n\\r\\t\\"\\\\"'],
    ['{"b": {"d": 1, "c": [2,{}]}, "a": []}', '{"a": [], "b": {"c": [2, {}], "d": 1}}'],
    ['{"\\uffff": 1, "\\ud83d\\ude00": 2, "z": 3}', '{"z": 3, "\\uffff": 1, "\\ud83d\\ude00": 2}'],
    ['{"a": 1, "b": 2, "a": 3}', '{"a": 3, "b": 2}'],
    [' \t\r\n[ 1 ,\n2 ] ', '[1, 2]'],
  ]
  for (const [text, expected] of cases) assert.is(dumps(text), expected, text)
})

test('keeps the order of keys unless asked to sort, the first place of a duplicate', () => {
  assert.is(printJson(parseJson('{"b":1,"a":2,"b":3}')), '{"b": 3, "a": 2}')
})

test('refuses what CPython refuses, with line and column', () => {
  const bad = [
    '',
    '[',
    '{"a"}',
    '[1,]',
    '{"a":1,}',
    "{'a':1}",
    '01',
    '1.',
    '.5',
    '+1',
    '-',
    '1e',
    '"a\nb"',
    '"\\x"',
    '"\\u12g4"',
  ]
  for (const text of [
    ...bad,
    '[1] 2',
    'True',
    'nul',
    '{1: 2}',
    '\ufeff[]',
    '"abc',
    '{"a":',
    '--1',
    'infinity',
    '-NaN',
  ]) {
    assert.throws(() => parseJson(text, 'python'), /\[json\] expected/, text)
  }
  assert.throws(() => parseJson('{"a": 1,\n "b" 2}'), /line 2, column 6/)
  assert.throws(
    () => parseJson('[1'),
    (error: { code: string }) => error.code === 'ERR_JSON',
  )
})

test('the strict dialect is RFC 8259', () => {
  for (const text of ['NaN', '[Infinity]', '-Infinity']) {
    assert.throws(() => parseJson(text), /expected/, text)
    assert.not.throws(() => parseJson(text, 'python'), text)
  }
  const digits = '7'.repeat(4301)
  assert.throws(() => parseJson(digits, 'python'), /4300 digits/)
  assert.is((parseJson(digits) as JsonNumber).lexeme, digits)
  assert.not.throws(() => parseJson(`-${'7'.repeat(4300)}`, 'python'))
})

test('nesting is bounded, at the same depth for lists and objects', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)
  assert.not.throws(() => printJson(parseJson(nested(maxJsonDepth))))
  assert.throws(() => parseJson(nested(maxJsonDepth + 1)), /levels of nesting/)
  assert.throws(() => parseJson('{"a":'.repeat(maxJsonDepth + 1)), /levels of nesting/)
  assert.throws(() => parseJson('['.repeat(1 << 20)), /levels of nesting/)
})

test('a key called __proto__ is a key', () => {
  const value = parseJson('{"__proto__": {"polluted": true}, "constructor": 1}')
  const plain = toPlain(value) as Record<string, unknown>
  assert.is(({} as Record<string, unknown>).polluted, undefined)
  assert.is(plain.polluted, undefined)
  assert.equal(Object.keys(plain), ['__proto__', 'constructor'])
  assert.is(printJson(value), '{"__proto__": {"polluted": true}, "constructor": 1}')
})

test('plain values become JSON values and come back', () => {
  const value = { a: [1, 2.5, -3, 'x', null, true], b: { c: 2n ** 70n }, d: undefined }
  const json = fromPlain(value)
  assert.is(printJson(json), '{"a": [1, 2.5, -3, "x", null, true], "b": {"c": 1180591620717411303424}}')
  assert.equal(toPlain(fromPlain({ a: [1, { b: 'x' }] })), { a: [1, { b: 'x' }] })
  assert.is(printJson(fromPlain(parseJson('[1.0]'))), '[1.0]')
  const cycle: unknown[] = []
  cycle.push(cycle)
  assert.throws(() => fromPlain(cycle), /levels/)
  assert.throws(() => fromPlain(() => 1), /got function/)
})

test('agrees with JSON.parse on random values', () => {
  let state = 12345
  const random = (n: number) => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) % n
  const make = (depth: number): unknown => {
    const kind = random(depth > 3 ? 5 : 7)
    if (kind === 0) return random(2) === 1
    if (kind === 1) return null
    if (kind === 2) return random(2000) - 1000
    if (kind === 3) return (random(1e6) - 5e5) / 997
    if (kind === 4) return String.fromCharCode(...Array.from({ length: random(6) }, () => random(0xffff)))
    if (kind === 5) return Array.from({ length: random(4) }, () => make(depth + 1))
    return Object.fromEntries(Array.from({ length: random(4) }, (_, i) => [`k${i}${random(9)}`, make(depth + 1)]))
  }
  for (let i = 0; i < 500; i++) {
    const value = make(0)
    const text = JSON.stringify(value, null, random(3))
    assert.equal(toPlain(parseJson(text)), value)
    assert.equal(JSON.parse(printJson(parseJson(text))), value)
  }
})

test('time is linear: a megabyte of anything', () => {
  const texts = ['"\\'.padEnd(1 << 20, '\\'), `"${'\\u0041'.repeat(170_000)}"`, `[${'1,'.repeat(500_000)}1]`]
  texts.push(
    `{${'"a":1,'.repeat(150_000)}"a":1}`,
    `"${'x'.repeat(1 << 20)}`,
    '-'.repeat(1 << 20),
    `1${'0'.repeat(1 << 20)}`,
  )
  for (const text of texts) {
    let value = null as JsonValue
    const took = cpuMilliseconds(() => {
      try {
        value = parseJson(text, 'python')
      } catch {}
    })
    assert.ok(took < 2000, `${text.slice(0, 8)} took ${took} ms`)
    assert.ok(!(value instanceof JsonNumber))
  }
})

test.run()
