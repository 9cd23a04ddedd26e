/**
 * Runs `work` over items, at most `limit` at once, started in their order. Results come in their order, too. After the first failure,
 * or once the signal is aborted, nothing more starts; the promise rejects when what was under way has ended.
 */
export async function runPool<T, R>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<R>,
  signal?: AbortSignal,
): Promise<R[]> {
  const results = new Array<R>(items.length)
  let next = 0
  let failed: { error: unknown } | null = null
  const lane = async () => {
    while (next < items.length && !failed && !signal?.aborted) {
      const index = next++
      try {
        results[index] = await work(items[index]!, index)
      } catch (error) {
        failed ??= { error }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, lane))
  if (failed) throw (failed as { error: unknown }).error
  signal?.throwIfAborted()
  return results
}
