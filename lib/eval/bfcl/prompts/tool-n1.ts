import type { JsonObject, JsonValue } from '../../../text/json.js'
import { printJson } from '../../../text/json-print.js'

/**
 * The system message of Tool-N1's own BFCL handler, to the byte. It is not the prompt that the models are trained with
 * (`lib/text/prompts/tool-n1.ts`): other words, indented, and with a rule for questions that no function answers. The text is data of
 * NVlabs/Tool-N1 (Apache-2.0).
 */
export function toolN1BfclSystem(docs: readonly JsonObject[]): string {
  const lines = docs.map((description) => {
    const entries: [string, JsonValue][] = [
      ['type', 'function'],
      ['function', description],
    ]
    return `${printJson(new Map(entries))}\n`
  })
  return `${before}${lines.join('')}${after}`
}

const before = `
        You are an expert in composing functions. You are given a question and a set of possible functions. Based on the question, you \
will need to make one or more function/tool calls to achieve the purpose. If none of the function can be used, point it out. If the given \
question lacks the parameters required by the function, also point it out. You should only return the function call in tools call sections.

    # Tool
    Here is a list of functions in JSON format that you can invoke:

    <tools>
    `

const after = `
    </tools>

    In each action step, you MUST: ${''}
    1. think about the reasoning process in the mind before and enclosed your reasoning within <think> </think> XML tags.
    2. then return a json object with function names and arguments within <tool_call></tool_call> XML tags. i.e., \
<tool_call>[{"name": <function-name>, "arguments": <args-json-object>}, {"name": <function-name2>, "arguments": \
<args-json-object2>}, ...]</tool_call>
    3. remember complete 1 and 2 in one single reply.
    A complete reply example is: <think>To address the query, I need to send the email to Bob and then buy the banana through walmart. \
</think> <tool_call> [{"name": "email", "arguments": {"receiver": "Bob", "content": "I will bug banana through walmart"}}, {"name": \
"walmart", "arguments": {"input": "banana"}}]</tool_call>. Please make sure the type of the arguments is correct.  If no functions could \
be used in the current task, please make tool_calls an empty list <tool_call>[]</tool_call>"
    `
