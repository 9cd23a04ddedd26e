import { callPositional, dtypeOf, invoke, outputsOf } from '../../lib/conformance/harness.js'
import type { NativeOp } from '../../lib/tensor/native.js'
import { type DType, dtypes, empty, Tensor } from '../../lib/tensor/tensor.js'
import { numbers, sizes, strange, tableValues } from './random.js'
import { place, upload, type ValidCall } from './valid-calls.js'
import type { Code, World } from './world.js'

// Calls of ops that start from a right one and are changed: in ways that may or may not matter (anyOpCall), in one way that
// must be refused when the call is made (wrongOpCall), or in a table's values, which only the kernel can refuse (wrongTable).

type Arguments = Record<string, unknown>

function placeAll(world: World, call: ValidCall): Record<string, Tensor> {
  const name = world.device.name
  return Object.fromEntries(
    Object.entries(call.case.inputs).map(([key, input]) => [key, place(call.op, key, input, call.float, name)]),
  )
}

function disposeAll(...groups: (Record<string, Tensor> | Tensor[])[]): void {
  for (const t of groups.flatMap((g) => Object.values(g) as Tensor[])) t.dispose()
}

/** A tensor of any shape and dtype, its contents undefined unless it may serve as a table. */
function anyTensor(world: World): Tensor {
  const { random, device } = world
  const dtype = random.pick<DType>(dtypes)
  let shape = Array.from({ length: random.below(6) }, () => random.pick(sizes))
  if (random.chance(0.05)) shape = [0, random.pick([2 ** 31, 2 ** 40])] // no elements, but a size beyond memory
  while (shape.reduce((a, b) => a * b, 1) > 1 << 14) shape.pop()
  if (dtype !== 'i32') return empty(shape, { device, dtype })
  const values = Int32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => random.pick(tableValues))
  return upload(values, shape, 'i32', device.name)
}

/** The tensor, or a view of some of its columns, or of its rows from the second on. */
function maybeView(world: World, t: Tensor): Tensor {
  const { random } = world
  if (t.disposed || t.layout || t.shape.length === 0 || t.size === 0 || random.chance(0.4)) return t
  const rows = t.shape[0]!
  const rest = t.shape.slice(1)
  const width = rest.reduce((a, b) => a * b, 1)
  const from = random.below(rows)
  try {
    const view =
      random.chance(0.5) || width < 2
        ? t.view([rows - from, ...rest], from * t.rowStride, t.rowStride)
        : t.view([rows, random.below(width - 1) + 1], 0, t.rowStride)
    world.remember(view)
    return view
  } catch (error) {
    world.count('view', error) // a call of the addon freed the handle behind the tensor's back
    return t
  }
}

function anyArgument(world: World, inputs: Arguments): unknown {
  const { random } = world
  const kind = random.next()
  if (kind < 0.15) return random.pick(strange)
  const tensors = Object.values(inputs).filter((t) => t instanceof Tensor)
  if (kind < 0.45 && tensors.length > 0) return maybeView(world, random.pick(tensors))
  const old = world.any()
  if (kind < 0.7 && old) return maybeView(world, old)
  const t = anyTensor(world)
  world.remember(t)
  if (random.chance(0.1)) t.dispose()
  return t
}

/** Up to two arguments, an attribute and outputs may be anything; tables may hold anything. */
export async function anyOpCall(world: World, calls: readonly ValidCall[]): Promise<void> {
  const { random } = world
  const call = random.pick(calls)
  const { op, float } = call
  const mine: Record<string, Tensor> = {}
  for (const [name, input] of Object.entries(call.case.inputs)) {
    const values = input.values.slice()
    if (dtypeOf(op, name, input, float) === 'i32' && random.chance(0.3))
      for (let i = 0; i < values.length; i++) if (random.chance(0.2)) values[i] = random.pick(tableValues)
    mine[name] = place(op, name, { ...input, values }, float, world.device.name)
  }
  const inputs: Arguments = { ...mine }
  const names = op.inputs.map((i) => i.name)
  for (let changes = random.below(3); changes > 0; changes--) inputs[random.pick(names)] = anyArgument(world, inputs)
  const options: Arguments = { ...call.case.attrs }
  if (op.attrs.length > 0 && random.chance(0.3))
    options[random.pick(op.attrs).name] = random.chance(0.2) ? random.pick(strange) : random.pick(numbers)
  if (random.chance(0.3) && op.outputs.length > 0) {
    const out: Arguments = {}
    for (const { name } of op.outputs) if (random.chance(0.6)) out[name] = anyArgument(world, inputs)
    options.out = random.chance(0.05) ? random.pick(strange) : out
  }
  world.trace(`any ${op.name} ${call.case.name} ${float}`)
  const result = await world.attempt(op.name, () => invoke(op, inputs, options))
  if (result) {
    for (const t of Object.values(outputsOf(op, result)))
      if (t instanceof Tensor && !Object.values(mine).includes(t)) world.remember(t)
  }
  for (const t of Object.values(mine)) random.chance(0.1) ? world.remember(t) : t.dispose()
  if (random.chance(1 / 8)) await world.settle()
}

