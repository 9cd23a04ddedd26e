import { type JsonObject, type JsonValue, parseJson } from '../json.js'
import { printJson } from '../json-print.js'

/**
 * The prompt of Nemotron-Research-Tool-N1 (arXiv 2505.00024), to the byte. The texts are data of NVlabs/Tool-N1
 * (github.com/NVlabs/Tool-N1, Apache-2.0): `data_process/raw_data_process.py` has the role, `verl/examples/data_preprocess/
 * verl_toolcall_preprocess.py` the template around the tools. Typing errors and double spaces are theirs and stay: models are
 * trained on these bytes.
 */
export const toolN1Role =
  'You are an expert in composing functions. You are given a question and a set of possible functions. \n' +
  'Based on the question, you will need to make one or more function/tool calls to achieve the purpose. \n' +
  'If none of the function can be used, point it out. If the given question lacks the parameters required by the function,\n' +
  'also point it out. You should only return the function call in tools call sections. ' +
  'Here is a list of functions in JSON format that you can invoke:\n'

const beforeTools = '# Tool\n\nHere is a list of functions in JSON format that you can invoke:\n\n<tools>\n'

const toolsEnd = '\n</tools>\n\n'

const reasonRules = `In each action step, you MUST: ${''}
1. Think about the reasoning process in the mind and enclosed your reasoning within <think> </think> XML tags.
2. Then, provide a json object with function names and arguments within <tool_call></tool_call> XML tags. i.e., \
<tool_call>[{"name": <function-name>, "arguments": <args-json-object>}, {"name": <function-name2>, "arguments": \
<args-json-object2>}, ...]</tool_call>
3. Make sure both the reasoning and the tool call steps are included together in one single reply.
A complete reply example is: <think>To address the query, I need to send the email to Bob and then buy the banana through \
walmart. </think> <tool_call> [{"name": "email", "arguments": {"receiver": "Bob", "content": "I will bug banana through \
walmart"}}, {"name": "walmart", "arguments": {"input": "banana"}}]</tool_call>. Please make sure the type of the arguments is \
correct. ${''}
`

/** In place of the rules where no thought is wanted: `LLaMA-Factory/` of Tool-N1 cuts the rules off and puts this there. */
const noReasonRules = `When you want to perform tool call, in each action step, providing a json object with function names and arguments \
within <tool_call></tool_call> XML tags. i.e., <tool_call>[{"name": <function-name>, "arguments": <args-json-object>}, {"name": \
<function-name2>, "arguments": <args-json-object2>}, ...]</tool_call>
A complete reply example is: <tool_call> [{"name": "email", "arguments": {"receiver": "Bob", "content": "I will bug banana through \
walmart"}}, {"name": "walmart", "arguments": {"input": "banana"}}]</tool_call>. Please make sure the type of the arguments is correct.`

/**
 * The system message: role, then the tools, one `{"type": "function", "function": …}` a line as Python's `json.dumps` prints it, then
 * the rules of the reply. `role` differs for data that brings its own (ToolACE). `reasoning: false`: the rules ask for calls alone.
 */
export function toolN1System(
  tools: readonly JsonValue[],
  role: string = toolN1Role,
  { reasoning = true }: { reasoning?: boolean } = {},
): string {
  const wrap = (tool: JsonValue): JsonValue =>
    new Map<string, JsonValue>([
      ['type', 'function'],
      ['function', tool],
    ])
  return `${role}${beforeTools}${tools.map((tool) => printJson(wrap(tool))).join('\n')}${toolsEnd}${reasoning ? reasonRules : noReasonRules}`
}

/** True where a system message lists tools as {@link toolN1System} does. */
export const hasToolN1Tools = (text: string): boolean => text.includes(beforeTools)

/**
 * The way back: role and tools of a system message that {@link toolN1System} wrote, or null where the text is another. Throws (`ERR_JSON`)
 * where a line of the tools is not JSON.
 */
export function readToolN1System(text: string): { role: string; tools: JsonObject[] } | null {
  const from = text.indexOf(beforeTools)
  const rules = [reasonRules, noReasonRules].find((end) => text.endsWith(toolsEnd + end))
  if (from < 0 || rules === undefined) return null
  const lines = text.slice(from + beforeTools.length, text.length - toolsEnd.length - rules.length)
  const tools: JsonObject[] = []
  for (const line of lines.split('\n')) {
    if (line === '') continue
    const wrapped = parseJson(line)
    const tool = wrapped instanceof Map ? wrapped.get('function') : undefined
    if (!(tool instanceof Map)) return null
    tools.push(tool)
  }
  return { role: text.slice(0, from), tools }
}
