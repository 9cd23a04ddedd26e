import { invoke, outputsOf } from '../../lib/conformance/harness.js'
import { native } from '../../lib/tensor/native.js'
import { type DType, dtypes, empty, type Tensor, tensor } from '../../lib/tensor/tensor.js'
import { numbers, sizes, strange } from './random.js'
import { memoryLimit } from './tensor-calls.js'
import { place, type ValidCall } from './valid-calls.js'
import { type Code, Finding, type World } from './world.js'

// Calls of the addon itself, past everything that TypeScript checks: bindings/ and native/ have to hold alone.

const args = native.arguments
const ops = native.ops()
type Method = Exclude<keyof typeof native, 'arguments'>
const methods = Object.getOwnPropertyNames(native).filter(
  (name): name is Method => typeof native[name as Method] === 'function',
)

/** A number for the argument array: handles live, dead and forged, small counts, anything. */
function anyArgument(world: World): number {
  const { random } = world
  const kind = random.next()
  if (kind < 0.35) return world.live()?.id ?? -1
  if (kind < 0.4) return (world.any()?.id ?? 0) + random.pick([0.5, 1, 2 ** 32, -(2 ** 32), 2 ** 52])
  if (kind < 0.5) return -1
  if (kind < 0.8) return random.below(70)
  return random.pick(numbers)
}

function fillArguments(world: World, count: number): void {
  for (let i = 0; i < count; i++) args[i] = anyArgument(world)
  if (world.random.chance(0.9)) args[0] = world.device.index
}

/** `run` and `cost` with garbage, often starting from an argument array that a right call has just left. */
async function runOp(world: World, calls: readonly ValidCall[]): Promise<void> {
  const { random } = world
  let op = random.below(ops.length)
  const mine: Tensor[] = []
  if (random.chance(0.6)) {
    const call = random.pick(calls)
    op = ops.findIndex((o) => o.name === call.op.name)
    const inputs: Record<string, Tensor> = {}
    for (const [name, input] of Object.entries(call.case.inputs)) {
      inputs[name] = place(call.op, name, input, call.float, world.device.name)
      mine.push(inputs[name])
    }
    writeCall(world, call, inputs)
    for (let changes = random.below(4); changes > 0; changes--)
      args[random.below(1 + call.op.inputs.length + call.op.attrs.length + call.op.outputs.length)] = anyArgument(world)
  } else fillArguments(world, 32)
  const number = random.chance(0.05) ? random.pick(strange) : op
  world.trace(`addon run ${typeof number} ${ops[op]?.name} [${args.slice(0, 32).join(' ')}]`)
  await world.attempt('run', () => {
    if (random.chance(0.1)) return native.cost(number as number)
    if (random.chance(0.1)) native.runCublas(number as number)
    else native.run(number as number)
    for (let i = 0; i < (ops[op]?.outputs.length ?? 0); i++) if (args[9 * i] !== -1) made.push(args[9 * i]!)
  })
  await releaseAll(world, made)
  for (const t of mine) t.dispose()
  if (random.chance(1 / 8)) await world.settle()
}

/** Handles that raw calls made: no Tensor owns them. */
const made: number[] = []
async function releaseAll(world: World, handles: number[]): Promise<void> {
  for (const id of handles.splice(0)) {
    const reads = world.random.chance(0.1)
    await world.attempt(reads ? 'read' : 'release', () => {
      const data = reads ? native.read(id) : null
      native.release(id) // what reads it goes first
      return data
    })
  }
}

/** The argument array of a right call: [device, inputs, attributes, outputs]. */
function writeCall(world: World, call: ValidCall, inputs: Record<string, Tensor>): void {
  const attrs = call.op.attrs.map((a) => Number(call.case.attrs?.[a.name] ?? a.default))
  const numbersOf = [...call.op.inputs.map((i) => inputs[i.name]?.id ?? -1), ...attrs, ...call.op.outputs.map(() => -1)]
  args.set([world.device.index, ...numbersOf])
}

