// What evaluations left on disk, whichever benchmark's: no file is written for reports alone.

import { existsSync, statSync } from 'node:fs'
import { readAceResults } from './acebench.js'
import { isAnswersFile, readAnswers } from './answers.js'
import { readApiBankResults } from './apibank.js'
import { readBfclResults } from './bfcl.js'
import type { ResultSet } from './types.js'

/**
 * The result sets of a folder that `callgrad eval bfcl|acebench|api-bank` wrote (folders of the official tools have the same layout), or of
 * a file of `callgrad eval --output`. None where the path holds no results. Folders below are not searched.
 */
export function readResults(path: string): ResultSet[] {
  if (!existsSync(path)) return []
  if (statSync(path).isFile()) return isAnswersFile(path) ? [readAnswers(path)] : []
  return [...readBfclResults(path), ...readAceResults(path), ...readApiBankResults(path)]
}
