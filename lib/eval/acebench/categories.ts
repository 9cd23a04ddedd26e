/** ACEBench's English categories, without the two that need a simulated user (`agent_*`). */
const normalCategories = [
  'normal_single_turn_single_function',
  'normal_single_turn_parallel_function',
  'normal_multi_turn_user_switch',
  'normal_multi_turn_user_adjust',
  'normal_similar_api',
  'normal_preference',
  'normal_atom_bool',
  'normal_atom_enum',
  'normal_atom_number',
  'normal_atom_list',
  'normal_atom_object_deep',
  'normal_atom_object_short',
] as const

const specialCategories = ['special_incomplete', 'special_error_param', 'special_irrelevant'] as const

export const categories = [...normalCategories, ...specialCategories] as const
export type Category = (typeof categories)[number]

/** Names for several categories, as the official tool has them, and the eight that Tool-N1 reports. */
export const groups: Readonly<Record<string, readonly Category[]>> = {
  all: categories,
  normal: normalCategories,
  special: specialCategories,
  atom: normalCategories.filter((category) => category.startsWith('normal_atom_')),
  single_turn: normalCategories.filter((category) => category.startsWith('normal_single_turn_')),
  multi_turn: normalCategories.filter((category) => category.startsWith('normal_multi_turn_')),
  'tool-n1': normalCategories.filter((category) => /^normal_(?:atom|single_turn)_/.test(category)),
}

export const isCategory = (name: string): name is Category => (categories as readonly string[]).includes(name)

export const isMultiTurn = (category: Category): boolean => category.startsWith('normal_multi_turn_')

/**
 * `head`: chenchen0103/ACEBench@56dd66cf of October 2025. `2504`: @5878c7f0 of April 2025, the code of Tool-N1's time. They differ in how
 * answers are decoded and in a few rows of data.
 */
export const versions = ['head', '2504'] as const
export type Version = (typeof versions)[number]
