import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from '../support/shared.js'

const { namesExit } = (await import(join(repositoryRoot, 'scripts', 'support', 'host-code.mjs'))) as {
  namesExit(symbols: string | null): boolean
}

test('an end of the process in the host part of a .cu file is seen', () => {
  assert.ok(namesExit('                 U atexit\n                 U exit'))
  assert.ok(namesExit('                 U exit@GLIBC_2.2.5\n                 U free'))
  assert.not(
    namesExit('                 U atexit\n                 U __cudaRegisterFatBinaryEnd\n                 U exitCode'),
  )
})

test('an object that cannot be read is an error, not a pass', () => {
  assert.throws(() => namesExit(null), /nm of the binutils/)
})

test.run()
