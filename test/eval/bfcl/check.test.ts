import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Category } from '../../../lib/eval/bfcl/categories.js'
import { judge } from '../../../lib/eval/bfcl/check.js'
import type { BfclQuestion } from '../../../lib/eval/bfcl/types.js'
import { PyTuple } from '../../../lib/text/python/value.js'
import { py, question } from './support.js'

const options = { underscoreToDot: false }
const errorOf = (asked: BfclQuestion, calls: string) => judge(asked, { value: py(calls) }, options).errorType

test('an int passes for a float at the top, never inside a list', () => {
  const asked = question({ x: 'float', xs: ['array', 'float'] }, '{"x": [5.0], "xs": [[1.0, 2.0]]}')
  assert.is(errorOf(asked, '[{"f": {"x": 5, "xs": [1.0, 2.0]}}]'), null)
  assert.is(errorOf(asked, '[{"f": {"x": 5.0, "xs": [1, 2.0]}}]'), 'type_error:nested')
})

test('a bool is no int, although Python calls them equal', () => {
  const asked = question({ n: 'integer' }, '{"n": [1]}')
  assert.is(errorOf(asked, '[{"f": {"n": true}}]'), 'type_error:simple')
  assert.is(errorOf(asked, '[{"f": {"n": 1.0}}]'), 'type_error:simple')
})

test('integers beyond 2^53 differ by one', () => {
  const asked = question({ n: 'integer' }, '{"n": [9007199254740993]}')
  assert.is(errorOf(asked, '[{"f": {"n": 9007199254740993}}]'), null)
  assert.is(errorOf(asked, '[{"f": {"n": 9007199254740992}}]'), 'value_error:others')
})

test('strings of a list are standardized at its top level only', () => {
  const asked = question({ a: ['array', 'array'] }, '{"a": [[["New York"]]]}')
  assert.is(errorOf(asked, '[{"f": {"a": [["New York"]]}}]'), null)
  assert.is(errorOf(asked, '[{"f": {"a": [["new york"]]}}]'), 'value_error:list/tuple')
  const flat = question({ a: ['array', 'string'] }, '{"a": [["New York"]]}')
  assert.is(errorOf(flat, '[{"f": {"a": ["new-york"]}}]'), null)
})

test('a tuple is a list where the schema says tuple, and nowhere else', () => {
  const call = (value: PyTuple) => ({ value: [new Map([['f', new Map([['a', value]])]])] })
  const values = new PyTuple([1n, 2n])
  const tuple = question({ a: ['tuple', 'integer'] }, '{"a": [[1, 2]]}')
  const list = question({ a: ['array', 'integer'] }, '{"a": [[1, 2]]}')
  assert.is(judge(tuple, call(values), options).errorType, null)
  assert.is(judge(list, call(values), options).errorType, 'type_error:simple')
})

test('an answer of another type than declared counts as a variable and is compared as it stands', () => {
  const asked = question({ n: 'integer' }, '{"n": ["count", 3]}')
  assert.is(errorOf(asked, '[{"f": {"n": "count"}}]'), null)
  assert.is(errorOf(asked, '[{"f": {"n": "Count"}}]'), 'value_error:others')
  assert.is(errorOf(asked, '[{"f": {"n": 3}}]'), null)
})

test('keys of a dict: unknown, wrong, missing; the last of these is reported', () => {
  const asked = question({ d: 'dict' }, '{"d": [{"a": ["x"], "b": ["", 1]}]}')
  assert.is(errorOf(asked, '[{"f": {"d": {"a": "X"}}}]'), null)
  assert.is(errorOf(asked, '[{"f": {"d": {"a": "y"}}}]'), 'value_error:dict_value')
  assert.is(errorOf(asked, '[{"f": {"d": {"a": "x", "c": 1}}}]'), 'value_error:dict_key')
  assert.is(errorOf(asked, '[{"f": {"d": {"b": 2}}}]'), 'value_error:dict_key')
  assert.is(errorOf(question({ d: 'dict' }, '{"d": [""]}'), '[{"f": {"d": {}}}]'), 'dict_checker:unclear')
})

