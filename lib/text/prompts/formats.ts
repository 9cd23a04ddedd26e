import type { JsonValue } from '../json.js'
import { toolN1System } from './tool-n1.js'

/**
 * How tools, and the rules for a reply, get before a model. Training, evaluation and distillation make their prompts here.
 *
 * - `tool-n1`: Tool-N1's system message, which lists the tools and asks for a thought and calls. Each model's own chat template puts it
 *   where the model expects it, so that one format is Tool-N1's form for Qwen and for LLaMA.
 * - `tool-n1-no-reason`: the same list, with the words that Tool-N1's scripts for SFT without reasoning put in place of the rules.
 * - `native`: the chat template lists the tools in the form that the model was made with; nothing is said about a thought.
 */
export const promptFormats = ['tool-n1', 'tool-n1-no-reason', 'native'] as const
export type PromptFormat = (typeof promptFormats)[number]

export const isPromptFormat = (name: string): name is PromptFormat =>
  (promptFormats as readonly string[]).includes(name)

/** Whether replies in this format begin with a thought; rewards that want one make no sense elsewhere. */
export const asksForThought = (format: PromptFormat): boolean => format === 'tool-n1'

/** The system message of a format, or null where the chat template gets the tools. `role`: its beginning, where the data brings its own. */
export function systemOf(format: PromptFormat, tools: readonly JsonValue[], role?: string): string | null {
  return format === 'native' ? null : toolN1System(tools, role, { reasoning: asksForThought(format) })
}
