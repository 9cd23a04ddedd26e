import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loadDataset } from '../../lib/data/load.js'
import { isHubId, recordFiles, resolveDataset } from '../../lib/formats/hub-dataset.js'
import { inTemporaryFolder, rejection } from './support.js'

const commit = 'da7a'.padEnd(40, '0')
const record = (id: number) =>
  `{"id": ${id}, "query": "q", "tools": [{"name": "f"}], "answers": [{"name": "f", "arguments": {}}]}\n`

/** A hub with one data set, `me/calls`. */
function serve(files: ReadonlyMap<string, string>, requests: string[]): Server {
  return createServer((request, response) => {
    const url = decodeURIComponent(request.url ?? '')
    requests.push(url)
    const json = (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
    if (url.startsWith('/api/datasets/me/calls/revision/')) return json({ _id: '1', id: 'me/calls', sha: commit })
    if (url.startsWith(`/api/datasets/me/calls/tree/${commit}`)) {
      const entry = ([path, text]: [string, string], i: number) => ({
        type: 'file',
        path,
        size: Buffer.byteLength(text),
        oid: `${i}`.padStart(40, 'a'),
      })
      return json([...files].map(entry))
    }
    const text = files.get(url.replace(`/datasets/me/calls/resolve/${commit}/`, ''))
    if (text === undefined) return response.writeHead(404).end()
    return response.writeHead(200, { 'content-length': Buffer.byteLength(text) }).end(text)
  })
}

async function withHub(
  files: Record<string, string>,
  use: (hub: {
    options: { endpoint: string; cacheDir: string; retryDelay: number }
    requests: string[]
    close: () => void
  }) => Promise<void>,
): Promise<void> {
  await inTemporaryFolder(async (folder) => {
    const requests: string[] = []
    const server = serve(new Map(Object.entries(files)), requests)
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const close = () => {
      server.closeAllConnections()
      server.close()
    }
    try {
      await use({ options: { endpoint, cacheDir: join(folder, 'cache'), retryDelay: 1 }, requests, close })
    } finally {
      close()
    }
  })
}

test('which files hold the records', () => {
  const cases: [string[], string[]][] = [
    [['README.md', 'data.json', 'dataset_infos.json'], ['data.json']],
    [['data.json', 'data/train-0.parquet', 'data/test-0.parquet'], ['data/train-0.parquet']],
    [
      ['b.jsonl', 'a.jsonl', 'val.jsonl'],
      ['a.jsonl', 'b.jsonl'],
    ],
    [['test.jsonl'], ['test.jsonl']],
    [
      ['latest.jsonl', 'contest/x.jsonl'],
      ['contest/x.jsonl', 'latest.jsonl'],
    ],
    [['model.safetensors'], []],
  ]
  for (const [paths, expected] of cases) assert.equal(recordFiles(paths), expected)
  assert.equal(recordFiles(['a/x.jsonl', 'b.jsonl'], 'a/x.jsonl'), ['a/x.jsonl'])
})

test('an id is told from a path', () => {
  for (const id of ['me/calls', 'me/calls/data/train.parquet', 'me/x.y']) assert.ok(isHubId(id), id)
  for (const path of ['calls.jsonl', 'data/train.jsonl', '/data/x', './me/calls', '../me/calls', 'me/../x', 'a/b/c'])
    assert.not.ok(isHubId(path), path)
})

test('a data set by its id: fetched once from the endpoint, then read from the cache, also without the hub', async () => {
  const files = {
    'README.md': 'x',
    'data/train-1.jsonl': record(1),
    'data/train-2.jsonl': record(2),
    'data/test.jsonl': '',
  }
  await withHub(files, async ({ options, requests, close }) => {
    const paths = await resolveDataset('me/calls', options)
    assert.equal(
      paths.map((path) => path.split(`${commit}/`)[1]),
      ['data/train-1.jsonl', 'data/train-2.jsonl'],
    )
    assert.is(requests.filter((url) => url.includes('/resolve/')).length, 2)
    assert.ok(requests.some((url) => url.startsWith('/datasets/me/calls/resolve/')))
    await resolveDataset('me/calls', options)
    assert.is(requests.filter((url) => url.includes('/resolve/')).length, 2)
    const before = { ...process.env }
    process.env.HF_ENDPOINT = options.endpoint
    process.env.HF_HUB_CACHE = options.cacheDir
    try {
      assert.is((await loadDataset('me/calls')).examples.length, 2)
      assert.is((await loadDataset('me/calls/data/train-2.jsonl')).examples.length, 1)
      close()
      process.env.HF_HUB_OFFLINE = '1'
      assert.is((await loadDataset('me/calls')).examples.length, 2)
    } finally {
      process.env = before
    }
  })
})

test('what is not there is said', async () => {
  await withHub({ 'README.md': 'x' }, async ({ options }) => {
    const error = await rejection(resolveDataset('me/calls', options))
    assert.is(error.code, 'ERR_HUB')
    assert.match(error.message, /me\/calls: expected parquet, JSON or JSONL files, the repository has README\.md/)
    assert.match((await rejection(resolveDataset('me/others', options))).message, /me\/others: not found/)
    assert.match((await rejection(resolveDataset('me/calls/x.jsonl', options))).message, /expected a file x\.jsonl/)
  })
})

test('a path that would leave the cache is no file of the data set', async () => {
  await withHub(
    { '../../evil.jsonl': record(1), 'a//b.jsonl': record(2), 'ok.jsonl': record(3) },
    async ({ options }) => {
      const paths = await resolveDataset('me/calls', options)
      assert.equal(
        paths.map((path) => path.split(`${commit}/`)[1]),
        ['ok.jsonl'],
      )
    },
  )
})

test.run()
