// Programs in C++ that are their own tests (expect.h): what they print is TAP's plan and a line for each test.

import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { packageRoot } from '../../lib/tensor/addon-file.js'

/** Where the build puts a program or a library of the tests'. */
export const built = (name: string) => join(packageRoot, 'build', 'Release', name)

/** A test that all tests of a program pass; skipped where the program or one of the files that it is given was not built. */
export function program(what: string, name: string, args: string[] = []): void {
  if (![built(name), ...args].every(existsSync)) {
    test.skip(`${what}: ${built(name)} was not built here`, () => {})
    return
  }
  test(what, () => {
    const { stdout, status, signal } = spawnSync(built(name), args, { encoding: 'utf8', timeout: 120_000 })
    assert.is(signal, null, stdout)
    assert.is(status, 0, stdout)
    const lines = stdout.split('\n')
    assert.match(lines[0] ?? '', /^1\.\.[1-9]\d*$/)
    assert.is(lines.filter((line) => line.startsWith('ok ')).length, Number(lines[0]?.slice(3)), stdout)
  })
}
