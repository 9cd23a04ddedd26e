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
  /** Who writes `reply`. Default: a teacher who makes no mistakes. */
  teacher?: TeacherHabits
}

/**
 * Synthetic tool-calling tasks as examples: `truth` is right, `reply` is what the teacher wrote. No tool name of `train` occurs in
 * `heldout`. Rendered with {@link chatTemplate}.
 */
export function syntheticExamples(settings: SyntheticSettings): Example[] {
  const { split, count, seed = 0, from = 0, teacher = carefulTeacher } = settings
  const difficulty = { ...defaultDifficulty, ...settings.difficulty }
  checkDifficulty(difficulty)
  return Array.from({ length: count }, (_, i) => {
    const task = syntheticTask(seed, split, from + i, difficulty)
    return {
      id: task.id,
      messages: [{ role: 'user', content: task.question }],
      tools: task.tools.map(toolSchema),
      truth: truthText(task),
      reply: demonstrate(task, teacher, seed),
    }
  })
}
