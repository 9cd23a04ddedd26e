import type { JsonObject } from '../../../text/json.js'
import { printIndented } from '../../../text/json-indent.js'
import { pyRepr } from '../../../text/python/repr.js'
import { fromJson } from '../../../text/python/value.js'
import type { BfclVersion } from '../categories.js'

/**
 * BFCL's default system prompt, to the byte. The texts are data of the Berkeley Function Calling Leaderboard (ShishirPatil/gorilla,
 * `constants/default_prompts.py`, Apache-2.0). Version 3 shows the functions as Python prints them, version 4 as indented JSON.
 */
export function defaultSystem(docs: readonly JsonObject[], version: BfclVersion): string {
  if (version === 'v3') return `${beforeDocs.v3}${pyRepr(docs.map(fromJson))}\n\n`
  return `${beforeDocs.v4}${printIndented([...docs], 4)}\n`
}

const turns =
  "At each turn, you should try your best to complete the tasks requested by the user within the current turn. Continue to output functions \
to call until you have fulfilled the user's request to the best of your ability. Once you have no more functions to call, the system will \
consider the current turn complete and proceed to the next turn or task.\n\n"
const form =
  'If you decide to invoke any of the function(s), you MUST put it in the format of [func_name1(params_name1=params_value1, \
params_name2=params_value2...), func_name2(params)]'

const beforeDocs: Record<BfclVersion, string> = {
  v3:
    'You are an expert in composing functions. You are given a question and a set of possible functions. Based on the question, you will \
need to make one or more function/tool calls to achieve the purpose.\nIf none of the functions can be used, point it out. If the given \
question lacks the parameters required by the function, also point it out.\nYou should only return the function calls in your response.\
\n\n' +
    `${form}\nYou SHOULD NOT include any other text in the response.\n\n${turns}` +
    'Here is a list of functions in JSON format that you can invoke.\n',
  v4:
    'You are an expert in composing functions.You are given a question and a set of possible functions. Based on the question, you will \
need to make one or more function/tool calls to achieve the purpose. If none of the functions can be used, point it out. If the given \
question lacks the parameters required by the function, also point it out.\n\nYou should only return the function calls in your \
response.\n\n' +
    `${form}.  You SHOULD NOT include any other text in the response.\n\n${turns}` +
    'Here is a list of functions in json format that you can invoke.\n',
}
