/**
 * Milliseconds that `work` takes: by the clock, or of processor time where the machine does other things meanwhile (collecting garbage has
 * threads of its own, so either may be the larger). The least of up to three runs, the later ones only where the first is slow: it pays
 * for compilation, and for garbage of what ran before it.
 */
export function cpuMilliseconds(work: () => void): number {
  let least = Number.POSITIVE_INFINITY
  for (let run = 0; run < 3 && least > 500; run++) {
    const [clock, processor] = [performance.now(), process.cpuUsage()]
    work()
    const { user, system } = process.cpuUsage(processor)
    least = Math.min(least, performance.now() - clock, (user + system) / 1000)
  }
  return least
}
