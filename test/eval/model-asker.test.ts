import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { syntheticTokenizer } from '../../lib/data/synthetic/tokenizer.js'
import type { Answer, Question } from '../../lib/eval/asker.js'
import { type AskedModel, encodeParts, ModelAsker, type ModelAskerOptions } from '../../lib/eval/model-asker.js'
import { createModel } from '../../lib/model.js'
import type { GenerateRequest } from '../../lib/rollout/types.js'
import { Tokenizer } from '../../lib/text/tokenizer.js'
import { tinyConfig } from '../train/support.js'

const files = syntheticTokenizer()
const { vocabSize, specialTokens } = new Tokenizer(files)
const end = specialTokens.get('<|im_end|>')!
const model = createModel(
  { ...tinyConfig, vocabSize, maxPositionEmbeddings: 96, eosTokenIds: [end] },
  { device: 'cpu', dtype: 'f32', seed: 3, tokenizer: files },
)

/** The model, and what its engine was asked for. */
function watched(): { asked: GenerateRequest[]; model: AskedModel } {
  const asked: GenerateRequest[] = []
  const generate = (request: GenerateRequest) => {
    asked.push(request)
    return model.engine.generate(request)
  }
  return { asked, model: { tokenizer: model.tokenizer, config: model.config, engine: { generate } } }
}

async function ask(on: AskedModel, questions: readonly Question[], options: Partial<ModelAskerOptions> = {}) {
  const answers = new Map<string, Answer>()
  const asker = new ModelAsker(on, { name: 'tiny', maxTokens: 12, ...options })
  await asker.ask(questions, { onAnswer: (answer) => answers.set(answer.id, answer) })
  return answers
}

const user = (id: string, content = id): Question => ({ id, messages: [{ role: 'user', content }] })
const questions = Array.from({ length: 9 }, (_, i) => user(`q${i}`, 'x'.repeat(1 + 3 * i)))

test('all questions are one request, and an answer does not depend on the others', async () => {
  for (const temperature of [0, 1]) {
    const together = watched()
    const all = await ask(together.model, questions, { temperature })
    assert.is(together.asked.length, 1)
    assert.is(together.asked[0]!.prompts.length, 9)
    const alone = await ask(watched().model, [questions[4]!], { temperature })
    const { seconds: _, ...answer } = all.get('q4')!
    const { seconds: __, ...same } = alone.get('q4')!
    assert.equal(answer, same)
  }
})

test('answers come without the token that ended them; longer ones are cut and say so', async () => {
  const answers = await ask(watched().model, questions, { temperature: 1 })
  for (const { text, finishReason, completionTokens, promptTokens, seconds } of answers.values()) {
    assert.not.match(text, '<|im_end|>')
    assert.ok(finishReason === 'stop' || (finishReason === 'length' && completionTokens === 12))
    assert.ok(promptTokens > 0 && seconds >= 0)
  }
})

test('exact prompts are used where the model knows their control tokens, the template else', async () => {
  const start = { text: '<|im_start|>', control: true }
  const exact = { ...user('a'), prompt: [start, { text: 'odd\nform <|im_end|>', control: false }] }
  const unknown = { ...user('b'), prompt: [{ text: '<|header|>', control: true }] }
  const { asked, model: on } = watched()
  await ask(on, [exact, unknown])
  const [first, second] = asked[0]!.prompts
  assert.is(model.tokenizer.decode(first!), '<|im_start|>odd\nform <|im_end|>')
  assert.not.ok(first!.includes(end), 'text that spells a control token stays text')
  assert.is(model.tokenizer.decode(second!), '<|im_start|>user\nb<|im_end|>\n<|im_start|>assistant\n')
})

test('text parts side by side are encoded as one text', () => {
  const parts = ['{"na', 'me": "'].map((text) => ({ text, control: false }))
  assert.equal(encodeParts(model.tokenizer, parts), model.tokenizer.encodeText('{"name": "'))
})

test('a prompt that leaves no room is refused with a reason, the others are asked', async () => {
  const answers = await ask(watched().model, [user('long', 'y'.repeat(400)), user('short')])
  assert.match(answers.get('long')!.error!, /the prompt has \d+ tokens, the model takes 84/)
  assert.is(answers.get('short')!.error, undefined)
})

test('settings tell apart what answers depend on, and leave memory out', () => {
  const settings = (options: Partial<ModelAskerOptions>) => new ModelAsker(model, { name: 'm', ...options }).settings
  const base = settings({})
  for (const other of [{ temperature: 1 }, { maxTokens: 5 }, { fingerprint: 'x' }, { seed: 2 }]) {
    assert.is.not(settings(other), base)
  }
  assert.is(settings({ kvMemory: 5 }), base)
})

test.after(() => model.dispose())
test.run()
