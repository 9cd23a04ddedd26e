import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Random } from '../../lib/data/random.js'
import { syntheticExamples } from '../../lib/data/synthetic/dataset.js'
import { carefulTeacher, sloppyTeacher } from '../../lib/data/synthetic/teacher.js'
import { syntheticTokenizer } from '../../lib/data/synthetic/tokenizer.js'
import { scoreToolCalls } from '../../lib/reward/tool-call.js'
import { Tokenizer } from '../../lib/text/tokenizer.js'

const train = syntheticExamples({ split: 'train', count: 3000 })
const heldOut = syntheticExamples({ split: 'heldout', count: 1000 })
const names = (examples: typeof train) => new Set(examples.flatMap(({ tools }) => tools.map((t) => t.function.name)))

test('a careful teacher is always right', () => {
  for (const { reply, truth } of [...train, ...heldOut]) {
    const { reward, explain } = scoreToolCalls(reply ?? '', truth ?? '')
    assert.is(reward, 1, `${reply}: ${explain}`)
  }
})

test('train and held-out tasks share no tool; both have hundreds of tasks that differ', () => {
  const known = names(train)
  const unseen = names(heldOut)
  assert.ok(known.size > 250 && unseen.size > 60, `${known.size} and ${unseen.size} tools`)
  for (const name of unseen) assert.not.ok(known.has(name), name)
  const tasks = new Set(train.map(({ messages, tools }) => JSON.stringify([messages, tools])))
  assert.ok(tasks.size > 2950, `${tasks.size} different tasks`)
})

test('the same seed gives the same tasks, another seed others, a range its part', () => {
  assert.equal(syntheticExamples({ split: 'train', count: 20 }), train.slice(0, 20))
  assert.equal(syntheticExamples({ split: 'train', count: 20, from: 100 }), train.slice(100, 120))
  assert.not.equal(syntheticExamples({ split: 'train', count: 20, seed: 1 })[0]?.messages, train[0]?.messages)
})

test('every kind of argument, parallel calls, distractors and left-out parameters occur', () => {
  const texts = train.map(({ truth }) => truth ?? '')
  const share = (pattern: RegExp) => texts.filter((text) => pattern.test(text)).length / texts.length
  const patterns = {
    integer: /: \d+[,}]/,
    number: /: \d+\.\d/,
    boolean: /: (true|false)/,
    list: /: \["/,
    digits: /: "\d/,
    word: /: "[a-zA-Z]/,
  }
  for (const [kind, pattern] of Object.entries(patterns)) assert.ok(share(pattern) > 0.05, `${kind}: ${share(pattern)}`)
  const parallel = share(/\}\}, \{"name"/)
  assert.ok(parallel > 0.25 && parallel < 0.35, `${parallel} parallel`)
  const prompts = train.map(({ tools }) => tools.length)
  assert.equal([...new Set(prompts)].sort(), [2, 3, 4])
})

test('difficulty is what it says', () => {
  const easy = syntheticExamples({
    split: 'train',
    count: 200,
    difficulty: { tools: [1, 1], parameters: [1, 1], optional: 0, parallel: 0 },
  })
  for (const { tools, truth } of easy) {
    assert.is(tools.length, 1)
    const calls = JSON.parse(truth ?? '') as { arguments: object }[]
    assert.is(calls.length, 1)
    assert.is(Object.keys(calls[0]?.arguments ?? {}).length, 1)
  }
  for (const difficulty of [{ tools: [0, 1] }, { parameters: [2, 1] }, { parallel: 2 }, { optional: -1 }] as object[]) {
    assert.throws(() => syntheticExamples({ split: 'train', count: 1, difficulty }), /\[synthetic\] expected/)
  }
})

