import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Language } from '../../../lib/eval/bfcl/categories.js'
import { judge } from '../../../lib/eval/bfcl/check.js'
import { decodeAnswer, loadGrammars } from '../../../lib/eval/bfcl/decode.js'
import { javaValue } from '../../../lib/eval/bfcl/java-values.js'
import { jsValue } from '../../../lib/eval/bfcl/js-values.js'
import { type Handler, handlers } from '../../../lib/eval/tool-calls.js'
import { cpuMilliseconds } from '../../support/time.js'
import { py, question } from './support.js'

await loadGrammars()
const million = 1_000_000

/** Fails where `work` takes a second of processor time. */
function underASecond(work: () => void, what = ''): void {
  const took = cpuMilliseconds(work)
  assert.ok(took < 1000, `${what}: ${took} ms`)
}

const repeated = (text: string) => text.repeat(Math.ceil(million / text.length))

/** Texts that make naive parsers walk over themselves again and again. */
const texts: Record<string, string> = {
  brackets: repeated('['),
  calls: `[${repeated('f(a=1), ')}]`,
  nested: repeated('f(a='),
  'binary operators': `[f(a=1${repeated('+1')})]`,
  'unary operators': `[f(a=${repeated('-')}1)]`,
  quotes: repeated('"'),
  'single quotes': repeated("'"),
  backslashes: `[f(a="${repeated('\\')}`,
  'open tags': repeated('<tool_call>'),
  'open tags with lines': repeated('<tool_call>\n'),
  'calls in tags': repeated('<tool_call>\n{"name": "f", "arguments": {}}\n</tool_call>'),
  'deep JSON': `<tool_call>${repeated('[')}</tool_call>`,
  braces: repeated('{'),
  generics: repeated('new A<'),
  templates: repeated('`${'),
  'open comments': repeated('/*'),
  ternaries: repeated('a?'),
  words: repeated('a '),
  lambdas: repeated('lambda:'),
  comprehensions: `[f(a=[${repeated('x for x in ')}])]`,
  comparisons: `[f(a=1${repeated('<1')})]`,
  'a long number': `[f(a=${'9'.repeat(million)})]`,
  'a power': `[f(a=9**9**9**9)]${' '.repeat(million)}`,
  'white space': repeated(' \n`'),
}

for (const [name, text] of Object.entries(texts)) {
  test(`decoders take a megabyte of ${name} in under a second each`, () => {
    const forms: [Handler, Language][] = [
      ...handlers.map((handler): [Handler, Language] => [handler, 'python']),
      ['prompt', 'java'],
      ['prompt', 'javascript'],
    ]
    for (const [handler, language] of forms) {
      underASecond(() => decodeAnswer(text, handler, language, 'v4'), `${handler} ${language}`)
    }
  })
}

test('short texts that tree-sitter recovers from slowly stay under a second', () => {
  for (const text of ['a<', '"', '`${', '@', '{', 'a?', '(a)=>', 'f(', 'a ', '/*', "'", 'new A<']) {
    for (const language of ['java', 'javascript'] as const) {
      for (const length of [1020, 16_200]) {
        const source = text.repeat(length / text.length)
        underASecond(() => decodeAnswer(source, 'prompt', language, 'v4'), `${length} of ${text} in ${language}`)
      }
    }
  }
  assert.ok('value' in decodeAnswer('[f(a=1)]', 'prompt', 'java', 'v4'), 'the parser still works')
  assert.ok('value' in decodeAnswer('[f(a=1)]', 'prompt', 'javascript', 'v4'))
})

const javaTexts: Record<string, [string, string]> = {
  'list headers': [repeated('new ArrayList<>(Arrays.asList('), 'ArrayList'],
  'list headers with an end far away': [`${repeated('new ArrayList<>(Arrays.asList(\n')}1))`, 'ArrayList'],
  'list bodies': [repeated('new ArrayList<>() {{'), 'ArrayList'],
  'added elements': [`new ArrayList<>() {{${repeated('add(')}}}`, 'ArrayList'],
  'added lines': [`new ArrayList<>() {{${repeated('add(\n')})}}`, 'ArrayList'],
  'array headers': [repeated('new int[]{'), 'Array'],
  'array headers on lines': [`${repeated('new int[]{\n')}}`, 'Array'],
  'map headers': [repeated('new HashMap<'), 'HashMap'],
  'map generics': [`new HashMap<${repeated('> ( )')}`, 'HashMap'],
  'map puts': [`new HashMap<>() {{${repeated('put("')}}}`, 'HashMap'],
  'map keys without values': [`new HashMap<>() {{${repeated('put("a", ')}}}`, 'HashMap'],
  'map keys on lines': [`new HashMap<>() {{${repeated('put("a",\n1')})}}`, 'HashMap'],
  'white space': [`new${' '.repeat(million)}ArrayLis`, 'ArrayList'],
  digits: [`${'1'.repeat(4000)}${repeated('x')}`, 'integer'],
}

for (const [name, [text, type]] of Object.entries(javaTexts)) {
  test(`a Java argument of a megabyte: ${name}`, () => {
    underASecond(() => javaValue(text, type, 'integer'))
  })
}

const jsTexts: Record<string, [string, string]> = {
  'open rows': [repeated('[['), 'array'],
  rows: [`[${repeated('[1],')}`, 'array'],
  'rows that close late': [`[${repeated('[1]')}],[2]]`, 'array'],
  'rows and lines': [`[${repeated('[1],\n')}[2]]`, 'array'],
  closings: [`[[${repeated(']')}`, 'array'],
  commas: [`[${repeated('1,')}]`, 'array'],
  'new arrays': [`new Array(${repeated('[1],')}`, 'array'],
  colons: [`{${repeated(':')}}`, 'dict'],
  'keys without values': [`{a:${repeated(',')}}`, 'dict'],
  pairs: [`{${repeated('a: 1, ')}}`, 'dict'],
  'space between pairs': [`{a: 1,${' '.repeat(million)}b: 2}`, 'dict'],
}

for (const [name, [text, type]] of Object.entries(jsTexts)) {
  test(`a JavaScript argument of a megabyte: ${name}`, () => {
    underASecond(() => jsValue(text, type))
  })
}

test('the checker takes lists and dicts of a hundred thousand', () => {
  const list = `[${Array.from({ length: 100_000 }, (_, i) => i).join(',')}]`
  const dict = `{${Array.from({ length: 100_000 }, (_, i) => `"k${i}": ${i}`).join(',')}}`
  const asked = question(
    { l: ['array', 'integer'], d: 'dict' },
    `{"l": [${list}], "d": [${dict.replace(/: (\d+)/g, ': [$1]')}]}`,
  )
  const value = py(`[{"f": {"l": ${list}, "d": ${dict}}}]`)
  let valid = false
  underASecond(() => {
    valid = judge(asked, { value }, { underscoreToDot: false }).valid
  })
  assert.ok(valid)
})

test.run()
