// Options that several commands take.

import { basename, extname } from 'node:path'
import type { Command } from 'commander'
import { applySettings, readConfigFile } from './config-file.js'

export interface ConfigOptions {
  set?: string[]
  json?: boolean
}

const collect = (value: string, before: string[] = []) => [...before, value]

/** `--set key=value`, any number of times, and `--json`. */
export function withSettings(command: Command): Command {
  return command
    .option(
      '--set <key=value>',
      'change a setting; may be given many times (docs/configuration.md lists them)',
      collect,
    )
    .option('--json', 'print results as JSON, everything else on standard error')
}

/**
 * The settings of a command: its config file, over which flags, over which `--set`. A flag that was not given is undefined here and
 * changes nothing.
 */
export function settingsOf(
  file: string | undefined,
  flags: Record<string, unknown>,
  set: readonly string[] = [],
): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined))
  return applySettings({ ...(file ? readConfigFile(file) : {}), ...given }, set)
}

/** `configs/grpo.yaml` → `grpo`. */
export const nameOf = (file: string) => basename(file, extname(file)).replace(/[^\w.-]/g, '-')
