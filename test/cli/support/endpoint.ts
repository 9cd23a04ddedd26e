// What tests of commands at an endpoint share: the command in a child process, questions, and what it has stored.

import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../../../scripts/callgrad.mjs', import.meta.url))

/** The key that {@link startCallgrad} puts into the environment. */
export const testKey = 'sk-test-9f8e7d6c5b4a'

export interface Ended {
  /** Null where a signal ended it. */
  code: number | null
  out: string
  err: string
}

export function startCallgrad(args: readonly string[], cwd: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    env: { ...process.env, NO_COLOR: '1', CALLGRAD_API_KEY: testKey, ...env },
  })
  let [out, err] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text))
  child.stderr.setEncoding('utf8').on('data', (text) => (err += text))
  const ended = new Promise<Ended>((resolve) => child.on('close', (code) => resolve({ code, out, err })))
  return { child, ended }
}

export const weatherCall = (city: string) => `{"name": "get_weather", "arguments": {"city": ${JSON.stringify(city)}}}`

/** Writes data.jsonl: questions about City0, City1, … with their right call. */
export function writeWeatherData(folder: string, count: number): void {
  const tools = JSON.stringify([{ name: 'get_weather', description: 'Weather', parameters: { type: 'object' } }])
  const records = Array.from({ length: count }, (_, i) => ({
    id: `r${i}`,
    query: `Rain in City${i}?`,
    tools,
    answers: `[${weatherCall(`City${i}`)}]`,
  }))
  writeFileSync(join(folder, 'data.jsonl'), records.map((record) => `${JSON.stringify(record)}\n`).join(''))
}

/** Contents of the answers in a file that a command stores them in; a last line without an end is none. */
export function storedAnswers(file: string): string[] {
  if (!existsSync(file)) return []
  const whole = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return whole.flatMap((line) => {
    try {
      const { answer } = JSON.parse(line) as { answer: { content?: string; text?: string } }
      return [answer.content ?? answer.text ?? '']
    } catch {
      return []
    }
  })
}

/** Waits until a file holds so many answers; a command that ends before is an error with what it said. */
export async function untilStored(file: string, count: number, { ended }: { ended: Promise<Ended> }): Promise<void> {
  let over: Ended | null = null
  ended.then((result) => {
    over = result
  })
  while (storedAnswers(file).length < count) {
    if (over) throw new Error(`ended with ${storedAnswers(file).length} answers of ${count}: ${(over as Ended).err}`)
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}
