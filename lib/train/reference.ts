import { createHash } from 'node:crypto'
import { fail } from '../errors.js'
import type { ParamStore } from '../nn/params.js'
import type { TrainerState } from './checkpoint/state.js'

/** A frozen copy of a run's initial weights, in compute precision, and what identifies them. */
export interface Reference {
  params: ParamStore
  fingerprint: string
}

/**
 * Freezes the weights that `params` has now: call it before a checkpoint is loaded into them.
 *
 * @throws Error (ERR_CONFIG) where the run that is resumed started from other weights
 */
export async function freezeReference(params: ParamStore, resumed: TrainerState | null): Promise<Reference> {
  const fingerprint = await fingerprintOf(params)
  if (resumed && resumed.reference !== fingerprint) {
    const expected = '[resume] expected the model that the run started from, because beta > 0 compares with it'
    fail('Error', 'ERR_CONFIG', `${expected}; these weights are others`)
  }
  return { params: params.freeze(), fingerprint }
}

/** SHA-256 over every weight in fp32. */
async function fingerprintOf(params: ParamStore): Promise<string> {
  const hash = createHash('sha256')
  for (const tensor of params.exportTensors()) {
    const values = await tensor.read()
    hash.update(tensor.name).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }
  return hash.digest('hex')
}
