import { floats } from '../bench.js'
import * as reference from '../reference/embedding.js'
import { type Call, integers, normal, type OpCase, type OpRow } from '../row.js'

const forward = (name: string, vocab: number, width: number, tokens: number): OpCase => ({
  name,
  inputs: { w: normal([vocab, width], vocab + width), ids: integers([tokens], tokens + 1, vocab) },
})

const backward = (name: string, vocab: number, width: number, tokens: number): OpCase => ({
  name,
  inputs: {
    dy: normal([tokens, width], tokens + 2),
    ids: integers([tokens], tokens + 1, vocab),
    dw: { ...normal([vocab, width], vocab), dtype: 'f32' },
  },
})

function derivative(call: Call) {
  const { dy, ids, dw } = call.inputs
  const w = { shape: dw!.shape, values: dw!.values.slice() }
  const loss = () =>
    reference.embedding({ inputs: { w, ids: ids! }, attrs: {} }).y!.reduce((sum, y, i) => sum + y * dy!.values[i]!, 0)
  return { variables: { dw: w.values }, loss }
}

const sizes: [string, number, number, number][] = [
  ['59 tokens', 97, 16, 59],
  ['one token', 1, 1, 1],
  ['odd width', 11, 111, 97],
  ['wide', 5, 1025, 3],
  ['few ids, many rows', 3, 40, 1025],
  ['more tokens than are sorted at once', 50, 3, 5000],
  ['no tokens', 20, 16, 0],
  ['no columns', 20, 0, 5],
]

export const rows: OpRow[] = [
  {
    op: 'embedding',
    bench: { dtypes: floats, inputs: (m, s) => ({ w: m.normal([s.vocab, s.hidden]), ids: m.random(s.rows, s.vocab) }) },
    cases: sizes.map((s) => forward(...s)),
    reference: reference.embedding,
    rowwise: ['ids'],
  },
  {
    op: 'embeddingBackward',
    bench: {
      dtypes: floats,
      inputs: (m, s) => ({
        dy: m.normal([s.rows, s.hidden]),
        ids: m.random(s.rows, s.vocab),
        dw: m.normal([s.vocab, s.hidden], 'f32'),
      }),
    },
    cases: sizes.map((s) => backward(...s)),
    reference: reference.embeddingBackward,
    gradient: derivative,
  },
]
