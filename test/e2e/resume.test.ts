import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { repositoryRoot } from '../support/shared.js'

test('a run that SIGKILL ended resumes to the very weights of one that nothing ended', () => {
  const args = [join(repositoryRoot, 'scripts', 'check-resume.mjs'), '--kills', '2', '--steps', '6', '--seed', '1']
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.is(status, 0, stdout + stderr)
  assert.equal(JSON.parse(stdout.trimEnd().split('\n').at(-1)!), { kills: 2, failed: 0, seed: 1, steps: 6 })
})

test.run()
