import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parseToolCalls } from '../../lib/reward/parse.js'
import { printJson } from '../../lib/text/json-print.js'
import { cpuMilliseconds } from '../support/time.js'

const call = '{"name": "f", "arguments": {"a": 1.0}}'
const read = (text: string) => {
  const { status, calls, thinks } = parseToolCalls(text)
  return { status, thinks, calls: calls.map((c) => `${printJson(c.name)} ${printJson(c.arguments)}`) }
}

test('reads a list, a lone object, a string that holds either', () => {
  const quoted = JSON.stringify(`[${call}]`)
  for (const block of [`[${call}]`, call, quoted, `\n ${quoted}\u00a0\u3000`]) {
    const reply = read(`<think>x</think><tool_call>${block}</tool_call>`)
    assert.equal(reply, { status: 'calls', thinks: true, calls: ['"f" {"a": 1.0}'] }, block)
  }
})

test('the last block after the last turn marker counts', () => {
  const first = '<think></think><tool_call>[]</tool_call>'
  assert.is(read(`${first} <tool_call>${call}</tool_call> bye`).calls.length, 1)
  assert.is(read(`<tool_call>${call}</tool_call>${first}`).calls.length, 0)
  const turn = '<|im_start|>assistant\n'
  assert.is(read(`${first}${turn}none`).status, 'no_block')
  assert.is(parseToolCalls(`${first}${turn}none`, 'llama').status, 'calls')
})

test('blocks are found from the left and do not overlap', () => {
  assert.is(read(`<tool_call><tool_call>${call}</tool_call></tool_call>`).status, 'not_json')
  assert.is(read(`<tool_call>${call}</tool_call><tool_call>`).status, 'calls')
  assert.is(read(`</tool_call>${call}<tool_call>`).status, 'no_block')
})

test('says what is wrong', () => {
  const problem = (block: string) => parseToolCalls(`<tool_call>${block}</tool_call>`).problem
  assert.match(problem('[{]'), /not JSON: expected a key/)
  assert.match(problem('null'), /null/)
  assert.match(problem('5'), /no list/)
  assert.match(problem('[1]'), /call 1 is not an object/)
  assert.match(problem(`[${call}, {"arguments": {}}]`), /call 2 has no "name"/)
  assert.match(problem('{"name": "f"}'), /call 1 has no "arguments"/)
  assert.is(problem(`[${call}]`), '')
  assert.match(parseToolCalls('').problem, /no <tool_call>/)
})

test('think tags count wherever they stand, in any order', () => {
  assert.is(read('</think><think>').thinks, true)
  assert.is(read('<think>').thinks, false)
  assert.is(read('<THINK></THINK>').thinks, false)
})

test('any text, in linear time', () => {
  const size = 1 << 20
  const fill = (piece: string) => piece.repeat(Math.ceil(size / piece.length))
  const texts = [
    fill('<tool_call>'),
    fill('</tool_call>'),
    fill('<tool_call></tool_call>'),
    fill('<tool_call>['),
    `<tool_call>${fill('[')}</tool_call>`,
    `<tool_call>${fill('{"name":')}</tool_call>`,
    `<tool_call>"${fill('\\"')}"</tool_call>`,
    `<tool_call>${fill(' ')}x</tool_call>`,
    `<tool_call>[${fill('{"name":"f","arguments":{}},')}{"name":"f","arguments":{}}]</tool_call>`,
    fill('<|im_start|>assistant'),
    fill('<think>'),
    '\ud800<tool_call>"\udfff"</tool_call>',
  ]
  for (const text of texts) {
    const took = cpuMilliseconds(() => assert.type(parseToolCalls(text).status, 'string'))
    assert.ok(took < 2000, `${text.slice(0, 30)} took ${took} ms`)
  }
})

test.run()
