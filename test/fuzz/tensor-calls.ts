import { describe } from '../../lib/errors.js'
import { device, devices, threadCount } from '../../lib/tensor/device.js'
import { keep, scope } from '../../lib/tensor/scope.js'
import { type DType, dtypeBytes, dtypes, empty, Tensor, tensor, write } from '../../lib/tensor/tensor.js'
import { numbers, sizes, strange } from './random.js'
import { type Code, Finding, type World } from './world.js'

// Calls of the tensor interface: making, filling, viewing, reading, freeing, scopes, memory limits.

/** The limit under which a fuzzed process works; what is larger must be refused. */
export const memoryLimit = 256 * 2 ** 20

/** A large tensor's segment ends at a huge page. */
const segmentRounding = 2 ** 22

const anyNumber = (world: World): unknown =>
  world.random.chance(0.2) ? world.random.pick(strange) : world.random.pick(numbers)

function anyShape(world: World): unknown {
  const { random } = world
  if (random.chance(0.15)) return random.pick(strange)
  return Array.from({ length: random.below(8) }, () => (random.chance(0.3) ? anyNumber(world) : random.pick(sizes)))
}

const bad: Code[] = ['ERR_TYPE', 'ERR_SHAPE', 'ERR_DTYPE', 'ERR_RANGE', 'ERR_MEMORY']

async function makeEmpty(world: World): Promise<void> {
  const { random } = world
  const shape = anyShape(world)
  const dtype = random.pick<DType>(dtypes)
  const make = () => empty(shape as number[], { device: world.device, dtype })
  const whole = Array.isArray(shape) && shape.length <= 5 && shape.every((n) => Number.isSafeInteger(n) && n >= 0)
  const elements = whole ? (shape as number[]).reduce((a, b) => a * Math.max(1, b), 1) : 0
  const bytes = whole ? (shape as number[]).reduce((a, b) => a * b, dtypeBytes[dtype]) : 0
  if (!whole || bytes > memoryLimit) return world.refuse(`empty ${describe(shape)}`, bad, make)
  // sizes of no elements whose product nothing could address are refused or fine, and so is what has no room beside the segments
  // that hold tensors
  const room = memoryLimit - world.device.memory().reserved
  if (elements > 2 ** 40 || bytes > room - segmentRounding) return void (await world.attempt('empty', make))
  const t = await world.succeed(`empty ${describe(shape)}`, make)
  random.chance(0.5) ? world.remember(t) : t.dispose()
}

async function makeFromData(world: World): Promise<void> {
  const { random, device: d } = world
  if (random.chance(0.4)) {
    const data = random.chance(0.5) ? random.pick(strange) : [1, random.pick(strange), 3]
    const shape = random.chance(0.5) ? anyShape(world) : undefined
    const options = random.chance(0.5) ? random.pick(strange) : { device: d, dtype: random.pick(strange) }
    const t = await world.attempt('tensor', () => tensor(data as number[], shape as number[], options as object))
    if (t instanceof Tensor) t.dispose()
    return
  }
  const dtype = random.pick<DType>(dtypes)
  const shape = Array.from({ length: random.below(4) }, () => random.pick(sizes.slice(0, 9)))
  const length = shape.reduce((a, b) => a * b, 1)
  const values = Float32Array.from({ length }, () => random.below(256))
  const data = random.pick([() => values, () => Array.from(values), () => new Float64Array(values)])()
  await world.settle() // a stream in error skips what is queued
  const t = await world.succeed('tensor', () => tensor(data, shape, { device: d, dtype }))
  await world.settle()
  const back = await world.succeed('toArray', () => t.toArray())
  if (back.length !== length || back.some((x, i) => x !== values[i]))
    throw new Finding(`tensor ${dtype} [${shape}]: other values came back`)
  const other = random.below(20)
  if (other !== length && !(length === 1 && other === 1))
    await world.refuse('write of another length', bad, () => write(t, new Float32Array(other)))
  await world.attempt('write', () => write(t, random.pick(strange) as number[]))
  random.chance(0.3) ? world.remember(t) : t.dispose()
}

