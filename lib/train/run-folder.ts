import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fail } from '../errors.js'
import {
  type Checkpoint,
  type CheckpointContents,
  latestCheckpoint,
  openCheckpointState,
  pruneCheckpoints,
  saveCheckpoint,
} from './checkpoint.js'
import { JsonLines } from './log.js'

/**
 * Where a run writes: `metrics.jsonl`, `completions.jsonl`, `checkpoints/step-NNNNNN/`. Without an output folder everything is a no-op, so
 * that trainers need not ask.
 */
export class RunFolder {
  private constructor(
    private readonly path: string | null,
    private readonly metricsLog: JsonLines | null,
    private readonly completionsLog: JsonLines | null,
    private readonly keep: number | null,
  ) {}

  /**
   * Finds what to resume from: `resume` is a checkpoint's path, true for the newest whole one (none: the run starts anew), or
   * false.
   *
   * @throws Error (ERR_CONFIG) where a folder that already holds a run would be overwritten
   */
  static async checkpoint(path: string | null, resume: boolean | string): Promise<Checkpoint | null> {
    if (typeof resume === 'string') return openCheckpointState(resume)
    if (path === null) return null
    if (resume) {
      const latest = await latestCheckpoint(join(path, 'checkpoints'))
      return latest === null ? null : openCheckpointState(latest)
    }
    if (existsSync(join(path, 'metrics.jsonl'))) {
      fail('Error', 'ERR_CONFIG', `[run] expected a folder without a run, ${path} holds one: resume it or name another`)
    }
    return null
  }

  /** Opens the logs, cut back to what the checkpoint knew of (from the start: emptied). */
  static async open(
    path: string | null,
    { from, keep }: { from: Checkpoint | null; keep: number | null },
  ): Promise<RunFolder> {
    if (path === null) return new RunFolder(null, null, null, keep)
    try {
      await mkdir(path, { recursive: true })
    } catch (error) {
      fail('Error', 'ERR_IO', `[run] cannot make the folder ${path}: ${(error as Error).message}`, error)
    }
    const bytes = from?.state.logs ?? { metrics: 0, completions: 0 }
    const metrics = new JsonLines(join(path, 'metrics.jsonl'), bytes.metrics)
    const completions = new JsonLines(join(path, 'completions.jsonl'), bytes.completions)
    return new RunFolder(path, metrics, completions, keep)
  }

  metrics(line: object): void {
    this.metricsLog?.append(line)
  }

  completions(lines: readonly object[]): void {
    this.completionsLog?.append(...lines)
  }

  /** Bytes of the logs, on the disk; part of the state that a checkpoint holds. */
  logs(): { metrics: number; completions: number } {
    return { metrics: this.metricsLog?.size() ?? 0, completions: this.completionsLog?.size() ?? 0 }
  }

  /** Saves a checkpoint and deletes old ones; null without an output folder. */
  async save(contents: CheckpointContents): Promise<string | null> {
    if (this.path === null) return null
    const folder = join(this.path, 'checkpoints')
    const path = await saveCheckpoint(folder, contents)
    await pruneCheckpoints(folder, this.keep)
    return path
  }

  close(): void {
    this.metricsLog?.close()
    this.completionsLog?.close()
  }
}