interface Wrong {
  what: string
  codes: Code[]
  run: () => unknown
}

const refused: Code[] = ['ERR_TYPE', 'ERR_SHAPE', 'ERR_DTYPE', 'ERR_RANGE']

/** One thing that is wrong with a right call, and the codes with which it has to be refused. */
function makeWrong(world: World, call: ValidCall, good: Record<string, Tensor>, extra: Tensor[]): Wrong | null {
  const { random, device } = world
  const { op } = call
  const attrs = { ...call.case.attrs }
  const made = (t: Tensor) => {
    extra.push(t)
    return t
  }
  const disposed = () => {
    const t = empty([1], { device })
    t.dispose()
    return t
  }
  const withInput = (name: string, value: unknown) => () => invoke(op, { ...good, [name]: value }, attrs)
  const withOption = (name: string, value: unknown) => () => invoke(op, good, { ...attrs, [name]: value })
  const declared = random.pick(op.inputs)
  const given = good[declared.name]
  const attr = op.attrs.length > 0 ? random.pick(op.attrs) : null
  const output = op.outputs.length > 0 ? random.pick(op.outputs).name : null
  switch (random.below(10)) {
    case 0:
      return { what: `${declared.name} disposed`, codes: ['ERR_DISPOSED'], run: withInput(declared.name, disposed()) }
    case 1: {
      const value = random.pick(strange)
      if (declared.optional && (value === null || value === undefined)) return null
      return { what: `${declared.name} no tensor`, codes: ['ERR_TYPE'], run: withInput(declared.name, value) }
    }
    case 2: {
      if (!given) return null
      const foreign = foreignTensor(random.below(3), given)
      return { what: `${declared.name} foreign`, codes: ['ERR_TYPE'], run: withInput(declared.name, foreign) }
    }
    case 3: {
      const wrong = dtypes.filter((d) => !declared.dtypes.includes(d))
      if (!given || wrong.length === 0) return null
      const t = made(empty(given.shape, { device, dtype: random.pick(wrong) }))
      return { what: `${declared.name} of dtype ${t.dtype}`, codes: refused, run: withInput(declared.name, t) }
    }
    case 4: {
      if (!given || declared.strided || (given.shape[0] ?? 0) < 2) return null
      const width = given.shape.slice(1).reduce((a, b) => a * b, 1)
      const buffer = made(empty([given.shape[0]!, width + 3], { device, dtype: given.dtype }))
      const view = made(buffer.view(given.shape, 1, width + 3))
      return { what: `${declared.name} strided`, codes: refused, run: withInput(declared.name, view) }
    }
    case 5: {
      if (!attr || attr.kind === 'bool') return null
      const value = random.pick(strange.filter((x) => typeof x !== 'number' && x !== undefined))
      return { what: `${attr.name} no number`, codes: ['ERR_TYPE'], run: withOption(attr.name, value) }
    }
    case 6: {
      if (attr?.kind !== 'int') return null
      const value = random.pick([1.5, Number.NaN, Number.POSITIVE_INFINITY, -(2 ** 63), 1e300])
      return { what: `${attr.name} ${value}`, codes: ['ERR_RANGE'], run: withOption(attr.name, value) }
    }
    case 7: {
      if (op.attrs.length + op.outputs.length === 0) return null
      const required = op.inputs.filter((i) => !i.optional).map((i) => good[i.name])
      const value = random.pick([null, 7, 'x', true, Symbol('s'), 10n])
      return { what: 'options', codes: ['ERR_TYPE'], run: () => callPositional(op, ...required, value) }
    }
    case 8: {
      if (!output) return null
      const [what, codes, value] = random.pick<[string, Code[], unknown]>([
        ['disposed', ['ERR_DISPOSED'], disposed()],
        ['no tensor', ['ERR_TYPE'], 7],
        ['of five dimensions', refused, made(empty([1, 1, 1, 1, 7], { device }))],
      ])
      return { what: `out.${output} ${what}`, codes, run: withOption('out', { [output]: value }) }
    }
    default: {
      // an output on the memory of a table, which the kernel has checked and then reads again
      const tables = op.inputs.filter((i) => i.dtypes.length === 1 && i.dtypes[0] === 'i32' && !i.inout && !i.strided)
      const inout = op.inputs.filter((i) => i.inout && i.dtypes.includes('i32'))
      if (tables.length === 0 || inout.length === 0) return null
      const table = good[random.pick(tables).name]
      const written = random.pick(inout).name
      if (
        !table ||
        table.size === 0 ||
        good[written]?.dtype !== 'i32' ||
        good[written].shape.length !== table.shape.length
      )
        return null
      if (good[written].shape.some((n, i) => n !== table.shape[i])) return null
      return { what: `${written} on a table`, codes: refused, run: withInput(written, table) }
    }
  }
}

