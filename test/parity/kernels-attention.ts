import { attention, attentionBackward } from '../../lib/tensor/ops.generated.js'
import { segmentTables } from '../../lib/tensor/segments.js'
import type { Computed, KernelCase, KernelCheck } from './kernel-case.js'

interface CaseSegment {
  queries: [number, number]
  keys: [number, number] | null
  spans: [number, number][]
}

function attentionCase(c: KernelCase): Computed {
  const list = (c.attrs.segments as CaseSegment[]).map((s) => ({ ...s, causalOffset: 0 }))
  const { segments, spans } = segmentTables(list, c.device)
  const [q, k, v, scale] = [c.tensor('in.q'), c.tensor('in.k'), c.tensor('in.v'), c.number('scale')]
  const { out, lse } = attention(q, k, v, segments, spans, { scale })
  const { dq, dk, dv } = attentionBackward(q, k, v, out, lse, c.tensor('dout.out'), segments, spans, { scale })
  return { 'out.out': out, 'out.lse': lse, 'grad.q': dq, 'grad.k': dk, 'grad.v': dv }
}

export const ops: Record<string, KernelCheck> = { attention: attentionCase }
