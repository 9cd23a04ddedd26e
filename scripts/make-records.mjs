#!/usr/bin/env node
// Writes COUNT records in xLAM's format, about 1.6 kB each as in xLAM 60k, for measurements of `callgrad data`: the same file for the same
// count and seed. Ids and questions differ, tools and answers come from a pool of 5,000. One record in a thousand is broken.
//
//   node scripts/make-records.mjs COUNT FILE [SEED]

import { closeSync, openSync, writeSync } from 'node:fs'
import { Random } from '../dist/lib/data/random.js'

const nouns =
  'weather route invoice playlist ticket recipe forecast account package meeting hotel flight stock score'.split(' ')
const verbs = 'get find list search update book cancel compare track convert'.split(' ')
const words = 'the of a in to for that with by on at from which value result user request between number name'.split(
  ' ',
)

const sentence = (random, length) => Array.from({ length }, () => random.pick(words)).join(' ')

function tool(random) {
  const parameters = {}
  for (let i = random.integer(1, 4); i > 0; i--) {
    const type = random.pick(['str', 'int', 'float', 'bool', 'List[int]', 'str, optional'])
    parameters[`${random.pick(nouns)}_${i}`] = {
      description: sentence(random, 14),
      type,
      default: type.startsWith('str') ? '' : 1,
    }
  }
  return {
    name: `${random.pick(verbs)}_${random.pick(nouns)}_${random.integer(0, 999)}`,
    description: sentence(random, 18),
    parameters,
  }
}

const argumentOf = (type, random) =>
  ({
    str: sentence(random, 2),
    int: random.integer(0, 99),
    float: random.integer(0, 99) + 0.5,
    bool: random.chance(0.5),
    'List[int]': [1, 2],
  })[type.split(',')[0]]

function answered(index, seed) {
  const random = Random.of('answered', seed, index)
  const tools = Array.from({ length: random.integer(1, 4) }, () => tool(random))
  const answers = random.sample(tools, random.integer(1, 2)).map(({ name, parameters }) => ({
    name,
    arguments: Object.fromEntries(Object.entries(parameters).map(([key, { type }]) => [key, argumentOf(type, random)])),
  }))
  return JSON.stringify({ tools: JSON.stringify(tools), answers: JSON.stringify(answers) }).slice(1)
}

function record(index, seed, pool) {
  const random = Random.of('records', seed, index)
  const query = `${sentence(random, random.integer(10, 40))}?`
  const text = `{"id":${index},"query":"${query}",${random.pick(pool)}`
  return random.chance(0.001) ? text.slice(0, -20) : text
}

const [count, path, seed = '0'] = process.argv.slice(2)
if (!(Number(count) > 0) || !path) {
  console.error('usage: make-records.mjs COUNT FILE [SEED]')
  process.exit(2)
}
const file = openSync(path, 'w')
const pool = Array.from({ length: 5000 }, (_, i) => answered(i, Number(seed)))
let lines = []
for (let i = 0; i < Number(count); i++) {
  lines.push(record(i, Number(seed), pool), '\n')
  if (lines.length >= 4000 || i === Number(count) - 1) {
    writeSync(file, lines.join(''))
    lines = []
  }
}
closeSync(file)
