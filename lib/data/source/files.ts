import type { HubProgress } from '../../formats/hub.js'
import { isHubId, resolveDataset } from '../../formats/hub-dataset.js'
import { exists } from '../../formats/io.js'

/** The files of a data set: a file as it is, or those of a hub id (`owner/name`, `owner/name/file.jsonl`), downloaded first. */
export async function datasetFiles(path: string, onProgress?: (progress: HubProgress) => void): Promise<string[]> {
  if ((await exists(path)) || !isHubId(path)) return [path]
  return resolveDataset(path, { ...(onProgress && { onProgress }) })
}
