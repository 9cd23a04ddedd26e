import type { Example } from '../data/example.js'
import { fail } from '../errors.js'
import type { Variant } from '../reward/parse.js'
import { completionOf } from '../rollout/endpoint/completion.js'
import type { AskOptions, Endpoint, Outcome } from '../rollout/endpoint/endpoint.js'
import type { ChatRequest } from '../rollout/endpoint/types.js'
import { type EvalReport, type Reply, scoreReplies } from './exact-match.js'

/** How answers of an endpoint are drawn and scored. */
export interface EndpointEvalSettings extends AskOptions {
  maxTokens: number
  /** Default 0. */
  temperature?: number
  topP?: number
  topK?: number
  minP?: number
  /** Sent where given; not every server takes it. */
  seed?: number
  /** Default `v0`; `v2` asks for no thought, which native calls do not have. */
  variant?: Variant
}

/** {@link EvalReport}, and what the endpoint would not answer: those count as wrong. */
export type EndpointEvalReport = EvalReport & { refused: { id: string; reason: string }[] }

/**
 * Asks an endpoint every example and scores the answers by exact match. Examples without a truth are skipped and listed.
 *
 * @throws Error `ERR_DATA` where no example has a truth; what {@link Endpoint.askAll} throws
 */
export async function evaluateEndpoint(
  endpoint: Pick<Endpoint, 'askAll'>,
  examples: readonly Example[],
  { variant, onProgress, signal, ...sampling }: EndpointEvalSettings,
): Promise<EndpointEvalReport> {
  const asked = examples.filter((example) => example.truth !== undefined)
  const skipped = examples.filter((example) => example.truth === undefined).map(({ id }) => id)
  if (asked.length === 0)
    fail('Error', 'ERR_DATA', `[eval] expected an example with a truth, got none of ${examples.length}`)
  const requests = asked.map(
    ({ messages, tools }): ChatRequest => ({ messages, tools, ...sampling, temperature: sampling.temperature ?? 0 }),
  )
  const outcomes = await endpoint.askAll(requests, { ...(onProgress && { onProgress }), ...(signal && { signal }) })
  const refused = outcomes.flatMap(({ refusal }, i) =>
    refusal === null ? [] : [{ id: asked[i]!.id, reason: refusal }],
  )
  const report = scoreReplies(
    outcomes.map((outcome, i) => replyOf(asked[i]!, outcome)),
    variant,
  )
  const why = new Map(refused.map(({ id, reason }) => [id, reason]))
  const replies = report.replies.map((reply) => ({ ...reply, explain: why.get(reply.id) ?? reply.explain }))
  return { ...report, replies, skipped, refused }
}

function replyOf(example: Example, { answer }: Outcome): Reply {
  if (!answer) return { example, completion: '', tokens: 0, finishReason: 'stop' }
  return {
    example,
    completion: completionOf(answer),
    tokens: answer.usage?.completionTokens ?? 0,
    finishReason: answer.finishReason === 'length' ? 'length' : 'stop',
  }
}