/** A right call past TypeScript gives what it gives through TypeScript: a handle for each output. */
async function rightRun(world: World, calls: readonly ValidCall[]): Promise<void> {
  const call = world.random.pick(calls)
  const inputs: Record<string, Tensor> = {}
  for (const [name, input] of Object.entries(call.case.inputs))
    inputs[name] = place(call.op, name, input, call.float, world.device.name)
  const expected = invoke(call.op, inputs, { ...call.case.attrs })
  await world.succeed(`addon run ${call.op.name}`, () => {
    writeCall(world, call, inputs)
    native.run(ops.findIndex((o) => o.name === call.op.name))
    const handles: number[] = []
    for (let i = 0; i < call.op.outputs.length; i++) if (args[9 * i] !== -1) handles.push(args[9 * i]!)
    for (const id of handles) if (!native.release(id)) throw new Finding(`${call.op.name}: an output without a handle`)
  })
  const results = call.op.outputs.length === 1 ? [expected] : Object.values((expected ?? {}) as object)
  for (const t of [...Object.values(inputs), ...(results as (Tensor | null)[])]) t?.dispose()
}

async function createOrView(world: World): Promise<void> {
  const { random } = world
  const dims = Array.from({ length: random.below(7) }, () =>
    random.chance(0.2) ? random.pick(numbers) : random.pick(sizes),
  )
  if (random.chance(0.5)) {
    args.set([random.chance(0.95) ? world.device.index : random.pick(numbers), random.below(5), dims.length, ...dims])
    world.trace(`addon create [${args.slice(0, 9).join(' ')}]`)
    const id = await world.attempt('create', () => native.create())
    if (typeof id === 'number') made.push(id)
  } else {
    const offset = random.chance(0.5) ? random.below(70) : random.pick(numbers)
    const stride = random.chance(0.5) ? random.below(70) : random.pick(numbers)
    args.set([anyArgument(world), offset, stride, random.below(5), dims.length, ...dims])
    world.trace(`addon view [${args.slice(0, 11).join(' ')}]`)
    const id = await world.attempt('view', () => native.view())
    if (typeof id === 'number') made.push(id)
  }
  await releaseAll(world, made)
}

/** ES2024, which Node 20 has. */
type Resizable = new (
  bytes: number,
  options: { maxByteLength: number },
) => ArrayBuffer & { resize(bytes: number): void }

const refused: Code[] = ['ERR_TYPE', 'ERR_SHAPE', 'ERR_DTYPE', 'ERR_RANGE', 'ERR_DISPOSED']

/** Every kind of typed array, also over shared, detached and resizable memory. */
function anyArray(world: World): unknown {
  const { random } = world
  const length = random.below(20)
  const kinds = [Float32Array, Int32Array, Uint16Array, Uint8Array, Float64Array, Int8Array, Uint8ClampedArray]
  const Kind = random.pick(kinds)
  switch (random.below(5)) {
    case 0:
      return new (Kind as new (memory: SharedArrayBuffer) => Uint8Array)(
        new SharedArrayBuffer(length * Kind.BYTES_PER_ELEMENT),
      )
    case 1: {
      const array = new Kind(length)
      structuredClone(array.buffer, { transfer: [array.buffer] })
      return array
    }
    case 2: {
      const buffer = new (ArrayBuffer as unknown as Resizable)(8 * length, { maxByteLength: 1024 })
      const array = new Kind(buffer)
      if (random.chance(0.5)) buffer.resize(8 * random.below(64))
      return array
    }
    case 3:
      return random.pick(strange)
    default:
      return new Kind(length)
  }
}