async function viewTensor(world: World): Promise<void> {
  const { random } = world
  const t = world.any()
  if (!t) return
  const some = () => (random.chance(0.5) ? (anyNumber(world) as number) : random.below(70))
  const view = await world.attempt('view', () =>
    random.pick([
      () => t.view(anyShape(world) as number[], some(), some()),
      () => t.view(anyShape(world) as number[]),
      () => t.reshape(anyShape(world) as number[]),
      () => t.reshape([-1]),
      () => t.rows(some(), some()),
      () => t.columns(some(), some()),
    ])(),
  )
  if (!(view instanceof Tensor)) return
  if (t.disposed) throw new Finding('a view of a disposed tensor')
  world.remember(view)
}

async function readTensor(world: World): Promise<void> {
  const { random } = world
  const t = world.any()
  if (!t) return
  await world.settle()
  const dead = t.disposed
  if (dead) return world.refuse('toArray of a disposed tensor', ['ERR_DISPOSED'], () => t.toArray())
  if (t.layout) return world.refuse('toArray of a packed weight', ['ERR_TYPE'], () => t.toArray())
  // the raw calls may have freed the handle behind the tensor's back: then it is an error, never another's data
  const data = await world.attempt('toArray', () =>
    random.chance(0.8) ? t.toArray() : random.chance(0.5) ? t.toFloat32Array() : t.toInt32Array(),
  )
  if (data && (data as Float32Array).length !== t.size) throw new Finding('toArray: another number of elements')
}

async function freeTensor(world: World): Promise<void> {
  const t = world.any()
  if (!t) return
  const { random } = world
  await world.attempt('dispose', () =>
    random.pick([() => t.dispose(), () => t.drop(), () => t.retain(), () => t.release(), () => keep(t)])(),
  )
}

async function useScope(world: World): Promise<void> {
  const { random, device: d } = world
  const before = d.memory().tensors
  const made = () => empty([random.below(9)], { device: d })
  const what = random.below(4)
  if (what === 0) {
    await world.refuse('scope of a promise', ['ERR_TYPE'], () => scope(async () => made()))
  } else if (what === 1) {
    await world.refuse('scope that throws', bad, () =>
      scope(() => {
        made()
        scope(made)
        return empty([-1], { device: d })
      }),
    )
  } else if (what === 2) {
    const t = await world.succeed('scope', () => scope(() => [made(), scope(() => ({ inner: made() }))]))
    for (const x of [t[0] as Tensor, (t[1] as { inner: Tensor }).inner]) x.dispose()
  } else {
    await world.attempt('scope', () => scope(random.pick(strange) as () => void))
  }
  const after = d.memory().tensors
  if (after > before) throw new Finding(`a scope left ${after - before} tensors behind`)
}

async function useDevice(world: World): Promise<void> {
  const { random, device: d } = world
  await world.attempt('device', () =>
    random.pick([
      () => device(random.pick(strange) as string),
      () => devices(),
      () => threadCount(),
      () => d.memory(),
      () => d.resetPeakMemory(),
      () => d.synchronize(),
      () => d.setMemoryLimit(anyNumber(world) as number),
      () => empty([3], { device: random.pick(strange) as string }),
    ])(),
  )
  if (random.chance(0.02)) await world.attempt('trim', () => d.trim())
  d.setMemoryLimit(memoryLimit)
}

/** Little memory left: calls are refused with `ERR_MEMORY`, and go on when there is room again. */
async function runOutOfMemory(world: World): Promise<void> {
  const { device: d } = world
  const held = d.memory()
  d.setMemoryLimit(held.reserved)
  const rows: Tensor[] = []
  try {
    await world.refuse('empty past the limit', ['ERR_MEMORY'], () => {
      for (let i = 0; i < 1000; i++) rows.push(empty([4 << 20], { device: d }))
    })
  } finally {
    for (const t of rows) t.dispose()
    d.setMemoryLimit(memoryLimit)
  }
  const t = await world.succeed('empty after memory ran out', () => empty([64], { device: d }))
  t.dispose()
}

export const tensorCalls = [
  { weight: 4, run: makeEmpty },
  { weight: 3, run: makeFromData },
  { weight: 4, run: viewTensor },
  { weight: 2, run: readTensor },
  { weight: 2, run: freeTensor },
  { weight: 1, run: useScope },
  { weight: 1, run: useDevice },
  { weight: 0.05, run: runOutOfMemory },
]
