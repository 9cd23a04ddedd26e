// Writes lib/tensor/ops.generated.ts from the addon's op table: one typed function per op.
//
//   node scripts/generate-ops.mjs            writes the file
//   node scripts/generate-ops.mjs --check    exits 1 when the file is not what the table says
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const native = createRequire(import.meta.url)('node-gyp-build')(root)
const target = `${root}lib/tensor/ops.generated.ts`

const attrType = { float: 'number', int: 'number', bool: 'boolean' }

function generate(op, index) {
  const required = op.inputs.filter((i) => !i.optional)
  const optional = op.inputs.filter((i) => i.optional)
  const mustHave = op.attrs.some((a) => a.required)
  const fields = [
    ...optional.map((i) => `    /** ${i.doc} (${i.dtypes.join(' or ')}) */\n    ${i.name}?: Tensor | null`),
    ...op.attrs.map(
      (a) =>
        `    /** ${a.doc}${a.required ? '' : `; default ${a.default}`} */\n    ${a.name}${a.required ? '' : '?'}: ${attrType[a.kind]}`,
    ),
    ...(op.outputs.length
      ? [
          `    /** Tensors to write instead of new ones. */\n    out?: { ${op.outputs.map((o) => `${o.name}?: Tensor`).join('; ')} }`,
        ]
      : []),
  ]
  const parameters = required.map((i) => `${i.name}: Tensor`)
  if (fields.length) parameters.push(`options: {\n${fields.join('\n')}\n  }${mustHave ? '' : ' = {}'}`)
  const single = op.outputs.length === 1
  const many = op.outputs.length > 1
  const result = !op.outputs.length
    ? 'void'
    : single
      ? 'Tensor'
      : `{ ${op.outputs.map((o) => `${o.name}: Tensor`).join('; ')} }`

  const doc = [
    `/**`,
    ` * ${op.doc}`,
    ` *`,
    ...required.map((i) => ` * @param ${i.name} ${i.doc} (${i.dtypes.join(' or ')}${i.inout ? ', in place' : ''})`),
    ...(op.outputs.length
      ? [` * @returns ${op.outputs.map((o) => `${many ? `${o.name}: ` : ''}${o.doc}`).join('; ')}`]
      : []),
    ` * @throws TypeError or RangeError with \`code\` when a shape, dtype or value does not fit`,
    ` */`,
  ]
  const lead = required[0] ?? optional[0]
  const body = [`${op.outputs.length ? 'const device = ' : ''}begin(${lead.name}, '${op.name}', '${lead.name}')`]
  if (fields.length) body.push(`checkOptions(options, '${op.name}')`)
  let at = 1
  for (const i of op.inputs)
    body.push(
      `args[${at++}] = ${i.optional ? `optionalId(options.${i.name}, '${op.name}', '${i.name}')` : `id(${i.name}, '${op.name}', '${i.name}')`}`,
    )
  for (const a of op.attrs)
    body.push(
      a.kind === 'bool'
        ? `args[${at++}] = options.${a.name} ? 1 : ${a.required ? 0 : `options.${a.name} === undefined ? ${a.default} : 0`}`
        : `args[${at++}] = ${a.required ? `number(options.${a.name}, '${op.name}', '${a.name}')` : `optionalNumber(options.${a.name}, ${a.default}, '${op.name}', '${a.name}')`}`,
    )
  for (const o of op.outputs)
    body.push(`args[${at++}] = optionalId(options.out?.${o.name}, '${op.name}', 'out.${o.name}')`)
  body.push(`native.run(${index})`)
  if (single) body.push(`return result(0, device, options.out?.${op.outputs[0].name})`)
  if (many) {
    // all results must be read before a finaliser or another op can write to the argument array
    body.push(
      `return {\n${op.outputs.map((o, k) => `    ${o.name}: result(${k}, device, options.out?.${o.name}),`).join('\n')}\n  }`,
    )
  }
  return `${doc.join('\n')}\nexport function ${op.name}(\n  ${parameters.join(',\n  ')},\n): ${result} {\n  ${body.join('\n  ')}\n}\n`
}

const ops = native.ops()
const functions = ops.map(generate).join('\n')
const helpers = ['args', 'begin', 'checkOptions', 'id', 'number', 'optionalId', 'optionalNumber', 'result']
const used = helpers.filter((h) => new RegExp(`\\b${h}[(\\[]`).test(functions))
const text = `// Generated from native/ops by scripts/generate-ops.mjs; do not edit.
import { ${used.join(', ')} } from './call.js'
import { native } from './native.js'
import type { Tensor } from './tensor.js'

${functions}`

if (process.argv.includes('--check')) {
  let now = ''
  try {
    now = readFileSync(target, 'utf8')
  } catch {}
  if (now !== text) {
    console.error('lib/tensor/ops.generated.ts is not what native/ops says; run "node scripts/generate-ops.mjs"')
    process.exit(1)
  }
} else {
  writeFileSync(target, text)
  console.log(`${ops.length} ops written to lib/tensor/ops.generated.ts`)
}
