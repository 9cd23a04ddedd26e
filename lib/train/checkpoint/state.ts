import { fail } from '../../errors.js'
import type { WindowState } from '../window.js'

/** Where a run stands, beside its tensors. Plain JSON. */
export interface TrainerState {
  format: 1
  kind: 'grpo' | 'sft'
  /** Updates made. */
  step: number
  /** Position in the data order: examples drawn so far, over all epochs. */
  position: number
  /** Generations drawn so far; the key of everything random in the next one. */
  generations: number
  /** Updates made of the buffered generation; 0 where nothing is buffered. */
  update: number
  tokensSeen: number
  config: Record<string, unknown>
  data: DataFingerprint
  /** Fingerprint of the weights that the run started from, where a reference model needs the same again; else null. */
  reference: string | null
  /** Bytes of the logs; what lies behind them was not part of this checkpoint. */
  logs: { metrics: number; completions: number }
  window: WindowState
}

export interface DataFingerprint {
  size: number
  /** Of the ids in order. */
  hash: string
}

/** Settings that the data order, the buffer and the schedule are made of. A run cannot go on with others. */
const fixed = [
  'seed',
  'shuffleDataset',
  'promptsPerStep',
  'numGenerations',
  'updatesPerGeneration',
  'numIterations',
  'examplesPerStep',
] as const

/**
 * Refuses to resume where the run would not be the same run: another trainer, data set or order.
 *
 * @throws Error (ERR_CONFIG) that names what differs
 */
export function checkResumable(
  state: TrainerState,
  now: { kind: TrainerState['kind']; config: object; data: DataFingerprint },
): void {
  const refuse = (what: string, expected: unknown, got: unknown) =>
    fail('Error', 'ERR_CONFIG', `[resume] expected ${what} ${expected} as in the checkpoint, got ${got}`)
  if (state.kind !== now.kind) refuse('a trainer of kind', state.kind, now.kind)
  const config = now.config as Record<string, unknown>
  for (const key of fixed) {
    if (key in config && state.config[key] !== config[key]) refuse(key, state.config[key], config[key])
  }
  if (state.data.size !== now.data.size) refuse('a data set of size', state.data.size, now.data.size)
  if (state.data.hash !== now.data.hash) refuse('the data set', state.data.hash, now.data.hash)
}

/** Parses `trainer_state.json`. */
export function parseState(text: string, path: string): TrainerState {
  const broken = (why: string) => fail('Error', 'ERR_FORMAT', `[resume] ${path}: ${why}`)
  let state: TrainerState
  try {
    state = JSON.parse(text) as TrainerState
  } catch (error) {
    return broken(`expected JSON, got ${(error as Error).message}`)
  }
  if (state?.format !== 1) broken(`expected format 1, got ${state?.format}`)
  for (const key of ['step', 'position', 'generations', 'update', 'tokensSeen'] as const) {
    if (!Number.isSafeInteger(state[key])) broken(`expected a whole number in "${key}", got ${state[key]}`)
  }
  return state
}
