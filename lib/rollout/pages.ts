import { fail } from '../errors.js'

/**
 * Numbers the pages of a KV cache. A page is free, or has one or more users (a prompt's pages are shared by its samples).
 *
 * Whoever will need pages later reserves them first, so that a sequence that has started can always go on; pages are taken
 * from a reservation one by one, the lowest free number first, so that memory is touched only as far as sequences really get.
 */
export class PagePool {
  readonly #users: Int32Array
  /** Free pages as a binary min-heap. */
  readonly #heap: Int32Array
  #free: number
  #reserved = 0

  constructor(readonly size: number) {
    this.#users = new Int32Array(size)
    this.#heap = Int32Array.from({ length: size }, (_, i) => i)
    this.#free = size
  }

  /** Pages that nobody uses and nobody has reserved. */
  get available(): number {
    return this.#free - this.#reserved
  }

  /** Sets `count` pages aside; false, and nothing changes, where fewer are available. */
  reserve(count: number): boolean {
    if (count > this.available) return false
    this.#reserved += count
    return true
  }

  /** Gives up `count` pages of a reservation that were not taken. */
  cancel(count: number): void {
    if (count > this.#reserved) this.#broken(`at most ${this.#reserved} reserved pages to cancel`, count)
    this.#reserved -= count
  }

  /** Takes one reserved page; its user is the caller. */
  take(): number {
    if (this.#reserved === 0) this.#broken('a reservation to take a page from', 'none')
    this.#reserved--
    const page = this.#heap[0]!
    const last = this.#heap[--this.#free]!
    let i = 0
    for (;;) {
      let child = 2 * i + 1
      if (child >= this.#free) break
      if (child + 1 < this.#free && this.#heap[child + 1]! < this.#heap[child]!) child++
      if (this.#heap[child]! >= last) break
      this.#heap[i] = this.#heap[child]!
      i = child
    }
    if (this.#free > 0) this.#heap[i] = last
    this.#users[page] = 1
    return page
  }

  /** One more user of a page in use. */
  retain(page: number): void {
    if (!this.#users[page]) this.#broken('a page in use to share', page)
    this.#users[page]!++
  }

  /** One user less; the last one frees the page. */
  release(page: number): void {
    if (!this.#users[page]) this.#broken('a page in use to release', page)
    if (--this.#users[page]! > 0) return
    let i = this.#free++
    while (i > 0) {
      const parent = (i - 1) >> 1
      if (this.#heap[parent]! <= page) break
      this.#heap[i] = this.#heap[parent]!
      i = parent
    }
    this.#heap[i] = page
  }

  #broken(expected: string, got: unknown): never {
    fail('Error', 'ERR_INTERNAL', `[kvPages] expected ${expected}, got ${got}`)
  }
}