test('a key __proto__ is a key', () => {
  const asked = question({ d: 'dict', __proto__x: 'string' }, '{"d": [{"__proto__": ["x"]}]}')
  assert.is(errorOf(asked, '[{"f": {"d": {"__proto__": "x"}}}]'), null)
  assert.is(errorOf(asked, '[{"f": {"__proto__": "x"}}]'), 'simple_function_checker:unexpected_param')
  assert.is(errorOf(asked, '[{"__proto__": {}}]'), 'simple_function_checker:wrong_func_name')
})

test('arguments come in the order that the model gave: the first one wrong is reported', () => {
  const asked = question({ a: 'integer', b: 'string' }, '{"a": [1], "b": ["x"]}', { required: ['a'] })
  assert.is(errorOf(asked, '[{"f": {"b": "y", "a": 2}}]'), 'value_error:string')
  assert.is(errorOf(asked, '[{"f": {"a": 2, "b": "y"}}]'), 'value_error:others')
  assert.is(errorOf(asked, '[{"f": {"b": "x"}}]'), 'simple_function_checker:missing_required')
  assert.is(errorOf(asked, '[{"f": {"a": 1}}]'), 'simple_function_checker:missing_optional')
})

test('parallel calls are matched greedily, each output once', () => {
  const one = question({ n: 'integer' }, '{"n": [1, 2]}', { category: 'parallel' })
  const asked = { ...one, truth: [one.truth[0]!, { name: 'f', arguments: new Map([['n', [1n]]]) }] }
  assert.is(errorOf(asked, '[{"f": {"n": 2}}, {"f": {"n": 1}}]'), null)
  // the first right call takes 1, which the second needs: nothing is taken back
  const verdict = judge(asked, { value: py('[{"f": {"n": 1}}, {"f": {"n": 2}}]') }, options)
  assert.is(verdict.errorType, 'parallel_function_checker_no_order:cannot_find_match')
  assert.equal(verdict.sub, [[1, 'value_error:others']])
})

test('relevance wants a call, irrelevance none; what cannot be decoded is none', () => {
  const asked = (category: Category) => ({ ...question({}, '{}'), category, truth: [] })
  const failed = { failure: 'no calls' }
  assert.ok(judge(asked('irrelevance'), failed, options).valid)
  assert.ok(judge(asked('live_irrelevance'), { value: [] }, options).valid)
  assert.is(
    judge(asked('irrelevance'), { value: py('[{"f": {}}]') }, options).errorType,
    'irrelevance_error:decoder_success',
  )
  assert.ok(judge(asked('live_relevance'), { value: py('[{"any": {}}]') }, options).valid)
  assert.is(judge(asked('live_relevance'), failed, options).errorType, 'relevance_error:decoder_failed')
})

test('where the official checker raises the question fails and says so', () => {
  const asked = question({ n: 'number' }, '{"n": [1]}')
  const verdict = judge(asked, { value: py('[{"f": {"n": 1}}]') }, options)
  assert.is(verdict.errorType, 'checker:raised')
  assert.match(verdict.errors[0]!, /type number is unknown/)
  const items = question({ l: ['array', 'dict'] }, '{"l": ["", [{"k": [1]}]]}')
  assert.is(judge(items, { value: py('[{"f": {"l": [1]}}]') }, options).errorType, 'checker:raised')
})

test('names with dots may be asked with underscores', () => {
  const asked = question({}, '{}')
  const dotted = {
    ...asked,
    schemas: [{ ...asked.schemas[0]!, name: 'a.b' }],
    truth: [{ name: 'a.b', arguments: new Map() }],
  }
  const verdict = (name: string, underscoreToDot: boolean) =>
    judge(dotted, { value: py(`[{"${name}": {}}]`) }, { underscoreToDot }).valid
  assert.equal(
    [verdict('a.b', false), verdict('a_b', false), verdict('a_b', true), verdict('a.b', true)],
    [true, false, true, false],
  )
})

test.run()
