// A small study on disk, as the commands leave one: two seeds of a run, and evaluations of them and of a base model.

import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadBfcl } from '../../../lib/eval/bfcl/dataset.js'
import { evaluateBfcl } from '../../../lib/eval/bfcl/evaluate.js'
import { failuresOf } from '../../../lib/eval/bfcl/failures.js'
import { writeBfclFiles } from '../../../lib/eval/bfcl/files.js'
import { failuresPage } from '../../../lib/eval/failures-page.js'
import type { MetricLine } from '../../../lib/train/report/read.js'
import { fixtureData } from '../../eval/bfcl/support.js'
import { FakeAsker } from '../../eval/fake-asker.js'

/** What a model may write to break a page. */
export const hostile = `</script><script>alert('pwned')</script><img src=x onerror="alert(1)"><!-- ]]> \u2028 \u2029 \u0000 \ud800`

/** No place to break a line, as in a path. */
export const longName = 'long_name_'.repeat(12)

export function metricLines(seed: number, steps: number): MetricLine[] {
  return Array.from({ length: steps }, (_, i) => ({
    step: i + 1,
    reward: (i + seed) / (steps + 2),
    kl: 0.01 * i * (seed + 1),
    entropy: 1 / (i + 1 + seed),
    loss: 0.1,
    'completions/mean_length': 50 + seed - i / 2,
    'completions/min_length': 20 + seed,
    'completions/max_length': 90,
    'reward/format_rate': 0.9,
    'timing/rollout': 2,
    step_time: 3,
    ...(i % 5 === 4 && { eval_exact_match: 0.3 + i / 100, eval_exact_match_low: 0.2, eval_exact_match_high: 0.6 }),
  }))
}

/** Scored answers; every `period`-th is wrong. */
export function answerLines(count: number, period: number, name = 'simple', text = hostile): string[] {
  return Array.from({ length: count }, (_, i) => {
    const exact = i % period !== 0
    const completion = `${text}<think>because ${i}</think><tool_call>[{"name":"f${i}"}]</tool_call>`
    const explain = exact ? '' : `wrong ${text}`
    return JSON.stringify({
      id: `${name}_${i}`,
      completion,
      tokens: 10 + (i % 7),
      finishReason: 'stop',
      exact,
      explain,
    })
  })
}

/** Writes the study below `folder`; `questions` rows for each model. Returns its own folder. */
export async function writeStudy(folder: string, questions = 60): Promise<string> {
  const study = join(folder, 'study')
  const lines = (records: readonly object[]) => `${records.map((record) => JSON.stringify(record)).join('\n')}\n`
  for (const [k, name] of ['base', 'rl-s0', 'rl-s1'].entries()) {
    const own = join(study, name)
    mkdirSync(own, { recursive: true })
    writeFileSync(join(own, 'dev.jsonl'), `${answerLines(questions, k + 2).join('\n')}\n`)
    await writeBfcl(join(own, 'bfcl'), k)
    if (name === 'base') continue
    const seed = k - 1
    mkdirSync(join(own, 'run'))
    const config = {
      seed,
      name,
      outputDir: own,
      model: hostile,
      reward: 'v0',
      dataset: { path: `part-${seed}.jsonl`, seed },
    }
    writeFileSync(join(own, 'run', 'config.json'), JSON.stringify(config))
    writeFileSync(join(own, 'run', 'metrics.jsonl'), lines(metricLines(seed, 40)))
  }
  return study
}

/** Results of BFCL with its page of failures; more is right for a larger `skill`. */
export async function writeBfcl(folder: string, skill: number): Promise<void> {
  const dataset = await loadBfcl(fixtureData, { version: 'v4', categories: ['irrelevance', 'multiple'] })
  const asker = new FakeAsker(({ id }) => ({
    text: Number(/\d+$/.exec(id)?.[0]) % 3 <= skill ? `No function helps. ${hostile}` : '[f(a=1)]',
  }))
  const report = await evaluateBfcl(asker, dataset, { handler: 'prompt' })
  writeBfclFiles(folder, report)
  const failures = failuresOf(report)
  writeFileSync(
    join(folder, 'failures.html'),
    failuresPage({ title: `Failures ${longName} ${hostile}`, summary: [longName, hostile], failures }),
  )
}
