import { spawnSync } from 'node:child_process'
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from '../support/shared.js'

// The package as a user gets it: packed, unpacked beside its dependencies alone, imported, type-checked. The addon is this
// checkout's; what `npm run prebuild` does beyond that is compile it for every CPU and check what it needs.

const folder = mkdtempSync(join(tmpdir(), 'callgrad-package-'))
test.after(() => rmSync(folder, { recursive: true, force: true }))

const script = (name: string) => import(new URL(`../../../scripts/${name}`, import.meta.url).href)
const { pack } = (await script('prebuild.mjs')) as {
  pack(folder: string, out: string): { tarball: string; files: { path: string; size: number }[] }
}
const { newestVersions } = (await script('support/shared-objects.mjs')) as {
  newestVersions(symbols: string): Record<string, string>
}

function run(command: string, args: string[], cwd: string, env: Record<string, string> = {}) {
  const result = spawnSync(command, args, { cwd, encoding: 'utf8', env: { ...process.env, ...env } })
  return { ...result, text: `${result.stdout}${result.stderr}` }
}

/** A copy of what the package is made of, with the addon where prebuildify puts it; its tarball, unpacked into an empty project. */
function install() {
  const stage = join(folder, 'stage')
  const { files } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { files: string[] }
  for (const name of ['package.json', ...files.filter((f) => !f.startsWith('dist') && f !== 'prebuilds')]) {
    mkdirSync(dirname(join(stage, name)), { recursive: true })
    copyFileSync(join(repositoryRoot, name), join(stage, name))
  }
  cpSync(join(repositoryRoot, 'dist', 'lib'), join(stage, 'dist', 'lib'), { recursive: true })
  const prebuilt = join(stage, 'prebuilds', 'linux-x64')
  mkdirSync(prebuilt, { recursive: true })
  const built = join(process.env.CALLGRAD_PREBUILD || repositoryRoot, 'build', 'Release', 'callgrad.node')
  copyFileSync(built, join(prebuilt, 'callgrad.glibc.node'))
  const packed = pack(stage, folder)

  const project = join(folder, 'project')
  const target = join(project, 'node_modules', 'callgrad')
  mkdirSync(target, { recursive: true })
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }')
  assert.is(run('tar', ['-xzf', packed.tarball, '-C', target, '--strip-components=1'], folder).status, 0)
  linkDependencies(join(project, 'node_modules'))
  return { ...packed, project, target }
}

/** Links what package-lock.json lists for users, and nothing that only developers have. */
function linkDependencies(to: string): void {
  const { packages } = JSON.parse(readFileSync(join(repositoryRoot, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dev?: boolean; optional?: boolean }>
  }
  for (const [path, { dev, optional }] of Object.entries(packages)) {
    const name = path.replace(/^node_modules\//, '')
    if (path === '' || dev || name.includes('node_modules/')) continue
    const from = join(repositoryRoot, path)
    if (optional && !existsSync(from)) continue
    mkdirSync(dirname(join(to, name)), { recursive: true })
    symlinkSync(from, join(to, name))
  }
}

const installed = install()

test('the package holds what it runs on and no more', () => {
  const paths = installed.files.map((file) => file.path)
  for (const wanted of ['dist/lib/index.js', 'dist/lib/kernels.d.ts', 'scripts/callgrad.mjs', 'LICENSE', 'README.md'])
    assert.ok(paths.includes(wanted), wanted)
  const odd = paths.filter((path) => /\.map$|^(?:test|dist\/test|native|bindings|build|examples|docs)\//.test(path))
  assert.equal(odd, [])
  const { scripts } = JSON.parse(readFileSync(join(installed.target, 'package.json'), 'utf8')) as { scripts: object }
  for (const hook of ['preinstall', 'install', 'postinstall'])
    assert.not.ok(hook in scripts, `${hook} would run where the package is installed`)
})

test('both entry points load the packed addon, and it computes', () => {
  const program = `
    import { device, devices, tensor, loadModel, GRPOTrainer, SFTTrainer, toolCallReward, parseToolCalls, matchToolCalls, loadDataset, evaluate } from 'callgrad'
    import * as kernels from 'callgrad/kernels'
    for (const f of [device, devices, loadModel, GRPOTrainer, SFTTrainer, toolCallReward, parseToolCalls, matchToolCalls, loadDataset, evaluate])
      if (typeof f !== 'function') throw new Error('not a function')
    const y = kernels.add(tensor([1, 2], [2], { device: 'cpu' }), tensor([3, 4], [2], { device: 'cpu' }))
    console.log([...(await y.toArray())].join())`
  const { text, status } = run(process.execPath, ['--input-type=module', '-e', program], installed.project, {
    PREBUILDS_ONLY: '1',
    CALLGRAD_PREBUILD: '',
  })
  assert.is(status, 0, text)
  assert.is(text.trim(), '4,6')
})

test('the command runs from where npm links it', () => {
  const { text, status } = run(
    process.execPath,
    [join(installed.target, 'scripts', 'callgrad.mjs'), 'doctor', '--json', '--no-self-test'],
    installed.project,
    { CALLGRAD_PREBUILD: '' },
  )
  assert.is(status, 0, text)
  const { addon, load } = JSON.parse(text) as { addon: { from: string }; load: { ok: boolean } }
  assert.equal([addon.from, load.ok], ['prebuilt package', true])
})

test('declarations of both entry points resolve, for Node and for bundlers', () => {
  const source = `
    import { device, tensor, type Tensor, GRPOTrainer } from 'callgrad'
    import { rmsNorm, attention } from 'callgrad/kernels'
    const x: Tensor = tensor([1, 2], [1, 2], { device: device('cpu') })
    const { y }: { y: Tensor } = rmsNorm(x, x)
    // @ts-expect-error a number is no tensor
    rmsNorm(1, x)
    export { y, attention, GRPOTrainer }`
  writeFileSync(join(installed.project, 'user.ts'), source)
  const tsc = join(repositoryRoot, 'node_modules', 'typescript', 'bin', 'tsc')
  const types = join(repositoryRoot, 'node_modules', '@types')
  for (const [module, resolution] of [
    ['nodenext', 'nodenext'],
    ['esnext', 'bundler'],
  ] as const) {
    const args = [
      '--strict',
      '--noEmit',
      '--target',
      'es2022',
      '--skipLibCheck',
      '--types',
      'node',
      '--typeRoots',
      types,
    ]
    const { text, status } = run(
      process.execPath,
      [tsc, ...args, '--module', module, '--moduleResolution', resolution, 'user.ts'],
      installed.project,
    )
    assert.is(status, 0, `${module}: ${text}`)
  }
})

test('a packaging linter finds nothing', async () => {
  const { messages, pkg } = await publint({ pkgDir: installed.target, pack: false, strict: true })
  assert.equal(
    messages.map((message) => formatMessage(message, pkg!)),
    [],
  )
})

test('symbol versions are read as versions, not as numbers', () => {
  const symbols =
    'DF *UND* (GLIBC_2.4) x\nDF *UND* (GLIBC_2.34) y\nDF *UND* (GLIBC_2.2.5) z\nDF *UND* GLIBCXX_3.4.9 a\nGLIBCXX_3.4.30 b'
  assert.equal(newestVersions(symbols), { GLIBC: '2.34', GLIBCXX: '3.4.30' })
  assert.ok(readdirSync(folder).some((name) => name.endsWith('.tgz')))
})

test.run()
