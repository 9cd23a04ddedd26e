export type BfclVersion = 'v3' | 'v4'
export type Language = 'python' | 'java' | 'javascript'

/** The single-turn categories in the order of BFCL's tables, by the names of version 4. */
export const categories = [
  'simple_python',
  'simple_java',
  'simple_javascript',
  'multiple',
  'parallel',
  'parallel_multiple',
  'irrelevance',
  'live_simple',
  'live_multiple',
  'live_parallel',
  'live_parallel_multiple',
  'live_irrelevance',
  'live_relevance',
] as const

export type Category = (typeof categories)[number]

/** Names that version 3 had for a category. */
const namesInV3: Partial<Record<Category, string>> = {
  simple_python: 'simple',
  simple_java: 'java',
  simple_javascript: 'javascript',
}

/** What a version calls a category, in file names, ids and tables. */
export function categoryName(category: Category, version: BfclVersion): string {
  return (version === 'v3' ? namesInV3[category] : undefined) ?? category
}

/** The category of either version's name; undefined for any other, multi-turn and agentic ones included. */
export function findCategory(name: string): Category | undefined {
  return categories.find((category) => category === name || namesInV3[category] === name)
}

/** Names for several categories at once, as the official tool takes them. */
export const categoryGroups: Readonly<Record<string, readonly Category[]>> = {
  all: categories,
  single_turn: categories,
  non_live: categories.filter((category) => !category.startsWith('live_')),
  live: categories.filter((category) => category.startsWith('live_')),
  ast: categories.filter((category) => !category.endsWith('relevance')),
  python: categories.filter((category) => languageOf(category) === 'python'),
}

export function languageOf(category: Category): Language {
  if (category === 'simple_java') return 'java'
  return category === 'simple_javascript' ? 'javascript' : 'python'
}

/** Whether a question has no right calls but asks for some call (relevance) or none (irrelevance). */
export const isRelevance = (category: Category): boolean => category.endsWith('relevance')

/** Questions of a complete category; a missing one counts with them as failed. */
const counts: Record<Category, number> = {
  simple_python: 400,
  simple_java: 100,
  simple_javascript: 50,
  multiple: 200,
  parallel: 200,
  parallel_multiple: 200,
  irrelevance: 240,
  live_simple: 258,
  live_multiple: 1053,
  live_parallel: 16,
  live_parallel_multiple: 24,
  live_irrelevance: 884,
  live_relevance: 16,
}
const countsInV3: Partial<Record<Category, number>> = { live_irrelevance: 882, live_relevance: 18 }

export function questionCount(category: Category, version: BfclVersion): number {
  return (version === 'v3' ? countsInV3[category] : undefined) ?? counts[category]
}
