/** What a parity family reports: `npm run parity` prints one line of it each. */
export interface FamilyResult {
  family: string
  cases: number
  failed: number
  max_error: number
  messages: string[]
}
