// What tests of commands at an endpoint share: a server and a folder for each, questions, and what is stored of the answers.

import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, type Test } from 'uvu'
import { type Behaviour, startServer, type TestServer } from '../../rollout/endpoint/support/server.js'
import { type Ended, type Started, startCallgrad } from './callgrad.js'

/** The key that {@link startAtEndpoint} puts into the environment. */
export const testKey = 'sk-test-9f8e7d6c5b4a'

/** Starts the command with a key for endpoints in its environment. */
export const startAtEndpoint = (args: readonly string[], cwd: string, env: Record<string, string> = {}): Started =>
  startCallgrad(args, cwd, { CALLGRAD_API_KEY: testKey, ...env })

export interface EndpointContext {
  folder: string
  server: TestServer
}

/** A suite whose every test has an empty folder and a server of its own, which behaves so until it is told otherwise. */
export function endpointSuite(name: string, behaviour: Behaviour): Test<EndpointContext> {
  const test = suite<EndpointContext>(name)
  test.before.each(async (context) => {
    context.folder = mkdtempSync(join(tmpdir(), 'callgrad-at-endpoint-'))
    context.server = await startServer(behaviour)
  })
  test.after.each(async ({ folder, server }) => {
    await server.close()
    rmSync(folder, { recursive: true, force: true })
  })
  return test
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
