import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseJson } from '../../lib/text/json.js'
import { evaluate } from '../../lib/text/python/arithmetic.js'
import { PyBytes, PyComplex, pyDict } from '../../lib/text/python/constants.js'
import { decodeCalls } from '../../lib/text/python/decode.js'
import { parseExpression } from '../../lib/text/python/parse.js'
import { PythonError } from '../../lib/text/python/raise.js'
import { pyRepr as repr } from '../../lib/text/python/repr.js'
import { unparse } from '../../lib/text/python/unparse.js'
import { fromJson, PyTuple, type PyValue, pyEqual } from '../../lib/text/python/value.js'
import { repositoryRoot } from '../support/shared.js'
import { cpuMilliseconds } from '../support/time.js'

interface Row {
  text: string
  /** Null where CPython raises. */
  unparsed?: string | null
  /** Of f-strings, whose spelling stays. */
  accepted?: true
  /** Absent where the expression is not made of constants, null where computing it raises. */
  value?: string | null
}

test('expressions are accepted, printed and computed as CPython 3.11 does', () => {
  const file = join(repositoryRoot, 'test/fixtures/text/python-expressions.jsonl')
  const rows = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line): Row => JSON.parse(line))
  assert.ok(rows.length > 1000)
  for (const { text, unparsed, value, accepted } of rows) {
    const tree = parseExpression(text)
    if (accepted) {
      assert.ok(tree, text)
      continue
    }
    assert.is(tree && unparse(tree), unparsed, text)
    if (tree && value !== undefined)
      assert.is(
        computed(() => repr(evaluate(tree))),
        value,
        text,
      )
  }
})

function computed(value: () => string): string | null {
  try {
    return value()
  } catch (error) {
    if (error instanceof PythonError) return null
    throw error
  }
}

const decoded = (text: string, bareCall: 'text' | 'object' = 'object') =>
  decodeCalls(text, { bareCall, loneCall: false })?.map(({ name, args }) => `${name}${repr(args)}`) ?? null

test('calls are decoded by the rules of the Berkeley leaderboard', () => {
  assert.equal(decoded("[a.b(x=1, y='2'), c()]"), ["a.b{'x': 1, 'y': '2'}", 'c{}'])
  assert.equal(decoded('[f(+5, x=+5, y=not True, z=~0, x=2)]'), ["f{'x': 2, 'y': -1, 'z': 0}"])
  assert.equal(decoded('[f(a=b, c=x[0], d=(y+1)[1:2], e=g(h(1)))]'), [
    "f{'a': 'b', 'c': 'x[0]', 'd': 'y + 1[1:2]', 'e': {'g': {}}}",
  ])
  assert.equal(decoded('[f(e=g(h(1)), i=g(j=2))]', 'text'), ["f{'e': 'g(h(1))', 'i': {'g': {'j': 2}}}"])
  assert.equal(decoded("[f(a=..., b='x' 'y', **c)]"), ["f{'a': '...', 'b': 'xy', None: 'c'}"])
  assert.equal(decoded("[f()(a=1), 'g'(b=1), 'h'.i()]"), ["{'a': 1}", "{'b': 1}", 'i{}'])
  assert.equal(decoded("[f(a=(1, 2.0), b={1: 2, True: 3}, c=2j, d=b'x')]"), [
    "f{'a': (1, 2.0), 'b': {1: 3}, 'c': 2j, 'd': b'x'}",
  ])
  assert.equal(decoded('(f(), g())'), ['f{}', 'g{}'])
  assert.equal(decoded('{f(), g()}'), ['f{}', 'g{}'])
  assert.equal(decoded('[]'), [])
  for (const refused of [
    'f()',
    '[f]',
    '[f(a=--5)]',
    '[f(a=-x)]',
    "[f(a=-'x')]",
    '[f(a=b.c)]',
    '[f(a=1 < 2)]',
    '[f(a=1 if x else 2)]',
    '[f(a={1})]',
    '[f(a=[*b])]',
    '[f(a={**b})]',
    '[f(a={[1]: 2})]',
    '[f(a=lambda: 1)]',
    '[f(a=1 + b)]',
    '[f(a=1 / 0)]',
    "[f(a=f'x')]",
    '[f(a=1',
  ]) {
    assert.is(decoded(refused), null, refused)
  }
})

test('a call alone is a list of one where the benchmark says so', () => {
  assert.is(decodeCalls('f(a=1)', { bareCall: 'text', loneCall: true })?.length, 1)
})

const spell = (text: string) => repr(fromJson(parseJson(text)))

