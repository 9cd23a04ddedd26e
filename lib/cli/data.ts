// `callgrad data`: data sets built, counted, looked at.

import type { Command } from 'commander'
import { addBuild } from './data/build.js'
import { addInspect, addRender } from './data/inspect.js'
import { addSelect } from './data/select.js'
import { addStats } from './data/stats.js'

export function dataCommand(program: Command): void {
  const data = program
    .command('data')
    .description('build data sets, count them, look at them, see what a model gets to see')
    .addHelpText(
      'after',
      `
Examples:
  $ callgrad data build Salesforce/xlam-function-calling-60k Team-ACE/ToolACE -o train.jsonl --split 0.9
  $ callgrad data stats train.jsonl --model SmolLM2-135M-Instruct.Q4_1.gguf
  $ callgrad data select grpo.yaml -o teaching.jsonl
  $ callgrad data inspect train.jsonl -n 2
  $ callgrad data render train.jsonl --model M --id live_simple_3-3-0 --prompt-format native`,
    )
  for (const add of [addBuild, addSelect, addStats, addInspect, addRender]) add(data)
  for (const command of data.commands) command.exitOverride().configureOutput({ outputError: () => {} })
}
