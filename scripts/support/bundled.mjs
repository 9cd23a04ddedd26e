// The libraries of others that prebuilt packages bring along, and their licences.

import { copyFileSync, existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { output, SetupError } from './exec.mjs'

/**
 * oneDNN multiplies bf16 matrices where the CPU has AMX; libgomp and libOpenCL are what Debian's build of it needs to load (the
 * latter's loader, which is never called: no GPU engine is made). Texts: Debian's copyright files.
 */
const libraries = [
  { file: 'libdnnl.so.2', debian: 'libdnnl2', licence: 'Apache-2.0' },
  { file: 'libgomp.so.1', debian: 'gcc-12-base', licence: 'GPL-3.0 with the GCC Runtime Library Exception' },
  { file: 'libOpenCL.so.1', debian: 'ocl-icd-libopencl1', licence: 'BSD-2-Clause' },
]

/** What is inside the addon itself; texts where Debian or npm has them. */
const inside = [
  { name: 'libstdc++', licence: 'GPL-3.0 with the GCC Runtime Library Exception', debian: 'gcc-12-base' },
  { name: 'node-addon-api', licence: 'MIT', file: 'node_modules/node-addon-api/LICENSE.md' },
  { name: 'CUDA runtime (static), where the cuda device was built', licence: 'NVIDIA CUDA Toolkit EULA, Attachment A' },
]

/** Path of a library that the dynamic loader knows, or null. */
function find(name) {
  const list = output('/sbin/ldconfig', ['-p']) ?? output('ldconfig', ['-p']) ?? ''
  return (
    /=> (\S+)/.exec(
      list.split('\n').find((line) => line.trim().startsWith(`${name} `) && line.includes('x86-64')) ?? '',
    )?.[1] ?? null
  )
}

const debianText = (name) => `/usr/share/doc/${name}/copyright`

/** Copies oneDNN, what it needs, and the licences into `folder`; throws a SetupError that says what is missing. */
export function bundle(root, folder) {
  const licences = join(folder, 'licenses')
  mkdirSync(licences, { recursive: true })
  for (const { file, debian } of libraries) {
    const path = find(file)
    if (!path) throw new SetupError(`${file} was not found; it comes with Debian's libdnnl-dev`)
    copyFileSync(realpathSync(path), join(folder, file))
    output('strip', ['--strip-unneeded', join(folder, file)])
    if (!existsSync(debianText(debian)))
      throw new SetupError(`the licence of ${file} was not found: ${debianText(debian)}`)
    copyFileSync(debianText(debian), join(licences, `${file}.txt`))
  }
  for (const { name, file, debian } of inside) {
    const path = file ? join(root, file) : debian && debianText(debian)
    if (path) writeFileSync(join(licences, `${name}.txt`), readFileSync(path))
  }
  const rows = [
    ...libraries.map(({ file, licence }) => `${file}: ${licence}, see ${file}.txt`),
    ...inside.map(
      ({ name, licence, file, debian }) => `${name}: ${licence}${file || debian ? `, see ${name}.txt` : ''}`,
    ),
  ]
  writeFileSync(
    join(licences, 'README.txt'),
    `What this folder brings beside callgrad, which is Apache-2.0. Beside the addon:\n\n${rows.slice(0, libraries.length).join('\n')}\n\nInside it:\n\n${rows.slice(libraries.length).join('\n')}\n`,
  )
}
