// Finds the places of CUDA sources where a mutant makes sense, and puts a switch there.
//
// A source is rewritten once with all of its mutants in it: each place asks `callgrad::mutant(id)` at run time whether it is the one that is
// taken out, so that one build serves all of them.
//
//   sync    a barrier, fence, wait or commit is left out
//   bound   a guard lets everything through: `if (i >= n) return` never returns, `if (c < width) …` always goes on, a null instead of a row
//           that is not there becomes the row's address, 0 instead of a missing value the value
//   swap    two indices change places: grid axes, lane / 4 and lane % 4, the arguments of at(row, column); a sample of them

import { codeLines } from '../lint-native.mjs'

const syncs =
  /\b(__syncthreads|__syncwarp|__threadfence|__threadfence_block|cp_async_commit|cp_async_wait_all|cp_async_wait<[^<>;]*>)\(([^()]*)\);/g
const voting = /\b__syncthreads_(or|and|count)\(((?:[^()]|\([^()]*\))*)\)/g
const relation = /[<>]=?|==|!=/

/** `[begin, end)` of device functions' bodies: from the brace that opens to the one that closes. */
export function deviceBodies(code) {
  const bodies = []
  for (const match of code.matchAll(/\b(CG_DEVICE|__global__)\b/g)) {
    if (bodies.length && match.index < bodies.at(-1)[1]) continue
    const open = bodyOf(code, match.index)
    if (open >= 0) bodies.push([open, closing(code, open)])
  }
  return bodies
}

// The brace after the parameters (and a constructor's initialisers); -1 for a declaration.
function bodyOf(code, from) {
  let depth = 0
  for (let i = from; i < code.length; i++) {
    if (code[i] === '(') depth++
    else if (code[i] === ')') depth--
    else if (depth === 0 && code[i] === ';') return -1
    else if (depth === 0 && code[i] === '{') return i
  }
  return -1
}

const pairs = { '(': ')', '{': '}', '[': ']' }

/** Index behind the bracket that closes the one at `open`. */
export function closing(code, open) {
  const close = pairs[code[open]]
  let depth = 0
  for (let i = open; i < code.length; i++) {
    if (code[i] === code[open]) depth++
    else if (code[i] === close && --depth === 0) return i + 1
  }
  return code.length
}

function* syncSites(code) {
  for (const m of code.matchAll(syncs)) {
    const call = m[0].slice(0, -1)
    yield {
      kind: 'sync',
      at: m.index,
      end: m.index + call.length,
      what: call,
      text: (id) => `(${id} ? void() : ${call})`,
    }
  }
  for (const m of code.matchAll(voting)) {
    yield {
      kind: 'sync',
      at: m.index,
      end: m.index + m[0].length,
      what: m[0],
      text: (id) => `(${id} ? int(${m[2]}) : ${m[0]})`,
    }
  }
}

