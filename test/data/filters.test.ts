import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { argumentProblem } from '../../lib/data/filters/arguments.js'
import { irrelevantCopy } from '../../lib/data/filters/irrelevance.js'
import { maskSample } from '../../lib/data/filters/masking.js'
import { hasType, parseType } from '../../lib/data/filters/type-names.js'
import type { Sample } from '../../lib/data/sample.js'
import { type JsonObject, type JsonValue, parseJson } from '../../lib/text/json.js'
import { printJson } from '../../lib/text/json-print.js'
import { cpuMilliseconds } from '../support/time.js'

const json = (text: string) => parseJson(text) as JsonObject
const problem = (parameters: string, args: string) =>
  argumentProblem(json(`{"name": "f", "arguments": ${args}}`), json(`{"name": "f", "parameters": ${parameters}}`))

test('types by the names of JSON Schema, Python and Java', () => {
  const cases: [string, string, string][] = [
    ['str', '"a"', '1'],
    ['int', '1', '1.5'],
    ['integer', '2.0', '"1"'],
    ['float', '1', 'null'],
    ['boolean', 'true', '1'],
    ['dict', '{}', '[]'],
    ['List[int]', '[1, 2]', '[1, "2"]'],
    ['list[Union[int, str]]', '[1, "2"]', '[1.5]'],
    ['List[List[float]]', '[[1.5]]', '[1.5]'],
    ['Optional[int]', 'null', '"x"'],
    ['int, optional', 'null', '"x"'],
    ['str | None', 'null', '1'],
    ['Tuple[int, str]', '[1, "a"]', '"a"'],
    ['ArrayList<String>', '["a"]', '[1]'],
    ['Dict[str, int]', '{"a": 1}', '1'],
  ]
  for (const [type, right, wrong] of cases) {
    assert.ok(hasType(parseJson(right), parseType(type)), `${type} has ${right}`)
    assert.not.ok(hasType(parseJson(wrong), parseType(type)), `${type} has not ${wrong}`)
  }
  for (const unknown of ['Callable', 'datetime', '', 'any', 'a'.repeat(1000)])
    assert.ok(hasType(parseJson('[1]'), parseType(unknown)), unknown)
})

test("arguments against a JSON Schema: what breaks it is named, what doesn't passes", () => {
  const schema = `{"type": "dict", "required": ["a"], "properties": {
    "a": {"type": "integer", "minimum": 1, "maximum": 9},
    "e": {"type": "string", "enum": ["x", "y"]},
    "l": {"type": "array", "items": {"type": "string", "maxLength": 2}, "enum": ["x", "yy", "zzz"], "maxItems": 2},
    "o": {"type": "object", "properties": {"k": {"type": "number"}}, "required": ["k"]},
    "n": {"type": "string", "nullable": true},
    "u": {"anyOf": [{"type": "string"}, {"type": "integer", "exclusiveMinimum": 3}]},
    "c": {"const": 1.0}, "r": {"$ref": "#/x"}}}`
  const right = `{"a": 9, "e": "x", "l": ["x", "yy"], "o": {"k": 1}, "n": null, "u": 4, "c": 1, "r": []}`
  assert.is(problem(schema, right), null)
  const wrong: [string, string][] = [
    ['{}', 'f: expected argument a, got none'],
    ['{"a": "1"}', 'f: expected argument a to be integer, got "1"'],
    ['{"a": 0}', 'f: expected argument a to be at least 1, got 0'],
    ['{"a": 10}', 'f: expected argument a to be at most 9, got 10'],
    ['{"a": 1, "b": 2}', 'f: expected arguments of the tool, got b'],
    ['{"a": 1, "e": "z"}', 'f: expected argument e to be one of "x", "y", got "z"'],
    ['{"a": 1, "l": ["x", "x", "x"]}', 'f: expected argument l to be at most 2 items, got ["x", "x", "x"]'],
    ['{"a": 1, "l": ["zzz"]}', 'f: expected argument l[0] to be at most 2 characters, got "zzz"'],
    ['{"a": 1, "o": {}}', 'f: expected argument o.k, got none'],
    ['{"a": 1, "o": {"k": "1"}}', 'f: expected argument o.k to be number, got "1"'],
    ['{"a": 1, "u": 3}', 'f: expected argument u to be string, got 3'],
    ['{"a": 1, "c": 2}', 'f: expected argument c to be 1.0, got 2'],
  ]
  for (const [args, expected] of wrong) assert.is(problem(schema, args), expected)
})

