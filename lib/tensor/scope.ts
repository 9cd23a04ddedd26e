import { describe, fail } from '../errors.js'
import type { Tensor } from './tensor.js'

const stack: Set<Tensor>[] = []

/** @internal A new tensor joins the innermost scope. */
export function adopt(t: Tensor): void {
  stack.at(-1)?.add(t)
}

/** @internal A tensor was disposed by hand. */
export function forget(t: Tensor): void {
  for (let i = stack.length - 1; i >= 0; i--) if (stack[i]!.delete(t)) return
}

/**
 * Runs `fn` and frees every tensor that it made, except those in its return value (also inside arrays and plain
 * objects), those passed to {@link keep}, and those that a tape retains.
 *
 * @throws `ERR_TYPE` when `fn` is no function, or returns a promise: the tensors would be gone before it settles.
 */
export function scope<T>(fn: () => T): T {
  if (typeof fn !== 'function') fail('TypeError', 'ERR_TYPE', `[scope] expected a function, got ${describe(fn)}`)
  const mine = new Set<Tensor>()
  stack.push(mine)
  let result: T
  try {
    result = fn()
  } catch (error) {
    stack.pop()
    for (const t of mine) t.leaveScope()
    throw error
  }
  stack.pop()
  if (result instanceof Promise) {
    for (const t of mine) t.leaveScope()
    fail('TypeError', 'ERR_TYPE', '[scope] expected a synchronous function, got one that returns a promise')
  }
  for (const t of tensorsIn(result)) {
    if (mine.delete(t)) adopt(t)
  }
  for (const t of mine) t.leaveScope()
  return result
}

/** Takes a tensor out of its scope: whoever keeps it disposes it. */
export function keep<T extends Tensor>(t: T): T {
  forget(t)
  return t
}

function* tensorsIn(value: unknown, depth = 0): Generator<Tensor> {
  if (value === null || typeof value !== 'object' || depth > 4) return
  if ('leaveScope' in value) yield value as Tensor
  else if (Array.isArray(value)) for (const v of value) yield* tensorsIn(v, depth + 1)
  else if (!ArrayBuffer.isView(value)) for (const v of Object.values(value)) yield* tensorsIn(v, depth + 1)
}
