import { fail } from '../errors.js'

/** Completions of one group that share a microbatch; a group over the budget appears in several, its prompt repeated. */
export interface GroupPart {
  group: number
  /** Indices into the group's completions, ascending. */
  completions: number[]
}

/** Lengths are all that planning looks at, so a plan is the same on every machine and after every resume. */
export interface GroupLengths {
  promptTokens: number
  /** Rows of each completion (`completionRows`); 0 takes no part. */
  completionTokens: readonly number[]
}

/**
 * Splits prompt groups into microbatches of at most `budget` rows, in order.
 *
 * A group goes whole into the running microbatch if it fits, else into a new one; a group that no microbatch could hold is cut
 * into parts that repeat the prompt. One completion alone may exceed the budget with its prompt: it then has a microbatch
 * of its own, because nothing smaller gives its gradient.
 */
export function planGroups(groups: readonly GroupLengths[], budget: number): GroupPart[][] {
  checkBudget(budget)
  const plan = new Planner<GroupPart>(budget)
  groups.forEach(({ promptTokens, completionTokens }, group) => {
    const prefix = Math.max(promptTokens - 1, 0)
    const present = completionTokens.flatMap((rows, i) => (rows > 0 ? [{ i, rows }] : []))
    const whole = present.reduce((sum, { rows }) => sum + rows, prefix)
    if (present.length === 0) return
    if (whole <= budget) {
      plan.add({ group, completions: present.map(({ i }) => i) }, whole)
      return
    }
    let part: GroupPart = { group, completions: [] }
    let rows = prefix
    for (const completion of present) {
      if (part.completions.length > 0 && rows + completion.rows > budget) {
        plan.add(part, rows)
        part = { group, completions: [] }
        rows = prefix
      }
      part.completions.push(completion.i)
      rows += completion.rows
    }
    plan.add(part, rows)
  })
  return plan.batches
}

/** Splits sequences into microbatches of at most `budget` rows, in order; a longer sequence has one of its own. */
export function planSequences(rows: readonly number[], budget: number): number[][] {
  checkBudget(budget)
  const plan = new Planner<number>(budget)
  rows.forEach((count, i) => {
    if (count > 0) plan.add(i, count)
  })
  return plan.batches
}

class Planner<T> {
  readonly batches: T[][] = []
  private rows = 0
  constructor(private readonly budget: number) {}

  add(item: T, rows: number): void {
    const last = this.batches.at(-1)
    if (last && this.rows + rows <= this.budget) {
      last.push(item)
      this.rows += rows
    } else {
      this.batches.push([item])
      this.rows = rows
    }
  }
}

function checkBudget(budget: number): void {
  if (!(budget >= 1)) {
    fail('RangeError', 'ERR_CONFIG', `[batch] expected tokensPerMicrobatch to be at least 1, got ${budget}`)
  }
}
