// Puts a study's results into a page, between two markers; the rest of the page is left as it is.

import { readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fail } from '../../../errors.js'
import { type Questions, writeWhole } from '../questions.js'
import type { Study } from '../settings.js'
import type { Stage } from '../stages.js'
import { type Curve, curvePlot, dotPlot } from './figures.js'
import { gather, type ModelResults, measuredSeeds, pooled, selectionCosts } from './gather.js'
import { studyPage } from './page.js'
import { trainingFacts } from './trainings.js'

/**
 * Writes tables, figures and reading of what is done so far. Returns the files written: the page, and figures in a folder beside it.
 *
 * @throws `ERR_CONFIG` where the page lacks the markers, `ERR_IO` where it cannot be read or written
 */
export async function writeStudyResults(
  study: Study,
  stages: readonly Stage[],
  questions: Questions,
  page: string,
): Promise<string[]> {
  const text = readPage(page)
  const [begin, end] = [`<!-- study ${study.name} -->`, `<!-- end of study ${study.name} -->`]
  const [from, to] = [text.indexOf(begin), text.indexOf(end)]
  if (from < 0 || to < from) {
    fail('TypeError', 'ERR_CONFIG', `[study] expected the lines ${begin} and ${end} in ${page}`)
  }
  const models = await gather(study, stages)
  const folder = join(dirname(page), 'figures')
  const exact = join(folder, `${study.name}-exact.svg`)
  writeWhole(exact, dotPlot('Exact match on dev, 95 % intervals over questions; rings: seeds', dotRows(models)))
  const curves = curvesOf(models)
  const drawn = join(folder, `${study.name}-training.svg`)
  if (curves.length > 0) writeWhole(drawn, curvePlot('Samples with the right calls while training by GRPO', curves))
  const beside = (file: string) => relative(dirname(page), file)
  const paths = { exact: beside(exact), curves: curves.length > 0 ? beside(drawn) : null }
  const [selections, trainings] = [await selectionCosts(study, stages), await trainingFacts(study)]
  const body = studyPage(study, { models, selections, trainings, questions }, paths)
  writeWhole(page, `${text.slice(0, from + begin.length)}\n\n${body}\n\n${text.slice(to)}`)
  return [page, exact, ...(curves.length > 0 ? [drawn] : [])]
}

function readPage(page: string): string {
  try {
    return readFileSync(page, 'utf8')
  } catch (error) {
    return fail('Error', 'ERR_IO', `[study] cannot read ${page}: ${(error as Error).message}`, error)
  }
}

const dotRows = (models: readonly ModelResults[]) =>
  models.map((model) => ({
    label: model.label,
    pooled: pooled(model, 'dev'),
    seeds: measuredSeeds(model, 'dev').flatMap(({ rates }) => (rates ? [rates.exactMatch.value] : [])),
  }))

/** Of each reinforced run the share of samples whose calls were right, whatever its reward pays for it. */
function curvesOf(models: readonly ModelResults[]): Curve[] {
  const groups = models.filter(({ seeds }) => seeds.some(({ metrics }) => metrics.some((line) => 'reward' in line)))
  return groups.flatMap(({ label, seeds }, group) =>
    seeds.flatMap(({ seed, metrics }): Curve[] => {
      const points = metrics.flatMap((line) => {
        const y = line['reward_parts/arguments'] ?? line.reward
        return line.step !== undefined && y !== undefined ? [{ x: line.step, y }] : []
      })
      return points.length < 2 ? [] : [{ label: `${label}, seed ${seed}`, group, points }]
    }),
  )
}
