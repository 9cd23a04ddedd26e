import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { AnswerStore, askAll } from '../../lib/eval/answer-store.js'
import type { Answer, Asker, AskOptions, Question } from '../../lib/eval/asker.js'

const test = suite<{ file: string }>('stored answers')
test.before.each((context) => {
  context.file = join(mkdtempSync(join(tmpdir(), 'callgrad-answers-')), 'answers.jsonl')
})
test.after.each(({ file }) => rmSync(join(file, '..'), { recursive: true, force: true }))

const questions: Question[] = ['a', 'b', 'c', 'd'].map((id) => ({
  id,
  messages: [{ role: 'user', content: `say ${id}` }],
}))

/** Answers with the question's text; dies after `until` answers. */
class Echo implements Asker {
  readonly name = 'echo'
  asked: string[] = []
  constructor(
    readonly settings = 's',
    private readonly until = Number.POSITIVE_INFINITY,
  ) {}

  async ask(list: readonly Question[], { onAnswer }: AskOptions): Promise<void> {
    for (const { id, messages } of list) {
      if (this.asked.length === this.until) throw new Error('killed')
      this.asked.push(id)
      onAnswer(answer(id, messages[0]!.content))
    }
  }
}

const answer = (id: string, text: string): Answer => ({
  id,
  text,
  promptTokens: 1,
  completionTokens: 1,
  seconds: 0.5,
  finishReason: 'stop',
})

async function ask(file: string, asker: Asker, list = questions) {
  const store = new AnswerStore(file)
  try {
    return await askAll(asker, list, { store })
  } finally {
    store.close()
  }
}

test('after a kill only what has no stored answer is asked', async ({ file }) => {
  const first = new Echo('s', 2)
  await ask(file, first).then(
    () => assert.unreachable(),
    () => {},
  )
  const second = new Echo()
  const { answers, stored } = await ask(file, second)
  assert.equal([first.asked, second.asked, stored], [['a', 'b'], ['c', 'd'], 2])
  assert.equal(
    answers.map(({ id, text }) => [id, text]),
    [
      ['a', 'say a'],
      ['b', 'say b'],
      ['c', 'say c'],
      ['d', 'say d'],
    ],
  )
})

test('a line that a kill cut off is dropped, and the file goes on behind the whole ones', async ({ file }) => {
  await ask(file, new Echo(), questions.slice(0, 2))
  const whole = readFileSync(file, 'utf8')
  appendFileSync(file, whole.slice(0, 40))
  const asker = new Echo()
  await ask(file, asker, questions.slice(0, 3))
  assert.equal(asker.asked, ['c'])
  assert.ok(readFileSync(file, 'utf8').startsWith(whole))
  const last = new Echo()
  await ask(file, last, questions.slice(0, 3))
  assert.equal(last.asked, [])
})

test('lines that are no answers are not used', async ({ file }) => {
  writeFileSync(file, 'null\n{"key": "k"}\n[1]\n{"key": 5, "answer": {}}\nnot json\n')
  const asker = new Echo()
  await ask(file, asker)
  assert.is(asker.asked.length, 4)
})

test('another prompt or other settings never meet an old answer', async ({ file }) => {
  await ask(file, new Echo('temperature 0'))
  const warmer = new Echo('temperature 1')
  await ask(file, warmer)
  assert.is(warmer.asked.length, 4)
  const changed = new Echo('temperature 0')
  const [a, ...rest] = questions
  await ask(file, changed, [{ ...a!, messages: [{ role: 'user', content: 'other' }] }, ...rest])
  assert.equal(changed.asked, ['a'])
  const exact = new Echo('temperature 0')
  await ask(file, exact, [{ ...a!, prompt: [{ text: 'x', control: false }] }])
  assert.equal(exact.asked, ['a'])
})

test('what could not be asked is asked again next time', async ({ file }) => {
  const failing: Asker = {
    name: 'f',
    settings: 's',
    ask: async (list, { onAnswer }) => {
      for (const { id } of list) onAnswer({ ...answer(id, ''), error: 'busy' })
    },
  }
  const { answers } = await ask(file, failing)
  assert.is(answers[0]?.error, 'busy')
  const asker = new Echo()
  await ask(file, asker)
  assert.is(asker.asked.length, 4)
})

test('two questions of one id, and an asker that leaves one out, are errors', async ({ file }) => {
  await ask(file, new Echo(), [questions[0]!, questions[0]!]).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, 'different ids'),
  )
  const lazy: Asker = { name: 'lazy', settings: '', ask: async () => {} }
  await ask(file, lazy).then(
    () => assert.unreachable(),
    (error) => assert.match(error.message, 'an answer to a'),
  )
})

test.run()
