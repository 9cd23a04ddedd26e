// What runs in the reader's browser for the question-by-question comparison. Texts reach the page as text nodes only. Rows are made for
// what is shown, their insides when they are opened: thousands of questions cost nothing until they are read.

import { mcnemar } from '../../eval/paired.js'

export const differenceCode = `
'use strict';
(() => {
  ${mcnemar}
  const sets = JSON.parse(document.getElementById('difference-data').textContent);
  const at = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text != null) element.textContent = text;
    return element;
  };
  const perPage = 25;
  let list = [], shown = 0;

  const options = (select, names, chosen) => {
    select.replaceChildren(...names.map((name, i) => Object.assign(make('option', '', name), { value: String(i) })));
    select.value = String(chosen);
  };
  const set = () => sets[Number(at('diff-set').value)];
  const chosen = () => [Number(at('diff-a').value), Number(at('diff-b').value)];

  const openSet = () => {
    const { models, categories, questions } = set();
    options(at('diff-a'), models, 0);
    options(at('diff-b'), models, models.length - 1);
    const count = categories.map(() => 0);
    questions.forEach((q) => count[q.category]++);
    options(at('diff-category'), ['all', ...categories.map((name, i) => name + ' (' + count[i] + ')')], 0);
  };

  const kindOf = (i) => {
    const { right } = set();
    const [a, b] = chosen();
    const [x, y] = [right[a][i], right[b][i]];
    if (x == null || y == null) return null;
    return x ? (y ? 'both' : 'a') : y ? 'b' : 'neither';
  };

  const update = () => {
    const { questions, answers, models } = set();
    const [a, b] = chosen();
    const category = Number(at('diff-category').value) - 1;
    const wanted = document.querySelector('#diff-filter input:checked').value;
    const text = at('diff-text').value.trim().toLowerCase();
    const counts = { both: 0, a: 0, b: 0, neither: 0 };
    let alone = 0;
    list = [];
    questions.forEach((q, i) => {
      if (category >= 0 && q.category !== category) return;
      const kind = kindOf(i);
      if (!kind) { alone++; return; }
      counts[kind]++;
      if (wanted !== 'all' && wanted !== kind && !(wanted === 'differ' && (kind === 'a' || kind === 'b'))) return;
      if (text && ![q.id, q.text, q.expected, answers[a][i], answers[b][i]].some((s) => s.toLowerCase().includes(text))) return;
      list.push(i);
    });
    for (const kind of Object.keys(counts)) at('count-' + kind).textContent = counts[kind];
    const n = counts.both + counts.a + counts.b + counts.neither;
    const share = (value) => (n ? (100 * value / n).toFixed(1) : '–') + ' %';
    const p = mcnemar(counts.a, counts.b);
    at('diff-verdict').textContent = a === b ? 'A and B are the same model.' :
      'A (' + models[a] + ') has ' + share(counts.both + counts.a) + ' right, B (' + models[b] + ') ' + share(counts.both + counts.b) +
      ' of ' + n + ' questions that both were asked' + (alone ? ' (' + alone + ' were asked of one alone)' : '') +
      '. McNemar’s exact test, two-sided: p ' + (p < 0.001 ? '< 0.001' : '= ' + p.toPrecision(2)) + '.';
    shown = 0;
    at('diff-list').replaceChildren();
    more();
  };

  const more = () => {
    const next = list.slice(shown, shown + perPage);
    at('diff-list').append(...next.map(row));
    shown += next.length;
    at('diff-more').hidden = shown >= list.length;
    at('diff-shown').textContent = list.length === 0 ? 'No question matches.' : shown + ' of ' + list.length + ' questions shown.';
  };

  const mark = (label, right) => make('span', 'mark ' + (right ? 'good' : 'bad'), label + (right ? ' ✓ right' : ' ✗ wrong'));
  const section = (title, text) => text ? [make('h4', '', title), make('pre', '', text)] : [];

  const modelText = (text) => {
    const block = make('pre');
    for (const piece of text.split(/(<think>[\\s\\S]*?(?:<\\/think>|$)|<tool_call>[\\s\\S]*?(?:<\\/tool_call>|$))/)) {
      const kind = piece.startsWith('<think>') ? 'think' : piece.startsWith('<tool_call>') ? 'call' : '';
      block.append(kind ? make('span', kind, piece) : piece);
    }
    return block;
  };

  const row = (i) => {
    const { questions, right, answers, why, models, categories } = set();
    const pair = chosen();
    const q = questions[i];
    const element = make('details', 'question');
    const summary = make('summary');
    summary.append(make('b', '', q.id), mark('A', right[pair[0]][i]), mark('B', right[pair[1]][i]));
    if (categories.length > 1) summary.append(make('span', 'quiet', categories[q.category]));
    if (q.text) summary.append(make('span', 'line quiet', q.text.slice(0, 160)));
    element.append(summary);
    element.addEventListener('toggle', () => {
      if (element.childElementCount > 1) return;
      const inside = make('div');
      inside.append(...section('Question', q.text), ...section('Expected', q.expected));
      const both = make('div', 'answers');
      pair.forEach((m, k) => {
        const one = make('div');
        const head = make('div', 'head');
        head.append(make('strong', '', 'AB'[k] + ': ' + models[m]), mark('', right[m][i]));
        one.append(head, modelText(answers[m][i] || '(nothing)'));
        if (why[m][i]) one.append(make('p', 'quiet', why[m][i]));
        both.append(one);
      });
      inside.append(both);
      element.append(inside);
    });
    return element;
  };

  openSet();
  at('diff-set').addEventListener('change', openSet);
  at('diff').addEventListener('change', (event) => { if (event.target.id !== 'diff-text') update(); });
  at('diff-text').addEventListener('input', update);
  at('diff-more').addEventListener('click', more);
  at('diff').querySelector('form').addEventListener('submit', (event) => event.preventDefault());
  update();
})();
`
