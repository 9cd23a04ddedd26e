import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { wireTools } from '../../../lib/rollout/endpoint/tools.js'

const sent = (parameters: unknown) => {
  const [tool] = wireTools([{ type: 'function', function: { name: 'f', parameters } }]).tools
  return tool!.function.parameters
}

test('what is JSON Schema already is sent as it is', () => {
  const parameters = {
    type: 'object',
    properties: {
      a: { type: 'string', enum: ['x', 'y'], description: 'A.' },
      b: { type: ['integer', 'null'], minimum: 1 },
      c: {
        type: 'array',
        items: { type: 'object', properties: { d: { anyOf: [{ type: 'number' }, { type: 'null' }] } } },
      },
      e: {},
    },
    required: ['a'],
    additionalProperties: false,
  }
  assert.is(JSON.stringify(sent(parameters)), JSON.stringify(parameters))
})

test('types of other tongues become those of JSON Schema, at every depth', () => {
  const given = {
    type: 'dict',
    properties: {
      a: { type: 'float', default: 1.5 },
      b: { type: 'List[int], optional' },
      c: { type: 'dict', properties: { d: { type: 'tuple' }, e: { type: 'any', description: 'E.' } } },
      f: { type: 'Union[str, int]' },
      g: { type: 'Optional[bool]' },
      h: { type: 'array', items: { type: 'str' } },
      i: { type: 'frobnicator' },
      j: 'a word',
      k: { type: 'array' },
      l: { required: true, type: 'long' },
    },
    required: ['a'],
  }
  assert.equal(sent(given), {
    type: 'object',
    properties: {
      a: { type: 'number', default: 1.5 },
      b: { type: 'array', items: { type: 'integer' } },
      c: { type: 'object', properties: { d: { type: 'array', items: {} }, e: { description: 'E.' } } },
      f: { anyOf: [{ type: 'string' }, { type: 'integer' }] },
      g: { type: 'boolean' },
      h: { type: 'array', items: { type: 'string' } },
      i: {},
      j: {},
      k: { type: 'array', items: {} },
      l: { type: 'integer' },
    },
    required: ['a'],
  })
})

test("xLAM's lists of parameters become a schema", () => {
  const given = {
    city: { type: 'str', description: 'City.' },
    days: { type: 'int, optional', description: 'Days.' },
    unit: { type: 'str', default: 'C' },
    type: { type: 'str', description: 'A parameter of this name.' },
  }
  assert.equal(sent(given), {
    type: 'object',
    properties: {
      city: { type: 'string', description: 'City.' },
      days: { type: 'integer', description: 'Days.' },
      unit: { type: 'string', default: 'C' },
      type: { type: 'string', description: 'A parameter of this name.' },
    },
    required: ['city', 'type'],
  })
})

test('whatever else stands there, an object of no properties is sent', () => {
  const none = { type: 'object', properties: {} }
  for (const given of [undefined, null, 5, 'x', [], {}, { type: 'object' }, { type: 'str' }])
    assert.equal(sent(given), none)
})

test('deep nesting and odd keys do no harm', () => {
  let deep: object = { type: 'str' }
  for (let i = 0; i < 5000; i++) deep = { type: 'list', items: deep }
  assert.ok(JSON.stringify(sent({ type: 'object', properties: { deep } })).length < 5000)
  sent(JSON.parse('{"type": "object", "properties": {"__proto__": {"type": "str", "polluted": true}}}'))
  assert.is(({} as Record<string, unknown>).polluted, undefined)
})

test('keys that the API does not know are left out of the tool', () => {
  const { tools } = wireTools([
    {
      type: 'function',
      function: { name: 'f', description: 'F.', parameters: {}, required: [], strict: true, returns: 'int' },
    },
  ])
  assert.equal(tools[0], {
    type: 'function',
    function: { name: 'f', description: 'F.', parameters: { type: 'object', properties: {} }, strict: true },
  })
})

test.run()
