/** Milliseconds of processor time that `work` takes: what else the machine does hardly counts. */
export function cpuMilliseconds(work: () => void): number {
  const start = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1000
}
