import { fail } from '../errors.js'
import type { Device } from './device.js'
import { native } from './native.js'
import { scope } from './scope.js'

const finalizer = new FinalizationRegistry<number>((id) => {
  native.releaseRecording(id)
})

/**
 * Ops that were recorded once and can be queued again as a whole: a CUDA graph on `cuda`, a list elsewhere. The memory that
 * they use is kept until {@link Recording.dispose}, also that of tensors that are disposed meanwhile.
 */
export class Recording {
  #id: number

  /** @internal Use {@link record}. */
  constructor(
    id: number,
    readonly device: Device,
  ) {
    this.#id = id
    finalizer.register(this, id, this)
  }

  /** Queues the ops again, on what their tensors hold by then. */
  replay(): void {
    if (this.#id < 0) fail('Error', 'ERR_DISPOSED', '[replay] expected a live recording, got one that was disposed')
    native.replay(this.#id)
  }

  /** Frees the recording and the memory that only it keeps. Safe to call twice. */
  dispose(): void {
    if (this.#id < 0) return
    finalizer.unregister(this)
    native.releaseRecording(this.#id)
    this.#id = -1
  }
}

/**
 * Records the ops that `queue` calls, without running them. Only ops: uploads and reads on the device are refused meanwhile.
 *
 * An op that fails to start is reported by the next await on the device, and by a replay.
 */
export function record(device: Device, queue: () => void): Recording {
  native.beginRecording(device.index)
  try {
    scope(queue)
  } catch (error) {
    native.releaseRecording(native.endRecording(device.index))
    throw error
  }
  return new Recording(native.endRecording(device.index), device)
}
