/**
 * McNemar's exact test for two models on the same questions: given that `onlyA` questions were right for the first model alone and `onlyB`
 * for the second alone, how likely is a split at least as uneven where each such question falls to either model with probability 1/2
 * (two-sided binomial test; McNemar 1947). Questions on which both agree say nothing. 1 where there are none.
 *
 * Stands alone, without imports or outer names: reports carry its source into the reader's browser.
 */
export function mcnemar(onlyA: number, onlyB: number): number {
  const n = onlyA + onlyB
  const few = Math.min(onlyA, onlyB)
  if (n === 0 || 2 * few === n) return 1
  // log of C(n, k) / 2^n, summed from k = 0: no term overflows, whatever n is
  let logTerm = -n * Math.LN2
  let tail = Math.exp(logTerm)
  for (let k = 1; k <= few; k++) {
    logTerm += Math.log((n - k + 1) / k)
    tail += Math.exp(logTerm)
  }
  return Math.min(1, 2 * tail)
}
