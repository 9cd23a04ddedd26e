import type { Example } from '../example.js'
import { checkDifficulty, type Difficulty, defaultDifficulty, syntheticTask, toolSchema } from './tasks.js'
import { carefulTeacher, demonstrate, type TeacherHabits, truthText } from './teacher.js'

export interface SyntheticSettings {
  split: 'train' | 'heldout'
  count: number
  seed?: number
  /** Number of the first task: disjoint ranges of one seed and split are disjoint lists of tasks. Default 0. */
  from?: number
  difficulty?: Partial<Difficulty>
  /**
   * The first part of the tasks, as a fraction of `count`, is easier, rising from one tool with one parameter and one call to the full
   * difficulty. A model that starts from nothing learns to copy from short prompts several times faster. Default 0.
   */
  rampUp?: number
  /** Who writes `reply`. Default: a teacher who makes no mistakes. */
  teacher?: TeacherHabits
}

/**
 * Synthetic tool-calling tasks as examples: `truth` is right, `reply` is what the teacher wrote. No tool name of `train` occurs in
 * `heldout`. Rendered with {@link chatTemplate}.
 */
export function syntheticExamples(settings: SyntheticSettings): Example[] {
  const { split, count, seed = 0, from = 0, rampUp = 0, teacher = carefulTeacher } = settings
  const difficulty = { ...defaultDifficulty, ...settings.difficulty }
  checkDifficulty(difficulty)
  return Array.from({ length: count }, (_, i) => {
    const task = syntheticTask(seed, split, from + i, eased(difficulty, i / (rampUp * count)))
    return {
      id: task.id,
      messages: [{ role: 'user', content: task.question }],
      tools: task.tools.map(toolSchema),
      truth: truthText(task),
      reply: demonstrate(task, teacher, seed),
    }
  })
}

/** A part of a difficulty: 0 is the easiest, 1 and more is all of it. */
function eased(difficulty: Difficulty, part: number): Difficulty {
  if (!(part < 1)) return difficulty
  const range = ([low, high]: readonly [number, number]): [number, number] => [
    Math.max(1, Math.round(low * part)),
    Math.max(1, Math.round(high * part)),
  ]
  return {
    tools: range(difficulty.tools),
    parameters: range(difficulty.parameters),
    optional: difficulty.optional * part,
    parallel: difficulty.parallel * part,
  }
}
