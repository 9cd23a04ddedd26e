import { empty, type Tensor, tensor } from '../tensor/tensor.js'
import * as assert from './assert.js'
import { firstDifference, largestError, rms, rmsError } from './compare.js'
import {
  type CallOp,
  callOf,
  callOp,
  callPositional,
  dtypeOf,
  invoke,
  type Outcome,
  opNamed,
  roundBFloat16,
  runCase,
} from './harness.js'
import { type Call, type Input, type OpCase, type OpRow, random } from './row.js'

// The checks of the conformance suite; each takes a row and the name of a device, and throws what does not hold.

const exact = (x: number) => x

/** The largest error of any output, of max(1, largest magnitude of the tensor). */
function compare(row: OpRow, c: OpCase, call: Call, got: Outcome): number {
  const wrong = row.check?.(call, got)
  if (wrong) assert.unreachable(`${row.op}, ${c.name}: ${wrong}`)
  let worst = 0
  for (const [name, expected] of Object.entries(row.reference(call, exact))) {
    const { error, where } = largestError(got[name], expected)
    assert.ok(error <= (row.tolerance ?? 2e-5), `${row.op}, ${c.name}: ${name} is off by ${error}: ${where}`)
    worst = Math.max(worst, error)
  }
  return worst
}

/** What is checked, where it is not the op's kernel. */
export interface Checked {
  call?: CallOp
}

/** Error of a bf16 call that is always allowed, of the root mean square of the result: what plain bf16 happens to get exactly, fp32 may round. */
const fp32Rounding = 2e-6
/** The same for fp32 sums of 4,099 terms on tensor cores, five times what is expected of an A100 (8 terms an addition, half a unit lost in each). */
const tensorCoreRounding = 5e-5

/** In f32 every case equals the float64 reference; returns the largest error. */
export async function matchesReference(row: OpRow, device: string, { call = callOp }: Checked = {}): Promise<number> {
  let worst = 0
  for (const c of row.cases) {
    const got = await runCase(row.op, c, { device, call })
    worst = Math.max(worst, compare(row, c, callOf(opNamed(row.op), c, 'f32'), got))
  }
  return worst
}

export const takesBFloat16 = (row: OpRow): boolean =>
  !row.skip?.includes('bf16') && opNamed(row.op).inputs.some((i) => !i.optional && i.dtypes.includes('bf16'))

/** In bf16 the error is at most twice that of the same formula with every tensor rounded to bf16; returns the largest error. */
export async function bfloat16IsAsGoodAsPlain(
  row: OpRow,
  device: string,
  { call = callOp }: Checked = {},
): Promise<number> {
  const floor = row.sumsInFp32 && device.startsWith('cuda') ? tensorCoreRounding : fp32Rounding
  let worst = 0
  for (const c of row.cases) {
    const rounded = callOf(opNamed(row.op), c, 'bf16')
    const got = await runCase(row.op, c, { device, float: 'bf16', call })
    const wanted = row.reference(rounded, exact)
    const plain = row.reference(rounded, roundBFloat16)
    for (const [name, expected] of Object.entries(wanted)) {
      assert.is(got[name]?.length, expected.length, `${row.op}, ${c.name}: elements of ${name}`)
      const [ours, theirs] = [rmsError(got[name]!, expected), rmsError(plain[name]!, expected)]
      const allowed = 2 * theirs + floor * rms(expected)
      assert.ok(ours <= allowed, `${row.op}, ${c.name}: ${name} is off by ${ours}, plain bf16 by ${theirs}`)
      worst = Math.max(worst, largestError(got[name]!, expected).error)
    }
  }
  return worst
}

export async function repeatsBitwise(row: OpRow, device: string): Promise<void> {
  for (const c of row.cases) {
    const different = firstDifference(await runCase(row.op, c, { device }), await runCase(row.op, c, { device }))
    assert.is(different, null, `${row.op}, ${c.name}: two runs differ`)
  }
}

export async function stridedEqualsDense(row: OpRow, device: string): Promise<void> {
  for (const c of row.cases) {
    for (const float of takesBFloat16(row) ? (['f32', 'bf16'] as const) : (['f32'] as const)) {
      const dense = await runCase(row.op, c, { device, float })
      const strided = await runCase(row.op, c, { device, float, strided: true })
      // a sum over a strided tensor may have another order than over a dense one, but only its rounding may differ
      for (const [name, values] of Object.entries(dense)) {
        const { error, where } = largestError(strided[name], values)
        const limit = float === 'bf16' ? 2 ** -8 : 2e-6
        assert.ok(error <= limit, `${row.op}, ${c.name}, ${float}: strided ${name}: ${where}`)
      }
    }
  }
}

