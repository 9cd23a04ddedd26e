import { basename } from 'node:path'
import { SampleReader } from './reader.js'
import { type DataFormat, toLine } from './sample.js'
import { datasetFiles } from './source/files.js'
import { openSource } from './source/open.js'

/**
 * Samples of a data set with replies to teach, as lines of a built file: tools, turns and right calls as the data has them, so that any
 * prompt format can still be chosen when they are read. The data is read again, for examples have a prompt format already.
 *
 * @param replies replies by the ids that `loadDataset` gives; the lines come in their order
 */
export async function linesWithReplies(
  path: string,
  replies: ReadonlyMap<string, string>,
  format?: DataFormat,
): Promise<string[]> {
  // What cannot be read was reported when the examples were loaded.
  const reader = new SampleReader({ ...(format && { format }), onProblem: () => {} })
  const lines = new Map<string, string>()
  for (const file of await datasetFiles(path)) {
    const { batches } = await openSource(file)
    for await (const { records } of batches()) {
      for (const raw of records) {
        for (const sample of reader.read(basename(file), raw).samples) {
          const reply = replies.get(sample.id)
          if (reply !== undefined) lines.set(sample.id, toLine({ ...sample, reply }))
        }
      }
    }
  }
  return [...replies.keys()].flatMap((id) => lines.get(id) ?? [])
}
