// A chat-completions server in this process that does what a test tells it to.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A request as the server saw it. */
export interface Seen {
  path: string
  headers: IncomingMessage['headers']
  body: {
    model: string
    messages: { role: string; content: string | null; tool_calls?: unknown; tool_call_id?: string }[]
    [key: string]: unknown
  }
  /** performance.now() when it came. */
  at: number
}

/** What to do with the `index`-th request (0 is the first). */
export type Behaviour = (seen: Seen, index: number, response: ServerResponse) => void

export interface TestServer {
  url: string
  seen: Seen[]
  /** Requests under way at once, at most. */
  readonly peak: number
  behave(next: Behaviour): void
  close(): Promise<void>
}

export async function startServer(behaviour: Behaviour): Promise<TestServer> {
  const seen: Seen[] = []
  let behave = behaviour
  let [open, peak] = [0, 0]
  const server = createServer((request, response) => {
    peak = Math.max(peak, ++open)
    response.on('close', () => open--)
    let text = ''
    request.setEncoding('utf8').on('data', (chunk) => (text += chunk))
    request.on('end', () => {
      const one: Seen = {
        path: request.url ?? '',
        headers: request.headers,
        body: JSON.parse(text) as Seen['body'],
        at: performance.now(),
      }
      seen.push(one)
      behave(one, seen.length - 1, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    seen,
    get peak() {
      return peak
    },
    behave(next) {
      behave = next
    },
    close() {
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body))
}

/** A well-formed completion; `message` replaces parts of it. */
export function completion(content: string | null, message: object = {}, finishReason = 'stop') {
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: 'test',
    choices: [{ index: 0, finish_reason: finishReason, message: { role: 'assistant', content, ...message } }],
    usage: { prompt_tokens: 10, completion_tokens: 4, total_tokens: 14 },
  }
}

/** Answers every question with its own last message. */
export const echo: Behaviour = ({ body }, _index, response) =>
  sendJson(response, 200, completion(`echo ${body.messages.at(-1)?.content}`))
