// Where two models differ, question by question: the data and the controls; the page's script fills in the list.

import { orderedCategories } from '../../eval/results/tables.js'
import { maxCategories } from './benchmarks.js'
import type { DataSet } from './datasets.js'
import { html, type Markup } from './html.js'

/** A data set as the page's script reads it: lists by question, in one order. */
export interface DifferenceData {
  title: string
  categories: string[]
  models: string[]
  questions: { id: string; category: number; text: string; expected: string }[]
  /** By model: 1 right, 0 wrong, null not asked. */
  right: (0 | 1 | null)[][]
  answers: string[][]
  why: string[][]
}

/** Characters that a text may have; the first under which the page stays small is taken. */
const limits = [4000, 1500, 600, 200]
const pageCharacters = 24e6

/** The data sets that have two models or more to compare. */
export function differenceData(sets: readonly DataSet[]): { sets: DifferenceData[]; limit: number } {
  const compared = sets.filter(({ models }) => models.length > 1)
  const size = (limit: number) =>
    compared.reduce(
      (sum, { models }) =>
        sum +
        models.reduce(
          (all, { set }) => all + set.questions.reduce((n, q) => n + Math.min(limit, q.answer.length), 0),
          0,
        ),
      0,
    )
  const limit = limits.find((characters) => size(characters) <= pageCharacters) ?? limits.at(-1)!
  return { sets: compared.map((data) => oneSet(data, limit)), limit }
}

function oneSet({ title, benchmark, models }: DataSet, limit: number): DifferenceData {
  const shortened = (text: string) =>
    text.length > limit ? `${text.slice(0, limit)} … (${text.length - limit} characters more)` : text
  const places = new Map<string, number>()
  for (const { set } of models) for (const { id } of set.questions) if (!places.has(id)) places.set(id, places.size)
  const named = orderedCategories(
    benchmark,
    models.flatMap(({ set }) => set.questions.map(({ category }) => category)),
  )
  const categories = named.length > maxCategories ? ['all'] : named
  const categoryAt = new Map(categories.map((name, i) => [name, i]))
  const questions = Array.from(places.keys(), (id) => ({ id, category: 0, text: '', expected: '' }))
  const column = <T>(value: T) => models.map(() => Array.from(places, () => value))
  const [right, answers, why] = [column<0 | 1 | null>(null), column(''), column('')]
  for (const [m, { set }] of models.entries()) {
    for (const question of set.questions) {
      const at = places.get(question.id)!
      const shared = questions[at]!
      shared.category = categoryAt.get(question.category) ?? 0
      // Most files keep the question with failures only: the first model that has it tells.
      shared.text ||= shortened(question.question ?? '')
      shared.expected ||= shortened(question.expected ?? '')
      right[m]![at] = question.right ? 1 : 0
      answers[m]![at] = shortened(question.answer)
      why[m]![at] = shortened(question.why ?? '')
    }
  }
  return { title, categories, models: models.map(({ name }) => name), questions, right, answers, why }
}

const choices = [
  ['differ', 'Only one is right'],
  ['a', 'Only A'],
  ['b', 'Only B'],
  ['both', 'Both'],
  ['neither', 'Neither'],
  ['all', 'All'],
] as const

/** The controls and the places that the script fills. Options of the selects are the script's, as they follow the data set. */
export function difference(sets: readonly DifferenceData[]): Markup | null {
  if (sets.length === 0) return null
  return html`<h2 id="difference">Two models, question by question</h2>
  <section class="card" id="diff"><form class="controls" autocomplete="off">
    <label>Questions <select id="diff-set">${sets.map(({ title }, i) => html`<option value="${i}">${title}</option>`)}</select></label>
    <label>Model A <select id="diff-a"></select></label>
    <label>Model B <select id="diff-b"></select></label>
    <label>Category <select id="diff-category"></select></label>
  </form>
  <div class="diff-summary"><div class="scroll"><table id="diff-counts"><thead><tr><th></th><th class="num">B right</th><th class="num">B wrong</th></tr></thead>
    <tbody><tr><th scope="row">A right</th><td class="num" id="count-both"></td><td class="num" id="count-a"></td></tr>
    <tr><th scope="row">A wrong</th><td class="num" id="count-b"></td><td class="num" id="count-neither"></td></tr></tbody></table></div>
    <p id="diff-verdict" aria-live="polite"></p></div>
  <fieldset id="diff-filter"><legend>Who is right</legend>${choices.map(
    ([value, label], i) =>
      html`<label><input type="radio" name="diff-filter" value="${value}" ${i === 0 && 'checked'}> ${label}</label>`,
  )}</fieldset>
  <label class="search">Text <input id="diff-text" type="search" autocomplete="off" placeholder="id, question, answer"></label>
  <p class="quiet" id="diff-shown" aria-live="polite"></p>
  <div id="diff-list"></div><button type="button" id="diff-more" hidden>Show more</button>
  <noscript><p>The list needs JavaScript.</p></noscript></section>`
}