test('a sloppy teacher makes its mistakes as often as it is told, and no others', () => {
  const sloppy = syntheticExamples({ split: 'train', count: 3000, teacher: sloppyTeacher })
  const parallel = sloppy.filter(({ truth }) => (JSON.parse(truth ?? '') as unknown[]).length === 2)
  const dropped = parallel.filter(({ reply }) => reply?.match(/"name"/g)?.length === 1).length / parallel.length
  assert.ok(Math.abs(dropped - sloppyTeacher.dropsCalls) < 0.05, `${dropped} dropped`)
  const silent = sloppy.filter(({ reply }) => !reply?.includes('<think>')).length / sloppy.length
  assert.ok(Math.abs(silent - sloppyTeacher.skipsThought) < 0.03, `${silent} silent`)
  const onlyThoughts = syntheticExamples({
    split: 'train',
    count: 500,
    teacher: { ...carefulTeacher, skipsThought: 1 },
  })
  for (const { reply, truth } of onlyThoughts) assert.is(scoreToolCalls(reply ?? '', truth ?? '', 'v2').reward, 1)
})

test('the tokenizer round-trips every text, a word a token', () => {
  const tokenizer = new Tokenizer(syntheticTokenizer())
  let longest = 0
  let bytes = 0
  let tokens = 0
  for (const { messages, tools, reply } of [...train.slice(0, 1000), ...heldOut]) {
    const options = { tools, addGenerationPrompt: true }
    const prompt = tokenizer.applyChatTemplate(messages, options)
    const answer = tokenizer.encode(reply ?? '')
    assert.is(tokenizer.decode([...prompt, ...answer]), tokenizer.renderChatTemplate(messages, options) + reply)
    longest = Math.max(longest, prompt.length)
    tokens += answer.length
    bytes += [...answer].filter((token) => tokenizer.decode([token]).length === 1).length
  }
  assert.ok(longest <= 130, `${longest} tokens`)
  assert.ok(bytes / tokens < 0.25, `${bytes / tokens} of the tokens of replies are single characters`)
  assert.ok(tokenizer.vocabSize < 1000)
  for (const text of ['', 'naïve 日本 😀\n\t\\', '<think>[{"name": "', '9999.25 %$#', ' the  with ']) {
    assert.is(tokenizer.decode(tokenizer.encode(text)), text)
  }
})

test('the prompt reads as documented', () => {
  const tokenizer = new Tokenizer(syntheticTokenizer())
  const example = syntheticExamples({ split: 'train', count: 1, difficulty: { tools: [2, 2] } })[0]
  const text = tokenizer.renderChatTemplate(example?.messages ?? [], {
    tools: example?.tools ?? [],
    addGenerationPrompt: true,
  })
  const line = '[a-z]+_[a-z]+\\((?:[a-z]+: [a-z|]+(?:, )?)+\\)\\n'
  const pattern = new RegExp(
    `^<\\|im_start\\|>system\\n(?:${line}){2}<\\|im_end\\|>\\n<\\|im_start\\|>user\\n[A-Z].*\\.<\\|im_end\\|>\\n<\\|im_start\\|>assistant\\n$`,
  )
  assert.match(text, pattern)
})

test('random numbers: fixed by their keys, uniform, independent of other streams', () => {
  assert.equal(Random.of(1, 'a').shuffle([1, 2, 3, 4, 5, 6]), Random.of(1, 'a').shuffle([1, 2, 3, 4, 5, 6]))
  assert.is.not(Random.of(1, 'a').uint32(), Random.of(1, 'b').uint32())
  assert.is.not(Random.of(1, 12).uint32(), Random.of(11, 2).uint32())
  assert.is.not(Random.of('1').uint32(), Random.of(1).uint32())
  const random = Random.of(0)
  const counts = new Array<number>(10).fill(0)
  for (let i = 0; i < 20_000; i++) {
    const k = random.integer(0, 9)
    counts[k] = (counts[k] as number) + 1
  }
  const chi2 = counts.reduce((sum, n) => sum + (n - 2000) ** 2 / 2000, 0)
  assert.ok(chi2 < 30, `${chi2}`)
  assert.throws(() => random.pick([]), /at least one/)
})

test.run()
