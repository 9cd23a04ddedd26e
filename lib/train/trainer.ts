import type { Example } from '../data/example.js'
import type { Model } from '../model.js'
import { type MemoryPlanInput, memoryPlan } from '../nn/memory-plan.js'
import { checkResumable, type DataFingerprint, type TrainerState } from './checkpoint/state.js'
import type { Checkpoint } from './checkpoint.js'
import type { GRPOConfig, SFTConfig } from './config.js'
import { type Evaluate, type OnStep, runLoop, type Stepper, type TrainSummary } from './loop.js'
import { MemoryWatch } from './memory.js'
import { AdamW } from './optimizer.js'
import { DataOrder } from './order.js'
import { RunFolder } from './run-folder.js'
import { dataFingerprint, type ExampleSource, examplesOf, loadWeights } from './session.js'
import { Stopwatch } from './timing.js'
import { MetricWindow } from './window.js'

// What both trainers are.

export interface TrainerOptions {
  /** Its weights are updated in place. */
  model: Model
  dataset: ExampleSource
  onStep?: OnStep
  /** Measures held-out data every `evalSteps` updates. */
  evaluate?: Evaluate
  /** True: go on from the newest checkpoint in `outputDir`, or start where there is none. A path: from that checkpoint. */
  resume?: boolean | string
  /** Gets lines for people (the memory plan); default: none. */
  print?: (line: string) => void
}

/** What every run works with, made by its trainer. */
export interface TrainerParts<C> {
  model: Model
  dataset: readonly Example[]
  data: DataFingerprint
  config: C
  totalSteps: number
  order: DataOrder
  optimizer: AdamW
  folder: RunFolder
  window: MetricWindow
  stopwatch: Stopwatch
  memory: MemoryWatch
}

/** From options to the end of a loop: checks, resumes, runs, and closes what was opened. */
export abstract class Trainer<C extends GRPOConfig | SFTConfig, P extends TrainerParts<C>> {
  protected readonly dataset: readonly Example[]
  private stopRequested = false

  /** @throws Error (ERR_DATA) for a data set without examples */
  protected constructor(
    private readonly kind: TrainerState['kind'],
    readonly config: C,
    protected readonly options: TrainerOptions,
  ) {
    this.dataset = examplesOf(options.dataset)
  }

  /** Finishes the update that is running, saves a checkpoint, and lets `train` return. */
  stop(): void {
    this.stopRequested = true
  }

  /** Trains to the last step or until {@link stop}. Rejects with the error that ended it; what was reached before is saved. */
  async train(): Promise<TrainSummary> {
    const from = await RunFolder.checkpoint(this.config.outputDir, this.options.resume ?? false)
    try {
      return await this.run(from)
    } finally {
      await from?.close()
    }
  }

  private async run(from: Checkpoint | null): Promise<TrainSummary> {
    const data = dataFingerprint(this.dataset)
    if (from) checkResumable(from.state, { kind: this.kind, config: this.config, data })
    const memory = this.watchMemory()
    this.options.print?.(memory.describe())
    const parts = await this.prepare({ data, memory }, from)
    try {
      const run = await this.stepper(parts, from)
      const { evaluate, onStep } = this.options
      return await runLoop(run, { ...parts, evaluate, onStep, stopRequested: () => this.stopRequested })
    } finally {
      this.options.print?.(parts.memory.summary())
      parts.folder.close()
      parts.optimizer.dispose()
      this.release(parts)
    }
  }

  /** Bytes that its rollouts may use, and whether it keeps a frozen reference: what the memory plan asks of a trainer. */
  protected abstract memoryNeeds(): Pick<MemoryPlanInput, 'kvMemory' | 'reference'>

  /** Everything that the run works with; loads weights and moments where it resumes. */
  protected abstract prepare(checked: Pick<TrainerParts<C>, 'data' | 'memory'>, from: Checkpoint | null): Promise<P>

  /** The run, where the checkpoint left it. */
  protected abstract stepper(parts: P, from: Checkpoint | null): Promise<Stepper>

  /** Disposes of what `prepare` made beyond the parts of every trainer. */
  protected release(_parts: P): void {}

  /** The parts that are made alike; on a resume with the checkpoint's weights and moments. */
  protected async commonParts(
    from: Checkpoint | null,
  ): Promise<Omit<TrainerParts<C>, 'data' | 'memory' | 'totalSteps'>> {
    const { config, dataset } = this
    const { model } = this.options
    const optimizer = new AdamW(model.params, config)
    if (from) {
      await loadWeights(model.params, from)
      await optimizer.importTensors(from.optimizer, from.state.step)
    }
    return {
      model,
      dataset,
      config,
      order: new DataOrder(dataset.length, config.seed, config.shuffleDataset),
      optimizer,
      folder: await RunFolder.open(config.outputDir, { from, keep: config.saveTotalLimit }),
      window: new MetricWindow(from?.state.window),
      stopwatch: new Stopwatch(() => model.params.device.synchronize()),
    }
  }

  private watchMemory(): MemoryWatch {
    const { params, config } = this.options.model
    const plan = memoryPlan({
      config,
      dtype: params.dtype,
      device: params.device,
      rowsPerMicrobatch: this.config.tokensPerMicrobatch,
      train: true,
      checkpointActivations: this.config.gradientCheckpointing,
      ...this.memoryNeeds(),
    })
    return new MemoryWatch(plan, params.device)
  }
}
