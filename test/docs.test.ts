import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readConfigFile } from '../lib/cli/config-file.js'
import { createProgram } from '../lib/cli/main.js'
import { readStudy } from '../lib/cli/study/settings.js'
import * as callgrad from '../lib/index.js'
import { parseSFTRun, parseTrainRun } from '../lib/train/config.js'

const root = fileURLToPath(new URL('../../', import.meta.url))
const below = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name))
const pages = ['README.md', ...below('docs'), ...below('examples')].filter((name) => name.endsWith('.md'))
const read = (page: string) => readFileSync(join(root, page), 'utf8')

test('links between pages lead somewhere', () => {
  for (const page of pages)
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g))
      assert.ok(existsSync(join(root, dirname(page), target!)), `${page}: ${target}`)
})

test('what the pages import from callgrad is exported', () => {
  for (const page of pages)
    for (const [, names] of read(page).matchAll(/import \{([^}]+)\} from 'callgrad'/g))
      for (const name of names!.split(',')) assert.ok(name.trim() in callgrad, `${page}: ${name.trim()}`)
})

test('the commands that the pages show exist, with the flags they show', () => {
  const program = createProgram()
  for (const page of pages)
    for (const [line, words] of read(page).matchAll(/npx callgrad ([^`\n|]+)/g)) {
      let command = program
      for (const word of words!.split(' ')) {
        const next = command.commands.find((c) => c.name() === word)
        if (!next) break
        command = next
      }
      assert.is.not(command, program, `${page}: ${line}`)
      for (const flag of words!.match(/--[\w-]+/g) ?? [])
        assert.ok(
          command.options.some((option) => option.long === flag),
          `${page}: ${line}: ${flag}`,
        )
    }
})

test("the README's table has every command", () => {
  for (const command of createProgram().commands)
    assert.match(read('README.md'), new RegExp(`^\\| \`npx callgrad ${command.name()}[ \`]`, 'm'), command.name())
})

test('files that the pages name exist', () => {
  for (const page of pages)
    for (const [, path] of read(page).matchAll(/`((?:lib|native|scripts|test|docs|bindings)\/[\w./-]+)`/g))
      assert.ok(existsSync(join(root, path!)), `${page}: ${path}`)
})

test('the configs of the examples are right', () => {
  const configs = below('examples').filter((name) => name.endsWith('.yaml'))
  assert.ok(configs.length > 0)
  for (const name of configs) {
    if (basename(name) === 'study.yaml') readStudy(join(root, name))
    else (basename(name).startsWith('sft') ? parseSFTRun : parseTrainRun)(readConfigFile(join(root, name)))
  }
})

test.run()