/** NaN, infinities and values of 1e4 give what the reference says, NaN for NaN. */
export async function nonFiniteValuesComeThrough(row: OpRow, device: string): Promise<void> {
  const op = opNamed(row.op)
  const elements = (one: OpCase) => Math.min(...Object.values(one.inputs).map((input) => input.values.length))
  const c = row.cases.find((one) => elements(one) > 8) ?? row.cases.find((one) => elements(one) > 0)
  if (!c) return
  const next = random(11)
  for (const [name, input] of Object.entries(c.inputs)) {
    if (dtypeOf(op, name, input, 'f32') !== 'f32') continue
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e4, -1e4]) {
      const values = input.values.slice()
      values[Math.floor(next() * values.length)] = value
      const changed = { ...c, name: `${value} in ${name}`, inputs: { ...c.inputs, [name]: { ...input, values } } }
      compare(row, changed, callOf(op, changed, 'f32'), await runCase(row.op, changed, { device }))
    }
  }
}

/** The reference's gradient is the derivative of the reference's loss: central differences in float64. */
export function gradientIsTheDerivative(row: OpRow): void {
  const next = random(23)
  for (const c of row.cases) {
    const call = callOf(opNamed(row.op), c, 'f32')
    const copied: Call = {
      attrs: call.attrs,
      inputs: Object.fromEntries(
        Object.entries(call.inputs).map(([name, i]): [string, Input] => [name, { ...i, values: i.values.slice() }]),
      ),
    }
    const { variables, loss } = row.gradient!(copied)
    const gradients = row.reference(call, exact)
    for (const [name, variable] of Object.entries(variables)) {
      const start = call.inputs[name]?.values // an inout that the gradient is added to
      // each element costs two evaluations of the loss: large cases get few
      const tried = Math.min(variable.length, variable.length > 1000 ? 3 : 12)
      for (let k = 0; k < tried; k++) {
        const i = variable.length === tried ? k : Math.floor(next() * variable.length)
        const [x, h] = [variable[i]!, 1e-4 * Math.max(1, Math.abs(variable[i]!))]
        variable[i] = x + h
        const up = loss()
        variable[i] = x - h
        const down = loss()
        variable[i] = x
        const numeric = (up - down) / (2 * h)
        const analytic = gradients[name]![i]! - (start?.[i] ?? 0)
        const error = Math.abs(numeric - analytic) / Math.max(1, Math.abs(numeric))
        assert.ok(error < 1e-5, `${row.op}, ${c.name}: d ${name}[${i}] is ${analytic}, differences say ${numeric}`)
      }
    }
  }
}

/** The first half of the rows alone gives the bits that it gives among all. */
export async function rowsAreIndependent(row: OpRow, device: string): Promise<void> {
  for (const c of row.cases) {
    const rows = c.inputs[row.rowwise![0]!]!.shape[0]!
    const half = Math.floor(rows / 2)
    if (half === 0) continue
    const cut = Object.fromEntries(
      Object.entries(c.inputs).map(([name, input]): [string, Input] => {
        if (!row.rowwise!.includes(name)) return [name, input]
        const n = (input.values.length / rows) * half
        return [name, { ...input, shape: [half, ...input.shape.slice(1)], values: input.values.slice(0, n) }]
      }),
    )
    const [all, some] = [await runCase(row.op, c, { device }), await runCase(row.op, { ...c, inputs: cut }, { device })]
    const op = opNamed(row.op)
    for (const [name, values] of Object.entries(some)) {
      if (op.inputs.some((i) => i.name === name) && !row.rowwise!.includes(name)) continue
      const different = firstDifference({ [name]: all[name]!.slice(0, values.length) }, { [name]: values })
      assert.is(different, null, `${row.op}, ${c.name}: rows depend on other rows`)
    }
  }
}

/** What a row does not see may hold NaN: not a bit of the row changes. In bf16, since tensor cores multiply what is masked. */
export async function unseenReachesNothing(row: OpRow, device: string): Promise<void> {
  const options = { device, float: takesBFloat16(row) ? ('bf16' as const) : ('f32' as const) }
  for (const c of row.cases) {
    const clean = await runCase(row.op, c, options)
    for (const { case: spoiled, keeps } of row.unseen!(c)) {
      const got = await runCase(row.op, spoiled, options)
      for (const [name, kept] of Object.entries(keeps)) {
        const of = (values: Outcome) => ({ [name]: values[name]!.map((x, i) => (kept(i) ? x : 0)) })
        const different = firstDifference(of(clean), of(got))
        assert.is(different, null, `${row.op}, ${c.name}, ${spoiled.name}: what is not seen changes a result`)
      }
    }
  }
}

function throwsCode(row: OpRow, what: string, codes: string[], run: () => unknown): void {
  try {
    run()
  } catch (error) {
    const { code, message } = error as Error & { code?: string }
    assert.ok(
      code && codes.includes(code),
      `${row.op}, ${what}: expected ${codes.join(' or ')}, got ${code}: ${message}`,
    )
    assert.ok(message.startsWith(`[${row.op}] `), `${row.op}, ${what}: the message does not name the op: ${message}`)
    return
  }
  assert.unreachable(`${row.op}, ${what}: expected an error`)
}