/** What looks like a tensor and is none of this library's: a copy, an heir without a handle, one with another's handle. */
function foreignTensor(kind: number, t: Tensor): unknown {
  if (kind === 0) return { ...t }
  if (kind === 1) return Object.create(Tensor.prototype)
  return Object.assign(Object.create(Tensor.prototype), { id: t.id, shape: t.shape, dtype: t.dtype })
}

/** A right call with one thing wrong in it. */
export async function wrongOpCall(world: World, calls: readonly ValidCall[]): Promise<void> {
  const call = world.random.pick(calls)
  const good = placeAll(world, call)
  const extra: Tensor[] = []
  const wrong = makeWrong(world, call, good, extra)
  if (wrong) await world.refuse(`${call.op.name}, ${wrong.what}`, wrong.codes, wrong.run)
  disposeAll(good, extra)
}

/** Tables whose every value is an address, and where in a row a value that is too large cannot go unseen. */
const tables: Record<string, [input: string, column: number][]> = {
  gatherRows: [['rows', 0]],
  scatterRows: [['rows', 0]],
  embedding: [['ids', 0]],
  embeddingBackward: [['ids', 0]],
  linearLogprob: [['targets', 0]],
  linearLogprobBackward: [['targets', 0]],
  rope: [['positions', 0]],
  grpoLoss: [['offsets', 0]],
  kvWrite: [['slots', 0]],
  kvRead: [['slots', 0]],
  decodeSlots: [['ownLens', 0]],
  decodeAttention: [['rowGroup', 0]],
  attention: [
    ['segments', 1],
    ['segments', 5],
    ['spans', 1],
  ],
  attentionBackward: [
    ['segments', 1],
    ['segments', 5],
    ['spans', 1],
  ],
}

/** A table with a value outside: the next await gets the error, and the stream goes on. */
export async function wrongTable(world: World, calls: readonly ValidCall[]): Promise<void> {
  const { random } = world
  const candidates = calls.filter((c) => tables[c.op.name])
  const call = random.pick(candidates)
  const [name, column] = random.pick(tables[call.op.name]!)
  const input = call.case.inputs[name]!
  // without elements there may be nothing to do, and nothing is looked up
  if (Object.values(call.case.inputs).some((i) => i.values.length === 0)) return
  const values = input.values.slice()
  const width = input.shape[1] ?? 1
  values[random.below(input.shape[0]!) * width + column] = random.pick([2 ** 31 - 1, 2 ** 30])
  if (random.chance(0.3) && column === 0) values[0] = -(2 ** 31)
  await world.settle() // a stream in error skips uploads, too
  const inputs = placeAll(world, {
    ...call,
    case: { ...call.case, inputs: { ...call.case.inputs, [name]: { ...input, values } } },
  })
  let results: Record<string, Tensor> = {}
  await world.refuse(`${call.op.name}, ${call.case.name}: a value outside in ${name}`, ['ERR_RANGE'], async () => {
    results = outputsOf(call.op, invoke(call.op, inputs, { ...call.case.attrs }))
    await world.device.synchronize()
  })
  disposeAll(inputs, results)
}

/** Whether an op of the table has tables that {@link wrongTable} knows nothing of; a new op is then added there. */
export function unknownTables(ops: Iterable<NativeOp>): string[] {
  const harmless = ['sample', 'decodeAdvance'] // keys and positions are numbers, not addresses; groups are only compared with 0
  const names: string[] = []
  for (const op of ops) {
    const hasTable = op.inputs.some((i) => i.dtypes.length === 1 && i.dtypes[0] === 'i32' && !i.inout)
    if (hasTable && !tables[op.name] && !harmless.includes(op.name)) names.push(op.name)
  }
  return names
}
