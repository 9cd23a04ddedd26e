import type { Message, Tool } from '../../data/example.js'

/** One question to a chat-completions endpoint, and what decides how its answer is drawn. */
export interface ChatRequest {
  messages: readonly Message[]
  /** Sent as native tools; empty where the prompt's text lists them. */
  tools: readonly Tool[]
  /** Tokens an answer may have. */
  maxTokens: number
  temperature: number
  /** Sent where they are not neutral: servers differ in what they know. */
  topP?: number
  topK?: number
  minP?: number
  /** Sent where given. */
  seed?: number
  /** Tells apart several answers to one question. Not sent, but part of what an answer is stored under. */
  sample?: number
}

/** A call as the server reported it. `arguments` is the JSON text that it gave, or any other text where the model wrote no JSON. */
export interface ChatToolCall {
  name: string
  arguments: string
}

/** Tokens as the server counted them; null where it did not. */
export interface Usage {
  promptTokens: number
  completionTokens: number
}

/** What an endpoint answered. */
export interface ChatAnswer {
  content: string
  /** Thoughts that the server keeps apart from the answer (`reasoning_content` or `reasoning`); empty where it keeps none apart. */
  reasoning: string
  toolCalls: ChatToolCall[]
  /** `length`: cut at maxTokens. `filtered`: withheld by the server. */
  finishReason: 'stop' | 'length' | 'filtered'
  usage: Usage | null
}

/** Where answers come from. */
export interface EndpointOptions {
  /** Base address, as `https://api.openai.com/v1` or `http://localhost:8000/v1`: `/chat/completions` is put behind it. */
  url: string
  /** The model's name at the endpoint. */
  model: string
  /** Sent as a bearer token. Absent: none is asked for. It appears in no file, log or error. */
  apiKey?: string | undefined
  /** Seconds that one attempt may take, its answer's last byte included. Default 300, the most that Node's fetch waits. */
  timeout?: number
  /** Attempts after the first where the server is busy, broken or silent. Default 6. */
  retries?: number
  /** Seconds before the first repeat where the server does not say; doubles up to 60. Default 1. */
  backoff?: number
  /** Further keys of the request's body, over those made here; null takes a key out. */
  body?: Record<string, unknown>
}
