import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { printJson } from '../../lib/text/json-print.js'
import { parseCallList } from '../../lib/text/python-calls.js'
import { cpuMilliseconds } from '../support/time.js'

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
    const took = cpuMilliseconds(() => void parseCallList(text))
    assert.ok(took < 2000, `${text.slice(0, 12)} took ${took} ms`)
  }
})

test.run()
