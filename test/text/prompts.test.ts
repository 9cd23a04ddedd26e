import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { toExample, withPrompt } from '../../lib/data/sample.js'
import { templateReply } from '../../lib/data/thoughts.js'
import { scoreToolCalls } from '../../lib/reward/tool-call.js'
import { ChatTemplate } from '../../lib/text/chat-template.js'
import { type JsonObject, parseJson } from '../../lib/text/json.js'
import { asksForThought, promptFormats, systemOf } from '../../lib/text/prompts/formats.js'
import { readToolN1System, toolN1Role, toolN1System } from '../../lib/text/prompts/tool-n1.js'
import { parseTrainRun } from '../../lib/train/config.js'

const tool = parseJson('{"name": "f", "description": "a < b", "parameters": {"x": 1.0}}') as JsonObject

// What NVlabs/Tool-N1's LLaMA-Factory scripts do to a prompt for SFT without reasoning: cut at "In each action step, you MUST", put this.
const instruction =
  'When you want to perform tool call, in each action step, providing a json object with function names and arguments within ' +
  '<tool_call></tool_call> XML tags. i.e., <tool_call>[{"name": <function-name>, "arguments": <args-json-object>}, ' +
  '{"name": <function-name2>, "arguments": <args-json-object2>}, ...]</tool_call>\n' +
  'A complete reply example is: <tool_call> [{"name": "email", "arguments": {"receiver": "Bob", "content": "I will bug banana ' +
  'through walmart"}}, {"name": "walmart", "arguments": {"input": "banana"}}]</tool_call>. Please make sure the type of the ' +
  'arguments is correct.'

test('the form without reasoning is what the official scripts make of the one with it', () => {
  const [before] = toolN1System([tool]).split('In each action step, you MUST')
  assert.is(toolN1System([tool], toolN1Role, { reasoning: false }), `${before}${instruction}`)
  assert.is(systemOf('tool-n1-no-reason', [tool]), `${before}${instruction}`)
  assert.is(systemOf('tool-n1', [tool]), toolN1System([tool]))
  assert.is(systemOf('native', [tool]), null)
})

test('tools and role are read back from either form', () => {
  for (const reasoning of [true, false]) {
    const system = toolN1System([tool, tool], 'A role.\n', { reasoning })
    assert.equal(readToolN1System(system), { role: 'A role.\n', tools: [tool, tool] })
    assert.is(readToolN1System(`${system} `), null)
  }
})

test('only the form with rules for a thought asks for one', () => {
  assert.equal(promptFormats.filter(asksForThought), ['tool-n1'])
  assert.match(systemOf('tool-n1', []) ?? '', /<think>/)
  assert.not.match(systemOf('tool-n1-no-reason', []) ?? '', /think/)
})

test('what SFT and RL make of a record fits a prompt that asks for no thought', () => {
  const example = { id: 'a', messages: [], tools: [], truth: '[{"name": "f", "arguments": {"x": 1.0}}]' }
  const silent = templateReply(example, true)
  assert.is(silent, '<tool_call>[{"name": "f", "arguments": {"x": 1.0}}]</tool_call>')
  assert.match(templateReply(example), /^<think>.*<\/think>\n<tool_call>/)
  assert.is(scoreToolCalls(silent, example.truth, 'v2').reward, 1)
  const run = { model: 'm', dataset: 'd.jsonl', promptFormat: 'tool-n1-no-reason' }
  assert.throws(() => parseTrainRun(run), /reward: expected one that pays without a thought/)
  assert.is(parseTrainRun({ ...run, reward: 'v2' }).promptFormat, 'tool-n1-no-reason')
})

test('a sample can be put in every format; earlier calls are written as the format writes them', () => {
  const calls = [parseJson('{"name": "f", "arguments": {"x": 1}}') as JsonObject]
  const sample = {
    id: 'a',
    source: 'xlam' as const,
    tools: [tool],
    calls,
    turns: [{ role: 'user' as const, content: 'q' }],
  }
  const history = { ...sample, turns: [...sample.turns, { role: 'assistant' as const, content: '', calls }] }
  for (const format of promptFormats) {
    const { messages, tools } = toExample(history, format)
    assert.is(tools.length, format === 'native' ? 1 : 0, format)
    assert.is(messages.length, format === 'native' ? 2 : 3, format)
    assert.is(messages.at(-1)?.content.startsWith('<tool_call>\n'), format === 'native', format)
  }
})

// How Qwen 2.5 and LLaMA 3.1 write a conversation without tools.
const chatTemplates = {
  Qwen: [
    "{%- for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{%- endfor %}",
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}",
  ],
  LLaMA: [
    '{{- bos_token }}{%- for m in messages %}',
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{%- endfor %}",
    "{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}",
  ],
}

test("one form serves Qwen and LLaMA: each one's chat template puts the message where that model expects it", () => {
  const { messages } = withPrompt([{ role: 'user', content: 'q' }], [tool], 'tool-n1')
  const system = toolN1System([tool])
  const render = (name: keyof typeof chatTemplates) =>
    new ChatTemplate(chatTemplates[name].join('')).render({ messages, add_generation_prompt: true, bos_token: '<s>' })
  const end = '<|im_end|>\n<|im_start|>'
  assert.is(render('Qwen'), `<|im_start|>system\n${system}${end}user\nq${end}assistant\n`)
  const header = (role: string) => `<|start_header_id|>${role}<|end_header_id|>\n\n`
  const llama = `<s>${header('system')}${system.trim()}<|eot_id|>${header('user')}q<|eot_id|>${header('assistant')}`
  assert.is(render('LLaMA'), llama)
})

test.run()
