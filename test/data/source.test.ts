import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parquetMetadata } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { loadDataset } from '../../lib/data/load.js'
import { BadRecord } from '../../lib/data/problems.js'
import { LineSplitter, maxRecordBytes, type Splitter } from '../../lib/data/source/lines.js'
import { ListSplitter } from '../../lib/data/source/list.js'
import { openSource } from '../../lib/data/source/open.js'
import { inTemporaryFolder } from '../formats/support.js'

const encode = (text: string) => new TextEncoder().encode(text)

/** What a splitter makes of a text that arrives in chunks of a size. */
function split(splitter: Splitter, text: string, size: number): string[] {
  const bytes = encode(text)
  const pieces = []
  for (let at = 0; at < bytes.length; at += size) pieces.push(...splitter.push(bytes.slice(at, at + size)))
  pieces.push(...splitter.end())
  return pieces.map(({ line, content }) => {
    const shown = content instanceof BadRecord ? `! ${content.message}` : new TextDecoder().decode(content).trim()
    return `${line} ${shown}`
  })
}

test('lines and list items come out the same however the file is cut into chunks', () => {
  const lines = '{"é": 1}\r\n\n  \n{"b": "x\\"y"}\nlast €'
  const list = '\ufeff [{"a": "],[\\\\\\"{"}, [1, [2]], "s\\\\", 4 ,\n{"é": {"€": []}} ]\n'
  const ended = '2 ! expected "," or "]" after a record of the list, got the end of the file'
  for (let size = 1; size <= 40; size++) {
    assert.equal(split(new LineSplitter(), lines, size), ['1 {"é": 1}', '4 {"b": "x\\"y"}', '5 last €'])
    assert.equal(split(new ListSplitter(), list, size), [
      '1 {"a": "],[\\\\\\"{"}',
      '2 [1, [2]]',
      '3 "s\\\\"',
      '4 4',
      '5 {"é": {"€": []}}',
    ])
    assert.equal(split(new ListSplitter(), '[]', size), [])
    assert.equal(split(new ListSplitter(), '[1,]', size), ['1 1'])
    assert.equal(split(new ListSplitter(), '[1}, {"a": 2}]', size), ['1 1}', '2 {"a": 2}'])
    assert.equal(split(new ListSplitter(), '[{"a": 1}', size), ['1 {"a": 1}', ended])
    assert.equal(split(new ListSplitter(), '[1] [2]', size), [
      '1 1',
      '2 ! expected the end of the file after the list, got more',
    ])
  }
})

test('a record larger than the limit is passed over without being kept', () => {
  const splitter = new LineSplitter()
  const chunk = new Uint8Array(8 * 2 ** 20).fill(0x20)
  const pieces = splitter.push(encode('{"a": '))
  for (let i = 0; i <= maxRecordBytes / chunk.length; i++) pieces.push(...splitter.push(chunk))
  pieces.push(...splitter.push(encode('1}\n{"b": 2}\n')), ...splitter.end())
  assert.is(pieces.length, 2)
  const [first] = pieces
  assert.ok(first?.content instanceof BadRecord && first.content.kind === 'size')
  assert.is(new TextDecoder().decode(pieces[1]?.content as Uint8Array), '{"b": 2}')
})

const call = '[{"name": "f", "arguments": {"a": 1.0}}]'
const xlamColumns = (count: number) => {
  const column = (make: (i: number) => unknown) => Array.from({ length: count }, (_, i) => make(i))
  return [
    { name: 'id', data: column((i) => BigInt(i)), type: 'INT64' as const },
    { name: 'query', data: column((i) => `question ${i}`), type: 'STRING' as const },
    { name: 'tools', data: column(() => '[{"name": "f"}]'), type: 'STRING' as const },
    { name: 'answers', data: column(() => call), type: 'STRING' as const },
  ]
}

test('parquet: row groups in order, columns of text and of numbers', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'x.parquet')
    writeFileSync(path, Buffer.from(parquetWriteBuffer({ columnData: xlamColumns(25), rowGroupSize: 10 })))
    const { examples, report } = await loadDataset(path)
    assert.equal(
      examples.map(({ id }) => id),
      Array.from({ length: 25 }, (_, i) => String(i)),
    )
    assert.is(examples[7]?.truth, call)
    assert.equal(report.problems, [])
  })
})

test('parquet: a damaged row group costs its rows only', async () => {
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'x.parquet')
    const bytes = Buffer.from(parquetWriteBuffer({ columnData: xlamColumns(30), rowGroupSize: 10 }))
    const metadata = parquetMetadata(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
    const second = Number(metadata.row_groups[1]?.columns[1]?.meta_data?.data_page_offset)
    assert.ok(second > 0)
    bytes.fill(0xff, second, second + 40)
    writeFileSync(path, bytes)
    const { examples, report } = await loadDataset(path)
    assert.is(examples.length, 20)
    assert.is(report.problems.length, 1)
    assert.is(report.problems[0]?.line, 11)
    assert.match(report.problems[0]?.reason ?? '', /rows 11 to 20 cannot be read/)
  })
})

test('parquet: nested columns keep the kind of numbers, and lose the nulls that structs add', async () => {
  const messages = [
    [
      { role: 'user', content: 'q', score: null },
      { role: 'assistant', content: 'a', score: 2 },
    ],
    [{ role: 'user', content: 'q2', score: 1 }],
  ]
  const element = (name: string, type: 'DOUBLE' | 'BYTE_ARRAY') => ({
    name,
    type,
    repetition_type: 'OPTIONAL' as const,
    ...(type === 'BYTE_ARRAY' && { converted_type: 'UTF8' as const }),
  })
  const bytes = parquetWriteBuffer({
    columnData: [{ name: 'messages', data: messages }],
    schema: [
      { name: 'root', num_children: 1 },
      { name: 'messages', repetition_type: 'OPTIONAL', converted_type: 'LIST', num_children: 1 },
      { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
      { name: 'element', repetition_type: 'OPTIONAL', num_children: 3 },
      element('role', 'BYTE_ARRAY'),
      element('content', 'BYTE_ARRAY'),
      element('score', 'DOUBLE'),
    ],
  })
  await inTemporaryFolder(async (folder) => {
    const path = join(folder, 'm.parquet')
    writeFileSync(path, Buffer.from(bytes))
    const { printJson } = await import('../../lib/text/json-print.js')
    const texts: string[] = []
    for await (const { records } of (await openSource(path)).batches())
      texts.push(...records.map((record) => printJson(record.read())))
    assert.equal(texts, [
      '{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "score": 2.0}]}',
      '{"messages": [{"role": "user", "content": "q2", "score": 1.0}]}',
    ])
    assert.is((await loadDataset(path)).examples[0]?.reply, 'a')
  })
})

test.run()
