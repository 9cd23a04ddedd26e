import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openCheckpoint } from '../../lib/formats/checkpoint.js'
import { type HubOptions, type HubProgress, neededFiles, resolveModel } from '../../lib/formats/hub.js'
import { saveHuggingFace } from '../../lib/formats/huggingface.js'
import { inTemporaryFolder, rejection, tinyConfig, tinyTensors } from './support.js'

const commit = 'c0ffee'.padEnd(40, '0')
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

/** What a server does besides the plain thing, and what it was asked. */
interface Behaviour {
  /** Status for a request, before anything else. */
  status?: (url: string) => number | undefined
  /** Cuts the connection after this many bytes of a body, as often as it gives a number. */
  cut?: (url: string) => number | undefined
  ignoreRange?: boolean
  /** Served instead of the file's bytes. */
  damage?: (path: string, bytes: Buffer) => Buffer
  requests: { url: string; range: string | undefined; authorization: string | undefined }[]
}

function serve(files: Map<string, Buffer>, behaviour: Behaviour): Server {
  const lfs = (path: string) => path.endsWith('.safetensors') || path.endsWith('.gguf')
  return createServer((request: IncomingMessage, response: ServerResponse) => {
    const url = decodeURIComponent(request.url ?? '')
    const { range, authorization } = request.headers
    behaviour.requests.push({ url, range, authorization })
    const status = behaviour.status?.(url)
    if (status !== undefined) return response.writeHead(status).end('no')
    const json = (value: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(value))
    if (url.startsWith('/api/models/me/tiny/revision/')) return json({ _id: '1', id: 'me/tiny', sha: commit })
    if (url.startsWith(`/api/models/me/tiny/tree/${commit}`)) {
      const entries = [...files].map(([path, bytes]) => ({
        type: 'file',
        path,
        size: bytes.byteLength,
        oid: createHash('sha1').update(`blob ${bytes.byteLength}\0`).update(bytes).digest('hex'),
        ...(lfs(path) ? { lfs: { oid: sha256(bytes), size: bytes.byteLength, pointerSize: 130 } } : {}),
      }))
      return json([...entries, { type: 'directory', path: 'onnx', size: 0, oid: '0'.repeat(40) }])
    }
    const path = url.replace(`/me/tiny/resolve/${commit}/`, '')
    const plain = files.get(path)
    if (!plain) return response.writeHead(404).end()
    const bytes = behaviour.damage?.(path, plain) ?? plain
    const start = behaviour.ignoreRange ? 0 : Number(/^bytes=(\d+)-/.exec(range ?? '')?.[1] ?? 0)
    if (start >= bytes.byteLength && start > 0) return response.writeHead(416).end()
    if (range && !behaviour.ignoreRange) {
      response.writeHead(206, {
        'content-range': `bytes ${start}-${bytes.byteLength - 1}/${bytes.byteLength}`,
        'content-length': bytes.byteLength - start,
      })
    } else response.writeHead(200, { 'content-length': bytes.byteLength })
    const cut = behaviour.cut?.(url)
    if (cut === undefined) return response.end(bytes.subarray(start))
    response.write(bytes.subarray(start, start + cut), () => setTimeout(() => response.destroy(), 20))
    return response
  })
}

interface Hub {
  options: HubOptions
  behaviour: Behaviour
  files: Map<string, Buffer>
  progress: HubProgress[]
  folder: string
}

