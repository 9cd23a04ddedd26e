// What of a study is done, what it took, and what is left.

import { type Stage, type StageState, stateIn } from './stages.js'

export interface PlannedStage extends StageState {
  name: string
  command: string
  /** Estimate of what is left. */
  left: number
}

/**
 * Every stage with minutes used and left. A stage that is missing is expected to take what finished ones of its kind took on average, or,
 * where there is none, what the study file says.
 */
export async function planOf(stages: readonly Stage[]): Promise<PlannedStage[]> {
  const states = await Promise.all(stages.map((stage) => stateIn(stages, stage)))
  const measured = new Map<string, number[]>()
  for (const [i, { kind }] of stages.entries()) {
    const { share, minutes } = states[i]!
    if (share === 1 && minutes > 0) measured.set(kind, [...(measured.get(kind) ?? []), minutes])
  }
  return stages.map(({ name, kind, args, result, expectedMinutes }, i) => {
    const state = states[i]!
    const like = measured.get(kind)
    const whole = like ? like.reduce((sum, one) => sum + one, 0) / like.length : expectedMinutes
    const command = `callgrad ${args.map(quoted).join(' ')}${result === undefined ? '' : ` > ${result}`}`
    return { ...state, name, command, left: whole * (1 - state.share) }
  })
}

/** An argument as a shell takes it. */
const quoted = (argument: string) =>
  /^[\w./:=,@%+-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`
