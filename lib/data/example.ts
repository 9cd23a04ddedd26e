/** One turn of a conversation, in the shape chat templates take. */
export interface Message {
  role: 'system' | 'user' | 'assistant' | 'tool'
  content: string
}

/** A function a model may call, in the wrapping that chat templates print. */
export interface Tool {
  type: 'function'
  function: {
    name: string
    description?: string
    parameters?: unknown
    [key: string]: unknown
  }
}

/** One record of a data set, ready to be rendered, sampled from and scored. */
export interface Example {
  /** Unique in its data set; errors and logs name it. */
  id: string
  /** The prompt, without the reply. */
  messages: Message[]
  /** Handed to the chat template; empty where the prompt's text lists the tools itself. */
  tools: Tool[]
  /** The right calls as JSON text of `[{"name", "arguments"}]` (text, because 1 and 1.0 differ); absent where none is known. */
  truth?: string
  /** What SFT teaches, without the end-of-turn token; absent where there is nothing to imitate. */
  reply?: string
  /** Further columns of the record, for custom rewards. */
  extra?: Record<string, unknown>
}
