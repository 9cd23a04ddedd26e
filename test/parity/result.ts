/** What a parity family reports: `npm run parity` prints one line of it each. */
export interface FamilyResult {
  family: string
  cases: number
  failed: number
  max_error: number
  messages: string[]
}

/** What `npm run parity` was asked for beside the folder of vectors. */
export interface ParityOptions {
  /** Folder of real models; default `../models` beside the root. */
  models: string
  /** Folder of data sets; default `../data` beside the root. */
  data: string
  device: string
}

/**
 * A module of this folder: `families` names what it can check, `run` returns one result for each of them that exists
 * below `root` and nothing for those that do not.
 */
export interface ParityModule {
  families: string[]
  run(root: string, options: ParityOptions): Promise<FamilyResult[]>
}
