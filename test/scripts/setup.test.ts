import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'

interface Found {
  compiler: string | null
  cmake: string | null
  builder: string | null
  oneDnn: boolean
}

// The scripts are plain JavaScript, for they run before anything is compiled.
const script = (name: string) => import(new URL(`../../../scripts/${name}`, import.meta.url).href)
const stamp = (await script('support/stamp.mjs')) as {
  fingerprint(root: string, paths: string[], extra?: string[]): string
  stampIs(file: string, value: string): boolean
  writeStamp(file: string, value: string): void
}
const setup = (await script('setup.mjs')) as {
  checkNode(version?: string): void
  buildProgress(line: string): { percent: number; file: string } | null
  dropOrphans(root: string): void
}
const { packagesAreCurrent } = (await script('support/packages.mjs')) as { packagesAreCurrent(root: string): boolean }
const toolchain = (await script('support/toolchain.mjs')) as {
  missingPackages(found: Found): string[]
  install(packages: string[], options: { log: string }): Promise<void>
}

const test = suite<{ root: string }>('setup')
test.before.each((context) => {
  context.root = mkdtempSync(join(tmpdir(), 'callgrad-setup-'))
})
test.after.each((context) => rmSync(context.root, { recursive: true, force: true }))

test('a stamp changes with content, names and extras, and with nothing else', ({ root }) => {
  mkdirSync(join(root, 'src'))
  writeFileSync(join(root, 'src', 'a.cc'), 'int a;')
  writeFileSync(join(root, 'src', 'b.cc'), 'int b;')
  const first = stamp.fingerprint(root, ['src'])
  assert.is(stamp.fingerprint(root, ['src', 'missing']), first)
  assert.is.not(stamp.fingerprint(root, ['src'], ['arm64']), first)
  writeFileSync(join(root, 'src', 'b.cc'), 'int c;')
  const second = stamp.fingerprint(root, ['src'])
  assert.is.not(second, first)
  writeFileSync(join(root, 'src', 'b.cc'), 'int b;')
  assert.is(stamp.fingerprint(root, ['src']), first)
  renameSync(join(root, 'src', 'b.cc'), join(root, 'src', 'c.cc'))
  assert.is.not(stamp.fingerprint(root, ['src']), first)
})

test('a stamp is found again only with its value', ({ root }) => {
  const file = join(root, 'build', '.stamp')
  assert.not(stamp.stampIs(file, 'x'))
  stamp.writeStamp(file, 'x')
  assert.ok(stamp.stampIs(file, 'x'))
  assert.not(stamp.stampIs(file, 'y'))
})

test('node_modules is stale when a package is missing or has another version', ({ root }) => {
  const lock = (packages: object) => JSON.stringify({ packages })
  const entry = { version: '1.0.0', integrity: 'sha512-x' }
  const wanted = { '': {}, 'node_modules/a': entry, 'node_modules/other-platform': { ...entry, optional: true } }
  writeFileSync(join(root, 'package-lock.json'), lock(wanted))
  assert.not(packagesAreCurrent(root))
  mkdirSync(join(root, 'node_modules', 'a'), { recursive: true })
  const installed = join(root, 'node_modules', '.package-lock.json')
  writeFileSync(installed, lock({ 'node_modules/a': entry }))
  assert.ok(packagesAreCurrent(root))
  writeFileSync(installed, lock({ 'node_modules/a': { ...entry, version: '1.0.1' } }))
  assert.not(packagesAreCurrent(root))
  writeFileSync(installed, lock({}))
  assert.not(packagesAreCurrent(root))
  writeFileSync(installed, lock({ 'node_modules/a': entry }))
  rmSync(join(root, 'node_modules', 'a'), { recursive: true })
  assert.not(packagesAreCurrent(root))
})

test('a compiled file whose source is gone is deleted', ({ root }) => {
  for (const folder of ['dist/test', 'dist/lib', 'test', 'lib']) mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(join(root, 'test', 'kept.test.ts'), '')
  for (const name of ['kept.test.js', 'kept.test.js.map', 'gone.test.js', 'gone.test.d.ts'])
    writeFileSync(join(root, 'dist', 'test', name), '')
  setup.dropOrphans(root)
  assert.equal(readdirSync(join(root, 'dist', 'test')).sort(), ['kept.test.js', 'kept.test.js.map'])
})

test('progress is read from make and ninja', () => {
  const make = '[ 12%] Building CXX object CMakeFiles/callgrad.dir/native/cpu/rms_norm.cc.o'
  assert.equal(setup.buildProgress(make), { percent: 12, file: 'native/cpu/rms_norm.cc' })
  assert.is(setup.buildProgress('[3/12] Building CXX object x.cc.o')?.percent, 25)
  assert.is(setup.buildProgress('-- Configuring done'), null)
})

test('an old Node is refused', () => {
  assert.throws(() => setup.checkNode('18.19.0'), /20 or newer is needed, this is 18\.19\.0/)
  setup.checkNode('22.1.0')
})

test('what is missing is named by its Debian package', () => {
  const all = { compiler: 'g++', cmake: 'cmake 3', builder: 'make 4', oneDnn: true }
  assert.equal(toolchain.missingPackages(all), [])
  assert.equal(toolchain.missingPackages({ ...all, oneDnn: false }), ['libdnnl-dev'])
  assert.equal(toolchain.missingPackages({ compiler: null, cmake: null, builder: null, oneDnn: false }).length, 4)
})

test('who may not install is told the one command that does', async ({ root }) => {
  const getuid = process.getuid!
  process.getuid = () => 1000
  try {
    await toolchain.install(['g++', 'libdnnl-dev'], { log: join(root, 'log') })
    assert.unreachable('it must not try')
  } catch (error) {
    assert.match((error as Error).message, /missing: g\+\+, libdnnl-dev\. To install:\n\n {4}.*g\+\+ libdnnl-dev/)
  } finally {
    process.getuid = getuid
  }
})

test('the lock file holds every package that another one asks for, so that npm ci takes it', () => {
  const file = new URL('../../../package-lock.json', import.meta.url)
  const { packages } = JSON.parse(readFileSync(file, 'utf8')) as {
    packages: Record<string, { dependencies?: object; optionalDependencies?: object; devDependencies?: object }>
  }
  for (const [path, { dependencies, optionalDependencies, devDependencies }] of Object.entries(packages))
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...devDependencies })) {
      const found = Object.keys(packages).some(
        (key) => key === `node_modules/${name}` || key === `${path}/node_modules/${name}`,
      )
      assert.ok(found, `${path || 'package.json'} asks for ${name}`)
    }
})

test.run()