/** A hub with one model, and an empty cache. */
async function withHub(use: (hub: Hub) => Promise<void>, change: (files: Map<string, Buffer>) => void = () => {}) {
  await inTemporaryFolder(async (folder) => {
    const config = tinyConfig()
    await saveHuggingFace(join(folder, 'source'), {
      config,
      generationConfig: null,
      tensors: tinyTensors(config),
      dtype: 'float32',
      tokenizer: null,
    })
    const files = new Map<string, Buffer>()
    for (const name of await readdir(join(folder, 'source')))
      files.set(name, await readFile(join(folder, 'source', name)))
    for (const name of ['README.md', 'pytorch_model.bin', 'onnx.bin']) files.set(name, Buffer.from('not needed'))
    change(files)
    const behaviour: Behaviour = { requests: [] }
    const server = serve(files, behaviour)
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
    const progress: HubProgress[] = []
    const options: HubOptions = {
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      cacheDir: join(folder, 'cache'),
      token: 'secret',
      retryDelay: 1,
      onProgress: (step) => progress.push(step),
    }
    try {
      await use({ options, behaviour, files, progress, folder })
    } finally {
      server.closeAllConnections()
      await new Promise((done) => server.close(done))
    }
  })
}

const blobs = (hub: Hub) => readdir(join(hub.folder, 'cache', 'models--me--tiny', 'blobs'))

test('a hub id becomes a local model of only the files it needs; a second time nothing is fetched', async () => {
  await withHub(async (hub) => {
    const path = await resolveModel('me/tiny', hub.options)
    assert.equal((await readdir(path)).sort(), ['config.json', 'generation_config.json', 'model.safetensors'])
    const source = await openCheckpoint(path)
    assert.equal(source.config, tinyConfig())
    await source.dispose()
    assert.ok(hub.behaviour.requests.every((request) => request.authorization === 'Bearer secret'))
    const last = hub.progress.at(-1)!
    assert.is(last.received, last.total)
    assert.is(
      last.total,
      ['config.json', 'generation_config.json', 'model.safetensors'].reduce(
        (sum, name) => sum + hub.files.get(name)!.byteLength,
        0,
      ),
    )
    assert.ok(hub.progress.every((step, i) => i === 0 || step.received >= hub.progress[i - 1]!.received))
    const before = hub.behaviour.requests.length
    assert.is(await resolveModel('me/tiny', hub.options), path)
    assert.not.ok(hub.behaviour.requests.slice(before).some((request) => request.url.includes('/resolve/')))
    assert.not.ok((await blobs(hub)).some((name) => /incomplete|lock/.test(name)))
  })
})

test('a connection that is cut half-way goes on where it stopped', async () => {
  await withHub(async (hub) => {
    let cuts = 3
    hub.behaviour.cut = (url) => (url.endsWith('model.safetensors') && cuts-- > 0 ? 700 : undefined)
    const path = await resolveModel('me/tiny', hub.options)
    assert.equal(await readFile(join(path, 'model.safetensors')), hub.files.get('model.safetensors'))
    const ranges = hub.behaviour.requests
      .filter((request) => request.url.endsWith('model.safetensors'))
      .map((request) => request.range)
    assert.equal(ranges, [undefined, 'bytes=700-', 'bytes=1400-', 'bytes=2100-'])
  })
})

test('what an earlier run left is continued', async () => {
  await withHub(async (hub) => {
    const bytes = hub.files.get('model.safetensors')!
    const folder = join(hub.folder, 'cache', 'models--me--tiny', 'blobs')
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, `${sha256(bytes)}.incomplete`), bytes.subarray(0, 1000))
    const path = await resolveModel('me/tiny', hub.options)
    assert.equal(await readFile(join(path, 'model.safetensors')), bytes)
    assert.ok(hub.behaviour.requests.some((request) => request.range === 'bytes=1000-'))
  })
})

test('a server without ranges is read from the start', async () => {
  await withHub(async (hub) => {
    hub.behaviour.ignoreRange = true
    let cuts = 1
    hub.behaviour.cut = (url) => (url.endsWith('model.safetensors') && cuts-- > 0 ? 700 : undefined)
    const path = await resolveModel('me/tiny', hub.options)
    assert.equal(await readFile(join(path, 'model.safetensors')), hub.files.get('model.safetensors'))
  })
})