test('repr spells JSON values as Python does', () => {
  const cases: [string, string][] = [
    [
      '[1, 1.0, -0.0, 1e16, 1e15, 1e-5, 0.0001, 1e999]',
      '[1, 1.0, -0.0, 1e+16, 1000000000000000.0, 1e-05, 0.0001, inf]',
    ],
    ['{"a": null, "b": [true, false]}', "{'a': None, 'b': [True, False]}"],
    [`["it's", "say \\"hi\\"", "both ' and \\""]`, `["it's", 'say "hi"', 'both \\' and "']`],
    [
      '["\\n\\t\\\\\\u0000\\u007f\\u00a0\\u00e9\\u200b\\u4e2d\\ud800 "]',
      "['\\n\\t\\\\\\x00\\x7f\\xa0é\\u200b中\\ud800 ']",
    ],
    ['["\\ud83d\\ude00", "\\udb40\\udc01"]', "['😀', '\\U000e0001']"],
    ['123456789012345678901234567890', '123456789012345678901234567890'],
  ]
  for (const [json, expected] of cases) assert.is(spell(json), expected, json)
  assert.is(repr(new PyTuple([1n])), '(1,)')
  assert.is(repr(new PyComplex(0, 2)), '2j')
  assert.is(repr(new PyComplex(-0, -2)), '(-0-2j)')
  assert.is(repr(new PyBytes("a'\xff")), 'b"a\'\\xff"')
})

test('equality is by value across numbers and by type elsewhere', () => {
  const equal: [PyValue, PyValue][] = [
    [1n, 1],
    [1n, true],
    [0, false],
    [2n ** 53n, 2 ** 53],
    [
      [1n, [2]],
      [1, [2n]],
    ],
    [
      pyDict([
        ['a', 1n],
        ['b', 2n],
      ]),
      pyDict([
        ['b', 2n],
        ['a', 1n],
      ]),
    ],
    [new PyTuple([1n]), new PyTuple([true])],
  ]
  for (const [a, b] of equal) assert.ok(pyEqual(a, b), `${repr(a)} == ${repr(b)}`)
  const different: [PyValue, PyValue][] = [
    [2n ** 53n + 1n, 2 ** 53],
    ['1', 1n],
    [null, false],
    [[1n], new PyTuple([1n])],
    [Number.NaN, Number.NaN],
    [new PyBytes('a'), 'a'],
    [pyDict([['a', 1n]]), pyDict([['b', 1n]])],
    [[], pyDict([])],
  ]
  for (const [a, b] of different) assert.not.ok(pyEqual(a, b), `${repr(a)} != ${repr(b)}`)
})

test('a dict keeps the first spelling of a key and its place', () => {
  const dict = pyDict([
    [1n, 'a'],
    ['x', 'b'],
    [true, 'c'],
    [new PyTuple([1, 'y']), 'd'],
    [new PyTuple([1n, 'y']), 'e'],
  ])
  assert.is(repr(dict), "{1: 'c', 'x': 'b', (1.0, 'y'): 'e'}")
})

test('a megabyte of anything takes less than a second', () => {
  const size = 1_000_000
  const fill = (unit: string) => unit.repeat(Math.ceil(size / unit.length))
  const texts = {
    brackets: fill('['),
    'open calls': fill('f('),
    'closed brackets': fill(']'),
    quotes: fill("'"),
    'triple quotes': `"""${fill('""\\')}`,
    backslashes: `'${fill('\\')}`,
    escapes: `[f(a='${fill('\\x41')}')]`,
    names: `[f(a='${fill('\\N{BULLET}')}')]`,
    'open names': `'${fill('\\N{')}`,
    'adjacent texts': `[f(a=${fill("'a' ")})]`,
    'open texts': fill("'a"),
    commas: fill(','),
    items: `[f(a=[${fill('1,')}])]`,
    keywords: `[f(${fill('a=1,')})]`,
    calls: `[${fill('f(),')}]`,
    minuses: fill('-'),
    nots: fill('not '),
    pluses: `[f(a=1${fill('+1')})]`,
    powers: fill('2**'),
    dots: `a${fill('.b')}`,
    subscripts: `a${fill('[0]')}`,
    ternaries: fill('a if b else '),
    lambdas: fill('lambda:'),
    comparisons: `a${fill('<b')}`,
    comments: fill('#\n'),
    newlines: fill('\n'),
    continuations: fill('\\\n'),
    digits: fill('1'),
    'hexadecimal digits': `0x${fill('f')}`,
    underscores: fill('1_'),
    points: fill('1.'),
    exponents: fill('1e'),
    identifiers: fill('a'),
    'wide letters': fill('ｆ'),
    'half pairs': fill('\ud800'),
    spaces: fill(' '),
    'a long repetition': "[f(a='a'*999999999)]",
    'a large power': '[f(a=9**999999999)]',
    'a large shift': '[f(a=1<<999999999)]',
    clauses: `[a ${fill('for a in a ')}]`,
    'dict entries': `[f(a={${fill("'a':1,")}})]`,
    'f-strings': `f'${fill('{')}'`,
    fields: `f'${fill('{a}')}'`,
    'nested fields': `f'${fill('{a:')}'`,
  }
  for (const [name, text] of Object.entries(texts)) {
    const milliseconds = cpuMilliseconds(() => decoded(text))
    assert.ok(milliseconds < 1000, `${name}: ${milliseconds.toFixed(0)} ms`)
  }
})

test.run()
