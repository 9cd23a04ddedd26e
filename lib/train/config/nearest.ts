/** What other trainers call a setting of ours, without case and underscores. */
const otherNames: Record<string, string> = {
  modelnameorpath: 'model',
  datasetname: 'dataset',
  datasetpath: 'dataset',
  lr: 'learningRate',
  groupsize: 'numGenerations',
  numsamples: 'numGenerations',
  klcoef: 'beta',
  klcoefficient: 'beta',
  batchsize: 'promptsPerStep',
  perdevicetrainbatchsize: 'promptsPerStep',
  trainbatchsize: 'promptsPerStep',
  generationbatchsize: 'promptsPerStep',
  stepspergeneration: 'updatesPerGeneration',
  gradientaccumulationsteps: 'tokensPerMicrobatch',
  maxnewtokens: 'maxCompletionLength',
  maxtokens: 'maxCompletionLength',
  maxresponselength: 'maxCompletionLength',
  cliprange: 'epsilon',
  clipratio: 'epsilon',
  gradclip: 'maxGradNorm',
  epochs: 'numTrainEpochs',
  steps: 'maxSteps',
}

const plain = (key: string) => key.toLowerCase().replace(/[_-]/g, '')

/**
 * The key that was probably meant by `key`: another trainer's name of the same setting, the same letters in another spelling
 * (`num_generations`), or the one the fewest edits away. Null when nothing is near.
 */
export function nearestKey(key: string, keys: readonly string[]): string | null {
  const wanted = plain(key)
  const other = Object.hasOwn(otherNames, wanted) ? otherNames[wanted]! : null
  let best: string | null = null
  let bestDistance = Math.max(2, Math.floor(wanted.length / 3)) + 1
  for (const candidate of keys) {
    const distance = editDistance(wanted, plain(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return bestDistance > 1 && other && keys.includes(other) ? other : best
}

/** Insertions, deletions, substitutions and swaps of neighbours (Damerau-Levenshtein, optimal string alignment). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const cost = a[i - 1] === b[j - 1] ? 0 : 1
      let best = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + cost)
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        best = Math.min(best, beforeLast[j - 2]! + 1)
      row.push(best)
    }
    beforeLast = last
    last = row
  }
  return last[b.length]!
}