test('a server that never finishes is given up, and what came is kept', async () => {
  await withHub(async (hub) => {
    hub.behaviour.cut = (url) => (url.endsWith('model.safetensors') ? 0 : undefined)
    const error = await rejection(resolveModel('me/tiny', hub.options))
    assert.match(
      error.message,
      /\[hub\] me\/tiny\/model.safetensors: .* at byte 0 of [\d,]+, 5 times in a row; what has arrived is kept/,
    )
    assert.is(error.code, 'ERR_HUB')
    hub.behaviour.cut = () => undefined
    await resolveModel('me/tiny', hub.options)
  })
})

test('a server whose file is shorter or longer than it says is given up', async () => {
  await withHub(async (hub) => {
    const damage = (change: (bytes: Buffer) => Buffer) => {
      hub.behaviour.damage = (path, bytes) => (path === 'model.safetensors' ? change(bytes) : bytes)
    }
    damage((bytes) => bytes.subarray(0, 500))
    assert.match((await rejection(resolveModel('me/tiny', hub.options))).message, /times in a row/)
    damage((bytes) => Buffer.concat([bytes, Buffer.alloc(10)]))
    assert.match(
      (await rejection(resolveModel('me/tiny', hub.options))).message,
      /expected [\d,]+ bytes, the server sends more/,
    )
  })
})

test('damaged bytes are found by their hash and not kept', async () => {
  await withHub(async (hub) => {
    hub.behaviour.damage = (path, bytes) => {
      if (path !== 'model.safetensors') return bytes
      const copy = Buffer.from(bytes)
      copy[bytes.byteLength - 1]! ^= 1
      return copy
    }
    assert.match(
      (await rejection(resolveModel('me/tiny', hub.options))).message,
      /expected SHA-256 [0-9a-f]{64}, got .*; the damaged download is removed/,
    )
    hub.behaviour.damage = (_path, bytes) => bytes
    const path = await resolveModel('me/tiny', hub.options)
    assert.equal(await readFile(join(path, 'model.safetensors')), hub.files.get('model.safetensors'))
  })
})

test('refusals are said plainly', async () => {
  const cases: [number, string | undefined, RegExp][] = [
    [404, 'secret', /\[hub\] me\/tiny: not found on http.* \(revision main\)/],
    [401, undefined, /access denied by .* \(401\): it does not exist, is private or asks for consent; set HF_TOKEN/],
    [403, 'secret', /access denied .* the token in HF_TOKEN may not read it/],
    [503, 'secret', /failed with status 503 three times, and the model is not in the cache/],
  ]
  const before = process.env.HF_TOKEN
  delete process.env.HF_TOKEN
  try {
    for (const [status, token, expected] of cases) {
      await withHub(async (hub) => {
        hub.behaviour.status = () => status
        const { token: _secret, ...options } = hub.options
        const error = await rejection(resolveModel('me/tiny', token === undefined ? options : hub.options))
        assert.match(error.message, expected)
        assert.is(error.code, 'ERR_HUB')
      })
    }
  } finally {
    if (before !== undefined) process.env.HF_TOKEN = before
  }
})

test('a file that is refused is named', async () => {
  await withHub(async (hub) => {
    hub.behaviour.status = (url) => (url.endsWith('model.safetensors') ? 403 : undefined)
    assert.match(
      (await rejection(resolveModel('me/tiny', hub.options))).message,
      /me\/tiny\/model.safetensors: access denied .* 403/,
    )
    let failures = 2
    hub.behaviour.status = (url) => (url.endsWith('model.safetensors') && failures-- > 0 ? 503 : undefined)
    await resolveModel('me/tiny', hub.options)
  })
})

test('offline: the cache serves, and without it the error names the hub', async () => {
  await withHub(async (hub) => {
    const path = await resolveModel('me/tiny', hub.options)
    const offline = { ...hub.options, endpoint: 'http://127.0.0.1:9' }
    assert.is(await resolveModel('me/tiny', offline), path)
    const error = await rejection(resolveModel('me/other', offline))
    assert.match(
      error.message,
      /\[hub\] me\/other: cannot reach http:\/\/127.0.0.1:9 \(.+\), and the model is not in the cache/,
    )
  })
})

