import { type Category, isMultiTurn } from './categories.js'

/** Questions right and asked; `dialogues` in multi-turn categories: one list of verdicts for each. */
export interface CategoryScore {
  accuracy: number
  correct: number
  total: number
  /** Multi-turn only: the mean share of right steps of a dialogue. */
  process?: number
}

/** Python's `round(value, digits)`: exact ties go to the even neighbour. */
export function pyRound(value: number, digits: number): number {
  const exact = value.toFixed(100) // all digits of a double above 1e-15
  const cut = exact.length - 100 + digits
  if (!/^50*$/.test(exact.slice(cut))) return Number(value.toFixed(digits))
  const down = exact.slice(0, cut)
  return Number(/[13579]\.?$/.test(down) ? value.toFixed(digits) : down)
}

/** One question's verdict; ids of multi-turn questions end in `_{dialogue}_{step}`. */
export interface Outcome {
  id: string
  valid: boolean
}

/** A category's row as the official code has it: rounded to 3 digits, but not in special categories; multi-turn counts whole dialogues. */
export function scoreCategory(category: Category, outcomes: readonly Outcome[]): CategoryScore {
  const correct = outcomes.filter(({ valid }) => valid).length
  const total = outcomes.length
  if (total === 0) return { accuracy: 0, correct, total }
  if (!isMultiTurn(category)) {
    const share = correct / total
    return { accuracy: category.startsWith('special_') ? share : pyRound(share, 3), correct, total }
  }
  const dialogues = byDialogue(outcomes)
  const whole = dialogues.filter((steps) => steps.every((valid) => valid)).length
  const shares = dialogues.map((steps) => pyRound(steps.filter((valid) => valid).length / steps.length, 3))
  const process = pyRound(sum(shares) / shares.length, 3)
  return { accuracy: pyRound(whole / dialogues.length, 3), correct, total, process }
}

/** Neighbours whose ids name the same dialogue. */
function byDialogue(outcomes: readonly Outcome[]): boolean[][] {
  const dialogues: boolean[][] = []
  let last: string | undefined
  for (const { id, valid } of outcomes) {
    const dialogue = id.split('_').at(-2)
    if (dialogue === last) dialogues.at(-1)?.push(valid)
    else dialogues.push([valid])
    last = dialogue
  }
  return dialogues
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)

export interface Summary {
  atom: number
  single_turn: number
  multi_turn: number
  normal: number
  special: number
  agent: number
  overall: number
  /** What Tool-N1 seems to report: the mean of the eight atom and single-turn categories. */
  toolN1: number
}

/** `agent_*` accuracies may be added; every category that is absent counts as 0, as in the official table. */
export function summarize(accuracies: Readonly<Record<string, number>>): Summary {
  const of = (...names: string[]) => names.map((name) => accuracies[name] ?? 0)
  // The order of the official sum, which decides about ties.
  const mean = (values: readonly number[]) => pyRound(sum(values) / values.length, 3)
  const atoms = of(...atomNames)
  const single = of('normal_single_turn_single_function', 'normal_single_turn_parallel_function')
  const multi = of('normal_multi_turn_user_switch', 'normal_multi_turn_user_adjust')
  const normal = mean([...single, ...multi, ...of('normal_similar_api', 'normal_preference'), ...atoms])
  const special = mean(of('special_incomplete', 'special_error_param', 'special_irrelevant'))
  const agent = mean(of('agent_multi_turn', 'agent_multi_step'))
  return {
    atom: mean(atoms),
    single_turn: mean(single),
    multi_turn: mean(multi),
    normal,
    special,
    agent,
    overall: pyRound(special * 0.2676 + normal * 0.578 + agent * 0.1545, 3),
    toolN1: sum([...atoms, ...single]) / 8,
  }
}

const atomNames = ['bool', 'enum', 'number', 'list', 'object_deep', 'object_short'].map((kind) => `normal_atom_${kind}`)
