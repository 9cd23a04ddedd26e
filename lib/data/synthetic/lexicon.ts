/**
 * The words of the synthetic tasks. A tool is a verb and a noun (`book_hotel`); its parameters come from `parameters`. Small on purpose:
 * every word is seen often in training, while the tools of the held-out tasks are pairs that no training task has.
 */

/** How a question may say what a verb of a tool name means. */
export const verbs: Record<string, readonly string[]> = {
  find: ['Find', 'Look for'],
  book: ['Book', 'Reserve'],
  cancel: ['Cancel', 'Call off'],
  list: ['List', 'Show me'],
  update: ['Update', 'Change'],
  create: ['Create', 'Set up'],
  delete: ['Delete', 'Get rid of'],
  send: ['Send', 'Mail'],
  track: ['Track', 'Follow'],
  rate: ['Rate', 'Review'],
  order: ['Order', 'Buy'],
  share: ['Share', 'Pass on'],
}

export const nouns: readonly string[] = (
  'hotel flight taxi table ticket movie song recipe parcel invoice meeting alarm note photo course room car bike train concert ' +
  'museum doctor loan job garden lamp camera report contract poll lesson game'
).split(' ')

export type ParameterType = 'string' | 'integer' | 'number' | 'boolean' | 'enum' | 'list'

/** Parameters that hold a word. */
export const wordParameters: Record<string, readonly string[]> = {
  city: 'Oslo Rome Paris Lima Cairo Tokyo Delhi Quito Accra Sofia Dakar Minsk'.split(' '),
  owner: 'Anna Boris Chen Dora Emil Fatima Goran Hanna Ivan Jing Karim Lena'.split(' '),
  language: 'English French German Hindi Greek Polish Korean Arabic'.split(' '),
  genre: 'jazz rock drama comedy poetry horror opera folk'.split(' '),
  material: 'wood steel glass paper wool stone silk clay'.split(' '),
}

/** Parameters that hold a number; its type is the tool's choice: integer, number, or string. */
export const numericParameters: readonly string[] =
  'nights price level count weight code floor rating width year'.split(' ')

export const booleanParameters: readonly string[] = 'urgent public paid quiet express shared'.split(' ')

export const enumParameters: Record<string, readonly string[]> = {
  size: ['small', 'medium', 'large'],
  mode: ['fast', 'slow', 'auto'],
  day: ['monday', 'friday', 'sunday'],
  unit: ['metric', 'imperial'],
  priority: ['low', 'normal', 'high'],
}

/** Parameters that hold a list of words. */
export const listParameters: Record<string, readonly string[]> = {
  tags: 'red green blue black white gold'.split(' '),
  guests: 'Anna Boris Chen Dora Emil Fatima Goran Hanna'.split(' '),
  topics: 'art sport food music travel science'.split(' '),
  extras: 'breakfast parking wifi pool gym towels'.split(' '),
}

/** What a question says for true and for false. */
export const booleanWords = { true: 'yes', false: 'no' } as const

/** Tool names by split: every (verb, noun) pair belongs to one of them, in all seeds. One pair in five is held out. */
export function toolNames(split: 'train' | 'heldout'): { verb: string; noun: string }[] {
  const pairs: { verb: string; noun: string }[] = []
  for (const [v, verb] of Object.keys(verbs).entries()) {
    for (const [n, noun] of nouns.entries()) {
      const heldOut = (v * 3 + n) % 5 === 0
      if (heldOut === (split === 'heldout')) pairs.push({ verb, noun })
    }
  }
  return pairs
}