test("parameters as xLAM writes them: what has no default has to be given, type may be a parameter's name", () => {
  const flat = `{"type": {"type": "str", "description": "d"}, "n": {"type": "int, optional"}, "d": {"type": "float", "default": 1}}`
  assert.is(problem(flat, '{"type": "x"}'), null)
  assert.is(problem(flat, '{"type": "x", "n": null, "d": 2}'), null)
  assert.is(problem(flat, '{"n": 1}'), 'f: expected argument type, got none')
  assert.is(problem(flat, '{"type": "x", "m": 1}'), 'f: expected arguments of the tool, got m')
  assert.is(problem('{}', '{"x": 1}'), null)
  assert.is(problem('{"type": "object", "properties": {}}', '{"x": 1}'), null)
  const open = '{"type": "object", "properties": {"a": {}}, "additionalProperties": true}'
  assert.is(problem(open, '{"x": 1}'), null)
})

test('a schema of any depth or size is checked in its time', () => {
  const deep = (open: string, close: string) => `${open.repeat(300)}{}${close.repeat(300)}`
  const nested = `{"type": "object", "properties": {"a": ${deep('{"anyOf": [', ']}')}}}`
  assert.is(problem(nested, '{"a": 1}'), null)
  const many = `{"type": "object", "properties": {"a": {"type": "${'List['.repeat(200_000)}"}}}`
  assert.ok(cpuMilliseconds(() => assert.is(problem(many, '{"a": 1}'), null)) < 1000)
})

const tools = json(`{"t": [
  {"name": "search", "description": "Finds text.", "parameters": {"type": "object", "required": ["q", "n"], "properties": {
    "q": {"type": "string", "default": "abc"}, "n": {"type": "integer", "default": 5}, "on": {"type": "boolean", "default": true},
    "e": {"type": "string", "enum": ["x"], "default": "x"}}}},
  {"name": "flat", "parameters": {"k": {"type": "float", "default": 1.5}}},
  {"name": "bare"}]}`).get('t') as JsonObject[]
const sample = (id = 'i'): Sample => ({
  id,
  source: 'xlam',
  turns: [{ role: 'user', content: 'q' }],
  tools,
  calls: [json('{"name": "search", "arguments": {"q": "abc", "other": 1}}'), json('{"name": "gone", "arguments": {}}')],
})

test('masking renames tools and parameters alike in list and calls, and nothing else', () => {
  const masked = maskSample(sample(), 1)
  assert.equal(masked, maskSample(sample(), 1))
  assert.not.equal(masked, maskSample(sample(), 2))
  assert.not.equal(masked, maskSample(sample('j'), 1))
  const [search, flat, bare] = masked.tools as [JsonObject, JsonObject, JsonObject]
  const names = masked.tools.map((tool) => tool.get('name') as string)
  assert.is(new Set([...names, 'search', 'flat', 'bare']).size, 6)
  assert.is(search.get('description'), 'Finds text.')
  const schema = search.get('parameters') as JsonObject
  const properties = schema.get('properties') as JsonObject
  const keys = [...properties.keys()]
  assert.is(keys.filter((key) => ['q', 'n', 'on', 'e'].includes(key)).length, 0)
  assert.equal(schema.get('required'), keys.slice(0, 2))
  const byKey = (i: number) => properties.get(keys[i] as string) as JsonObject
  assert.is(byKey(0).get('default'), 'abc', 'a default that a right call passes stays')
  assert.match(printJson(byKey(1).get('default') as JsonValue), /^\d+$/)
  assert.type(byKey(2).get('default'), 'boolean')
  assert.is(byKey(3).get('default'), 'x', 'a default of an enum stays')
  assert.match(printJson(flat.get('parameters') as JsonValue), /^\{"\w+": \{"type": "float", "default": \d+\.\d\}\}$/)
  assert.equal([...bare.keys()], ['name'])
  const call = masked.calls?.[0] as JsonObject
  assert.is(call.get('name'), names[0])
  assert.equal([...(call.get('arguments') as JsonObject).keys()], [keys[0], 'other'])
  assert.is(printJson(masked.calls?.[1] as JsonObject), '{"name": "gone", "arguments": {}}')
  assert.is(printJson(tools[0] as JsonObject).includes('"search"'), true, 'the sample itself is untouched')
})

test('masking and irrelevance leave alone what speaks of tools elsewhere', () => {
  const spoken: Sample[] = [
    { ...sample(), reply: 'r' },
    { ...sample(), turns: [{ role: 'assistant', content: '', calls: [] }] },
    { ...sample(), turns: [{ role: 'tool', content: '' }] },
  ]
  for (const one of spoken) {
    assert.is(maskSample(one, 1), one)
    assert.is(irrelevantCopy(one), null)
  }
})

test('an irrelevance copy has the other tools and no right call', () => {
  const copy = irrelevantCopy(sample())
  assert.is(copy?.id, 'i~irrelevant')
  assert.equal(
    copy?.tools.map((tool) => tool.get('name')),
    ['flat', 'bare'],
  )
  assert.equal(copy?.calls, [])
  assert.is(irrelevantCopy({ ...sample(), tools: tools.slice(0, 1) }), null)
  assert.is(irrelevantCopy({ ...sample(), calls: [] }), null)
})

test.run()