/** Every input in turn: another dtype, another rank, disposed, missing, not a tensor. */
export async function wrongArgumentsAreErrors(row: OpRow, device: string): Promise<void> {
  const op = opNamed(row.op)
  const c = row.cases[0]!
  const good: Record<string, Tensor> = Object.fromEntries(
    Object.entries(c.inputs).map(([name, i]) => [
      name,
      i.dtype === 'i32'
        ? tensor(Int32Array.from(i.values), i.shape, { device })
        : i.dtype === 'u8'
          ? tensor(Uint8Array.from(i.values), i.shape, { device })
          : tensor(i.values, i.shape, { device, dtype: dtypeOf(op, name, i, 'f32') }),
    ]),
  )
  const call = (name: string, value: unknown) => () => invoke(op, { ...good, [name]: value }, { ...c.attrs })
  const disposed = tensor([1], [1], { device })
  disposed.dispose()
  for (const declared of op.inputs) {
    const { name } = declared
    throwsCode(row, `${name} disposed`, ['ERR_DISPOSED'], call(name, disposed))
    throwsCode(row, `${name} a plain object`, ['ERR_TYPE'], call(name, { id: 3 }))
    throwsCode(row, `${name} a number`, ['ERR_TYPE'], call(name, 7))
    if (!declared.optional) throwsCode(row, `${name} missing`, ['ERR_TYPE'], call(name, undefined))
    const given = good[name]
    if (!given) continue
    for (const dtype of ['f32', 'bf16', 'i32', 'u8'] as const) {
      if (declared.dtypes.includes(dtype)) continue
      const other = empty(given.shape, { device, dtype })
      throwsCode(row, `${name} of dtype ${dtype}`, ['ERR_DTYPE', 'ERR_TYPE'], call(name, other))
      other.dispose()
    }
    if (!declared.strided && given.shape.length > 0 && given.shape[0]! > 1) {
      const width = given.shape.slice(1).reduce((a, b) => a * b, 1)
      const buffer = empty([given.shape[0]!, width + 3], { device, dtype: given.dtype })
      throwsCode(row, `${name} strided`, ['ERR_SHAPE', 'ERR_TYPE'], call(name, buffer.view(given.shape, 0, width + 3)))
    }
  }
  if (op.attrs.length + op.outputs.length > 0) {
    const required = op.inputs.filter((i) => !i.optional).map((i) => good[i.name])
    throwsCode(row, 'options null', ['ERR_TYPE'], () => callPositional(op, ...required, null))
  }
  for (const attr of op.attrs) {
    const options = (value: unknown) => () => invoke(op, good, { ...c.attrs, [attr.name]: value })
    if (attr.kind !== 'bool') throwsCode(row, `${attr.name} as text`, ['ERR_TYPE'], options('1'))
    if (attr.kind === 'int') throwsCode(row, `${attr.name} broken`, ['ERR_RANGE'], options(1.5))
    if (attr.required && attr.kind !== 'bool') throwsCode(row, `${attr.name} missing`, ['ERR_TYPE'], options(undefined))
  }
  const into = (name: string, value: unknown) => () => invoke(op, good, { ...c.attrs, out: { [name]: value } })
  for (const { name } of op.outputs) {
    throwsCode(row, `out.${name} disposed`, ['ERR_DISPOSED'], into(name, disposed))
    throwsCode(row, `out.${name} a number`, ['ERR_TYPE'], into(name, 1))
  }
  await Promise.all(Object.values(good).map((t) => t.device.synchronize()))
  for (const t of Object.values(good)) t.dispose()
}

/** One check of a row, by the name that tests and `callgrad bench op` print. */
export interface Check {
  name: string
  run(device: string): Promise<void>
}

/** The checks of a kernel that apply to a row. Its reference's own ({@link gradientIsTheDerivative}) and those of arguments are not among them. */
export function kernelChecks(row: OpRow): Check[] {
  const check = (name: string, run: (row: OpRow, device: string) => Promise<unknown>): Check => ({
    name,
    run: async (device) => void (await run(row, device)),
  })
  return [
    check('equals the float64 reference', matchesReference),
    ...(takesBFloat16(row) ? [check('loses no more in bf16 than plain bf16', bfloat16IsAsGoodAsPlain)] : []),
    check('gives the same bits twice', repeatsBitwise),
    ...(row.skip?.includes('strided') ? [] : [check('takes strided rows', stridedEqualsDense)]),
    ...(row.skip?.includes('nonFinite') ? [] : [check('passes on what is not finite', nonFiniteValuesComeThrough)]),
    ...(row.rowwise ? [check('keeps rows apart', rowsAreIndependent)] : []),
    ...(row.unseen ? [check('is not reached by what it does not see', unseenReachesNothing)] : []),
  ]
}