test('HF_ENDPOINT, HF_TOKEN and HF_HUB_CACHE are read', async () => {
  await withHub(async (hub) => {
    const before = { ...process.env }
    process.env.HF_ENDPOINT = hub.options.endpoint
    process.env.HF_TOKEN = 'other'
    process.env.HF_HUB_CACHE = join(hub.folder, 'elsewhere')
    try {
      const path = await resolveModel('me/tiny')
      assert.ok(path.startsWith(join(hub.folder, 'elsewhere')))
      assert.ok(hub.behaviour.requests.every((request) => request.authorization === 'Bearer other'))
    } finally {
      process.env = before
    }
  })
})

test('two at once fetch each byte once', async () => {
  await withHub(async (hub) => {
    const [a, b] = await Promise.all([resolveModel('me/tiny', hub.options), resolveModel('me/tiny', hub.options)])
    assert.is(a, b)
    const fetched = hub.behaviour.requests.filter((request) => request.url.endsWith('model.safetensors'))
    assert.is(fetched.length, 1)
  })
})

test('a lock that a killed process left does not block', async () => {
  await withHub(async (hub) => {
    const folder = join(hub.folder, 'cache', 'models--me--tiny', 'blobs')
    await mkdir(folder, { recursive: true })
    const name = sha256(hub.files.get('model.safetensors')!)
    await writeFile(join(folder, `${name}.lock`), String(process.pid))
    await resolveModel('me/tiny', hub.options)
    assert.not.ok((await blobs(hub)).some((entry) => entry.endsWith('.lock')))
  })
})

test('one GGUF of a repository that holds several', async () => {
  const ggufs = (files: Map<string, Buffer>) => {
    files.delete('model.safetensors')
    files.set('tiny.Q4_0.gguf', Buffer.from('four'))
    files.set('tiny.Q8_0.gguf', Buffer.from('eight'))
  }
  await withHub(async (hub) => {
    const path = await resolveModel('me/tiny/tiny.Q8_0.gguf', hub.options)
    assert.is(await readFile(path, 'utf8'), 'eight')
    assert.is((await stat(path)).isFile(), true)
    assert.match(
      (await rejection(resolveModel('me/tiny', hub.options))).message,
      /expected a choice between its GGUF files \("me\/tiny\/NAME.gguf"\)/,
    )
    assert.match(
      (await rejection(resolveModel('me/tiny/no.gguf', hub.options))).message,
      /expected a file no.gguf, the repository has/,
    )
  }, ggufs)
})

test('which files a model needs', () => {
  const names = (...paths: string[]) =>
    neededFiles(
      paths.map((path) => ({ path })),
      null,
      'me/x',
    ).map((entry) => entry.path)
  assert.equal(names('config.json', 'model.safetensors', 'pytorch_model.bin', 'README.md'), [
    'config.json',
    'model.safetensors',
  ])
  assert.equal(
    names(
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
      'consolidated.safetensors',
    ),
    [
      'config.json',
      'model-00001-of-00002.safetensors',
      'model-00002-of-00002.safetensors',
      'model.safetensors.index.json',
    ],
  )
  assert.equal(names('only.gguf', 'README.md'), ['only.gguf'])
  assert.throws(
    () => names('pytorch_model.bin'),
    /expected model.safetensors or a .gguf file, the repository has pytorch_model.bin/,
  )
})

test('local paths stay local; what is neither path nor id says so', async () => {
  await inTemporaryFolder(async (folder) => {
    assert.is(await resolveModel(folder), folder)
    for (const bad of ['./no/such', '/no/such', 'a/b/c', 'x', 'a/../b', '']) {
      assert.match(
        (await rejection(resolveModel(bad, { endpoint: 'http://127.0.0.1:9' }))).message,
        /\[hub\] expected a model's folder, a .gguf file or a hub id/,
      )
    }
  })
})

test.run()