async function uploadData(world: World): Promise<void> {
  const { random, device } = world
  const array = anyArray(world)
  const dtype = random.pick<DType>(dtypes)
  const length = ArrayBuffer.isView(array) && !(array instanceof DataView) ? (array as Uint8Array).length : 3
  const t = empty([random.chance(0.8) ? length : random.below(20)], { device, dtype })
  const kinds = { f32: Float32Array, bf16: Uint16Array, i32: Int32Array, u8: Uint8Array }
  const right = array instanceof kinds[dtype] && (array as Uint8Array).length === t.size
  const upload = () => native.upload(t.id, array as Uint8Array)
  if (right) {
    await world.settle() // a stream in error skips what is queued
    const values = length === 0 ? '' : (array as Uint8Array).join() // join() of a detached array throws
    await world.succeed('upload', upload)
    await world.settle()
    const back = await world.succeed('read', () => native.read(t.id))
    if (back.join() !== values) throw new Finding('upload: other bytes came back')
  } else await world.refuse('upload', refused, upload)
  t.dispose()
}

/** Any method with any arguments and any `this`. */
async function anyMethod(world: World): Promise<void> {
  const { random } = world
  const name = random.pick(methods.filter((m) => m !== 'beginRecording')) // see record()
  const given = Array.from({ length: random.below(4) }, () =>
    random.chance(0.3) ? random.pick(strange) : anyArgument(world),
  )
  fillArguments(world, 16)
  world.trace(`addon ${name}(${given.map((x) => (typeof x === 'number' ? x : typeof x)).join(', ')})`)
  const self = random.chance(0.8) ? native : random.pick(strange)
  const result = await world.attempt(name, () => Reflect.apply(native[name] as () => unknown, self, given))
  if ((name === 'create' || name === 'view') && typeof result === 'number') native.release(result)
  if (name.startsWith('run') && given.length > 0) await world.settle()
  if (name === 'setMemoryLimit') native.setMemoryLimit(world.device.index, memoryLimit)
}

/** Ops recorded and replayed, right and wrong ones, and what is refused meanwhile. */
async function record(world: World, calls: readonly ValidCall[]): Promise<void> {
  const { random, device } = world
  const { index } = device
  await world.settle()
  const call = random.pick(calls)
  const inputs: Record<string, Tensor> = {}
  for (const [name, input] of Object.entries(call.case.inputs))
    inputs[name] = place(call.op, name, input, call.float, device.name)
  await world.succeed('beginRecording', () => native.beginRecording(index))
  const results = await world.succeed(`recorded ${call.op.name}`, () =>
    outputsOf(call.op, invoke(call.op, inputs, { ...call.case.attrs })),
  )
  const wrong = random.pick([
    () => native.beginRecording(index),
    () => native.sync(index),
    () => tensor([1], [1], { device }),
    () => native.read(Object.values(inputs)[0]!.id),
  ])
  await world.refuse('a call while recording', ['ERR_DEVICE'], wrong)
  const recording = await world.succeed('endRecording', () => native.endRecording(index))
  await world.refuse('endRecording twice', ['ERR_DEVICE'], () => native.endRecording(index))
  // the recording keeps its memory, whatever becomes of the tensors
  for (const t of [...Object.values(inputs), ...Object.values(results)]) t.dispose()
  for (let i = random.below(4); i >= 0; i--) await world.attempt('replay', () => native.replay(recording))
  if (random.chance(0.5)) await world.settle()
  await world.succeed('releaseRecording', () => {
    if (!native.releaseRecording(recording)) throw new Finding('a live recording was not there')
  })
  const gone = random.pick([recording, recording + 0.5, -1, Number.NaN, 2 ** 60])
  await world.refuse('replay of no recording', ['ERR_DISPOSED'], () => native.replay(gone))
}

export const addonCalls = [
  { weight: 0.5, run: record },
  { weight: 6, run: runOp },
  { weight: 1, run: rightRun },
  { weight: 3, run: createOrView },
  { weight: 1.5, run: uploadData },
  { weight: 3, run: anyMethod },
]
