// What `ptxas -v` says of kernels.

/** Registers, spills and static shared memory of each kernel in the output of one compilation. */
export function usageOf(text) {
  const kernels = []
  let current = null
  for (const line of text.split('\n')) {
    const entry = /Compiling entry function '(\S+)'/.exec(line)
    if (entry) {
      current = { name: entry[1], registers: 0, spills: 0, shared: 0 }
      kernels.push(current)
    }
    if (!current) continue
    const spill = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line)
    if (spill) current.spills = Number(spill[1]) + Number(spill[2])
    const used = /Used (\d+) registers/.exec(line)
    if (used) {
      current.registers = Number(used[1])
      current.shared = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0)
    }
  }
  return kernels
}

/** One row for a kernel of a file, its figures by architecture; `demangle` turns symbols into names. */
export function budgetRows(usage, demangle) {
  const rows = new Map()
  for (const { file, architecture, name, registers, spills, shared } of usage) {
    const key = `${file} ${name}`
    const row = rows.get(key) ?? { file, name: shortName(demangle(name)), shared, figures: {} }
    row.figures[architecture] = { registers, spills }
    row.shared = Math.max(row.shared, shared)
    rows.set(key, row)
  }
  return [...rows.values()].sort((a, b) => (`${a.file} ${a.name}` < `${b.file} ${b.name}` ? -1 : 1))
}

/** `void callgrad::gpu::(anonymous namespace)::scaleKernel<float, 4>(float*, …)` → `scaleKernel<float, 4>`. */
export function shortName(text) {
  let depth = 0
  let end = text.length
  for (let i = text.length - 1; i >= 0; i--) {
    if (text[i] === ')') depth++
    else if (text[i] === '(' && --depth === 0) {
      end = i
      break
    }
  }
  return text
    .slice(0, end)
    .replace(/^void /, '')
    .replace(/callgrad::gpu::|callgrad::|\(anonymous namespace\)::|<unnamed>::|_GLOBAL__N_\w+::/g, '')
    .replace(/\((int|callgrad::gpu::Walk|Walk|bool)\)/g, '')
}

export function spillsOf(rows) {
  return rows.flatMap(({ file, name, figures }) =>
    Object.entries(figures)
      .filter(([, { spills }]) => spills > 0)
      .map(([architecture, { spills }]) => `${file}: ${name} spills ${spills} bytes on sm_${architecture}`),
  )
}

/** A Markdown table: registers by architecture, static shared memory. */
export function tableOf(rows) {
  const architectures = [...new Set(rows.flatMap(({ figures }) => Object.keys(figures)))]
  const cells = (list) => `| ${list.join(' | ')} |`
  return [
    cells(['file', 'kernel', ...architectures.map((a) => `sm_${a}`), 'static shared']),
    cells(['---', '---', ...architectures.map(() => '---:'), '---:']),
    ...rows.map(({ file, name, figures, shared }) =>
      cells([file, `\`${name}\``, ...architectures.map((a) => figures[a]?.registers ?? ''), shared]),
    ),
  ].join('\n')
}