const leaves = /^\s*\{?\s*(return|continue|break)\b/

function* guardSites(code) {
  for (const m of code.matchAll(/\bif\s*\(/g)) {
    const open = m.index + m[0].length - 1
    const end = closing(code, open)
    const condition = code.slice(open + 1, end - 1)
    if (!relation.test(condition.replace(/<[\w:, ]+>\(/g, '('))) continue
    const skips = leaves.test(code.slice(end))
    yield {
      kind: 'bound',
      at: open + 1,
      end: end - 1,
      what: `if (${condition})`,
      text: (id) => (skips ? `!${id} && (${condition})` : `${id} || (${condition})`),
    }
  }
}

// `r < rows ? address : nullptr` and `i < n ? x[i] : 0`.
function* choiceSites(code) {
  for (const m of code.matchAll(/\?/g)) {
    const begin = conditionStart(code, m.index)
    const condition = code.slice(begin, m.index).trim()
    if (!/[<>]=?/.test(condition.replace(/<[\w:, ]+>\(/g, '(')) || /[{};]/.test(condition)) continue
    const rest = code.slice(m.index + 1)
    const otherwise = /^[^;?]*?:\s*(nullptr|0|0\.0f|-INFINITY)\b/.test(rest)
    if (!otherwise) continue
    const at = begin + code.slice(begin, m.index).search(/\S/)
    yield {
      kind: 'bound',
      at,
      end: at + condition.length,
      what: `${condition} ? …`,
      text: (id) => `(${id} || (${condition}))`,
    }
  }
}

// Back over a condition: to the bracket, comma, assignment or `return` before it.
function conditionStart(code, at) {
  let depth = 0
  for (let i = at - 1; i >= 0; i--) {
    const c = code[i]
    if (c === ')' || c === ']') depth++
    else if (c === '(' || c === '[') {
      if (depth === 0) return i + 1
      depth--
    } else if (depth === 0) {
      if (c === ',' || c === ';' || c === '{' || c === '}' || c === '?' || c === ':') return i + 1
      if (c === '=' && !'<>=!'.includes(code[i - 1]) && code[i + 1] !== '=') return i + 1
      if (/\breturn$/.test(code.slice(Math.max(0, i - 6), i + 1))) return i + 1
    }
  }
  return 0
}

const swaps = [
  [/\bblockIdx\.x\b/g, 'blockIdx.y'],
  [/\bblockIdx\.y\b/g, 'blockIdx.x'],
  [/\blane \/ 4\b/g, 'lane % 4'],
  [/\blane % 4\b/g, 'lane / 4'],
]

function* swapSites(code) {
  for (const [pattern, other] of swaps) {
    for (const m of code.matchAll(pattern)) {
      const end = m.index + m[0].length
      yield { kind: 'swap', at: m.index, end, what: `${m[0]} → ${other}`, text: (id) => `(${id} ? ${other} : ${m[0]})` }
    }
  }
  for (const m of code.matchAll(/(?<!\bw\.)\bat\(([\w.]+), ([\w.]+)\)/g)) {
    if (m[1] === m[2]) continue
    const args = [m[1], m[2]]
    const one = (id, a, b) => `::callgrad::swapped(${id}, ${a}, ${b})`
    const text = (id) => `at(${one(id, args[0], args[1])}, ${one(id, args[1], args[0])})`
    yield { kind: 'swap', at: m.index, end: m.index + m[0].length, what: `${m[0]} → at(${args[1]}, ${args[0]})`, text }
  }
}

/**
 * Places in one source, in its order: `{ kind, line, what, at, end, text }`. Of places that overlap the one that was found first stays; places
 * in `if constexpr`, `static_assert` and array bounds are left out (the compiler must know them).
 */
export function findSites(source) {
  const code = codeLines(source).join('\n')
  const bodies = deviceBodies(code)
  const inside = ({ at }) => bodies.some(([begin, end]) => at > begin && at < end)
  const taken = []
  const free = (site) => taken.every((t) => site.end <= t.at || site.at >= t.end)
  for (const site of [...syncSites(code), ...guardSites(code), ...choiceSites(code), ...swapSites(code)]) {
    const lineStart = code.lastIndexOf('\n', site.at) + 1
    const before = code.slice(lineStart, site.at)
    if (!inside(site) || !free(site) || /\bconstexpr\b|static_assert|CG_SHARED/.test(before)) continue
    taken.push({ ...site, what: site.what.replace(/\s+/g, ' '), line: code.slice(0, site.at).split('\n').length })
  }
  return taken.sort((a, b) => a.at - b.at)
}

/** The source with a switch at each of `sites`, numbered from `first`; lines stay where they were. */
export function withSwitches(source, sites, first) {
  let out = ''
  let from = 0
  sites.forEach((site, i) => {
    const old = source.slice(site.at, site.end)
    const breaks = '\n'.repeat(old.split('\n').length - 1)
    const text = site.text(`::callgrad::mutant(${first + i})`).replace(/\n/g, ' ')
    out += source.slice(from, site.at) + text + breaks
    from = site.end
  })
  return out + source.slice(from)
}
