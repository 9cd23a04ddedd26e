import { Random } from '../random.js'
import { booleanWords } from './lexicon.js'
import type { Argument, SyntheticCall, Task } from './tasks.js'

/**
 * What the writer of the demonstrations gets wrong, each a chance per demonstration. Above one half the mistake is the habit and the
 * right answer the exception: a model that imitates makes it too, greedy or sampled, yet often enough not to, so that a reward that
 * pays for right calls only has something to reinforce.
 */
export interface TeacherHabits {
  /** Copies a whole number as it stands where the tool wants a number: 3 instead of 3.0. */
  looseNumbers: number
  /** Leaves out the quotes where the tool wants digits in a string: 42 instead of "42". */
  looseDigits: number
  /** Copies yes and no as words instead of true and false. */
  looseBooleans: number
  /** Writes a list as one string: "red and blue" instead of ["red", "blue"]. */
  looseLists: number
  /** Answers only the first of two requests. */
  dropsCalls: number
  /** Leaves out the thought. */
  skipsThought: number
}

export const carefulTeacher: TeacherHabits = {
  looseNumbers: 0,
  looseDigits: 0,
  looseBooleans: 0,
  looseLists: 0,
  dropsCalls: 0,
  skipsThought: 0,
}

export const sloppyTeacher: TeacherHabits = {
  looseNumbers: 0.65,
  looseDigits: 0.65,
  looseBooleans: 0.6,
  looseLists: 0.3,
  dropsCalls: 0.65,
  skipsThought: 0.15,
}

/** JSON text of the right calls, arguments in the question's order. */
export function truthText(task: Task): string {
  return callsText(task.calls, () => false)
}

/** A demonstration of a task: `<think>…</think><tool_call>[…]</tool_call>`; the same for the same (seed, task). */
export function demonstrate(task: Task, habits: TeacherHabits, seed: number): string {
  const random = Random.of('teacher', seed, task.id)
  const slips = new Map(Object.entries(habits).map(([habit, p]) => [habit, random.chance(p)]))
  const slip = (habit: keyof TeacherHabits) => slips.get(habit) ?? false
  const calls = slip('dropsCalls') ? task.calls.slice(0, 1) : task.calls
  const thought = `<think>I call ${calls.map(({ tool }) => tool.name).join(' and ')}.</think>`
  return `${slip('skipsThought') ? '' : thought}<tool_call>${callsText(calls, slip)}</tool_call>`
}

function callsText(calls: SyntheticCall[], slip: (habit: keyof TeacherHabits) => boolean): string {
  const texts = calls.map(({ tool, arguments: args }) => {
    const pairs = args.map((arg) => `"${arg.parameter.name}": ${valueText(arg, slip)}`)
    return `{"name": "${tool.name}", "arguments": {${pairs.join(', ')}}}`
  })
  return `[${texts.join(', ')}]`
}

function valueText({ parameter, words }: Argument, slip: (habit: keyof TeacherHabits) => boolean): string {
  const word = words[0] ?? ''
  switch (parameter.type) {
    case 'integer':
      return word
    case 'number':
      return word.includes('.') || slip('looseNumbers') ? word : `${word}.0`
    case 'boolean':
      return slip('looseBooleans') ? `"${word}"` : String(word === booleanWords.true)
    case 'list':
      return slip('looseLists') ? `"${words.join(' and ')}"` : `[${words.map((item) => `"${item}"`).join(', ')}]`
    default:
      return parameter.values.length === 0 && slip('looseDigits') ? word : `"${word}"`
  }
}
