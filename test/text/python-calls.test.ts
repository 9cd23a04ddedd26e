import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { printJson } from '../../lib/text/json-print.js'
import { type CallListOptions, CallListReader } from '../../lib/text/python-calls.js'
import { cpuMilliseconds } from '../support/time.js'

const parseCallList = (text: string, options: CallListOptions = {}) => new CallListReader(options).read(text)
const read = (text: string) => parseCallList(text)?.map((call) => `${call.name} ${printJson(call.arguments)}`) ?? null

test('reads calls with Python literals, numbers as written', () => {
  assert.equal(read('[]'), [])
  assert.equal(read('[f()]'), ['f {}'])
  assert.equal(read(' [ f( a = 1 , b=2.0,) ,\n ns.g() ] '), ['f {"a": 1, "b": 2.0}', 'ns.g {}'])
  assert.equal(read('[Get Weather/v2(a=True, b=None, c=false)]'), ['Get Weather/v2 {"a": true, "b": null, "c": false}'])
  assert.equal(read('[f(a=[1, (2, -3.5)], b={"k": {\'l\': []}})]'), ['f {"a": [1, [2, -3.5]], "b": {"k": {"l": []}}}'])
  assert.equal(read('[f(a=+5, b=1_000, c=.5, d=5., e=1e3)]'), [
    'f {"a": 5, "b": 1000, "c": 0.5, "d": 5.0, "e": 1000.0}',
  ])
})

test('a bracket or a comma inside a string is text', () => {
  assert.equal(read(`[f(a="x (y), [z]", b='it\\'s "q"')]`), ['f {"a": "x (y), [z]", "b": "it\'s \\"q\\""}'])
  assert.equal(read('[f(a="\\n\\x41\\u00e9\\q")]'), ['f {"a": "\\nA\\u00e9\\\\q"}'])
})

test('a key called __proto__ is a key', () => {
  assert.equal(read('[f(__proto__=1)]'), ['f {"__proto__": 1}'])
})

test('neighbouring strings are one, and keys may have brackets', () => {
  assert.equal(read(`[f(a='x' "y", filter[name]=1)]`), ['f {"a": "xy", "filter[name]": 1}'])
})

test('names that hold brackets, quotes or commas are known from a list', () => {
  const names = ['Search (v2)', "User's Feed", 'a, b', 'Search', 'f(']
  const with_ = (text: string) => parseCallList(text, { names })?.map((call) => call.name) ?? null
  assert.equal(with_(`[Search (v2)(q="x"), User's Feed(), a, b(), Search(q=1), f()]`), [
    'Search (v2)',
    "User's Feed",
    'a, b',
    'Search',
    'f',
  ])
  assert.is(with_('[Search (v3)(q="x")]'), null)
  // The longest name that is there, also where longer ones begin alike.
  const nested = ['a(', 'a(b', 'a(b)c(', 'a(b)cd', 'a(b)ce', 'b(']
  const found = (text: string) => parseCallList(text, { names: nested })?.map((call) => call.name) ?? null
  assert.equal(found('[a(b)c((), a(b(), a((), b((), a()]'), ['a(b)c(', 'a(b', 'a(', 'b(', 'a'])
  assert.is(found('[a(b)ca()]'), null)
  assert.is(read('[Search (v2)(q="x")]'), null)
})

test('a call of a known name is found in any text', () => {
  const reader = new CallListReader({ names: ['f', 'Get Weather', 'Search (v2)'] })
  for (const text of ['[f(', 'so: [ Get Weather (a=1)]', '```\n[Search (v2)(q=1)\n```', '[[f()]]'])
    assert.ok(reader.mentions(text), text)
  for (const text of ['', 'f()', '[f]', '[g()]', '[Search (v3)()]', '[f, f()', '[Search (v2)]'])
    assert.not.ok(reader.mentions(text), text)
})

test('bare words are texts where they are allowed', () => {
  const bare = (text: string) => {
    const calls = parseCallList(text, { bareWords: true })
    return calls && printJson(calls.map((call) => call.arguments))
  }
  assert.is(
    bare('[f(day=2024-01-05, city=New York, n=-1.50, zip=02139, t=true, l=[a, 1])]'),
    '[{"day": "2024-01-05", "city": "New York", "n": -1.5, "zip": "02139", "t": true, "l": ["a", 1]}]',
  )
  assert.is(bare('[f(a=)]'), null)
  assert.is(bare('[f(a=b(c))]'), null)
  assert.is(read('[f(zip=02139)]'), null)
  assert.equal(read('[f(a=0, b=00, c=0.5)]'), ['f {"a": 0, "b": 0, "c": 0.5}'])
})

test('anything else is null', () => {
  const texts = ['', 'f()', '[f]', '[f(]', '[f(1)]', '[f(a=)]', '[f(a=b)]', '[f(a=1) g()]', '[f()] Done.', '[f(a="x)]']
  for (const text of [...texts, '[()]', '[f(a={1: 2})]', '[f(a=1.2.3)]', '[f(a="\\u12")]', 'I think [f()]']) {
    assert.is(read(text), null, text)
  }
})

test('nesting is bounded and time is linear', () => {
  assert.is(read(`[f(a=${'['.repeat(300)}${']'.repeat(300)})]`), null)
  const texts = [`[f(a=${'['.repeat(1 << 20)}`, `[f(a="${'\\'.repeat(1 << 20)}`, `[${' '.repeat(1 << 20)}`]
  texts.push(`[${'f(a=1),'.repeat(100_000)}f()]`, `[${'f'.repeat(1 << 20)}`)
  for (const text of texts) {
    const names = Array.from({ length: 20_000 }, (_, i) => `${'f('.repeat(20)}${i}`)
    for (const options of [{}, { bareWords: true, names }]) {
      const took = cpuMilliseconds(() => void parseCallList(text, options))
      assert.ok(took < 1000, `${text.slice(0, 12)} took ${took} ms`)
    }
  }
})

test.run()
