import type { Answer, Asker, AskOptions, Question } from '../../lib/eval/asker.js'

/** An asker whose answers the test writes; it can die after some. */
export class FakeAsker implements Asker {
  readonly name = 'lab/fake'
  readonly settings = 'fake'
  /** Ids in the order they were asked. */
  readonly asked: string[] = []
  /** Questions as they were asked. */
  readonly questions = new Map<string, Question>()

  constructor(
    private readonly reply: (question: Question) => Partial<Answer>,
    private readonly dieAfter = Number.POSITIVE_INFINITY,
  ) {}

  async ask(questions: readonly Question[], { onAnswer }: AskOptions): Promise<void> {
    for (const question of questions) {
      if (this.asked.length >= this.dieAfter) throw new Error('killed')
      this.asked.push(question.id)
      this.questions.set(question.id, question)
      const blank = { text: '', promptTokens: 1, completionTokens: 1, seconds: 0.1, finishReason: 'stop' }
      onAnswer({ id: question.id, ...blank, ...this.reply(question) })
    }
  }
}
