import type { OpsFlags } from '../bench.js'
import { compareReports, formatComparison, readReport } from './op-compare.js'
import { formatOpBench, markdownOpBench } from './op-table.js'
import { benchOps } from './ops.js'
import { writeRooflinePage } from './roofline-page.js'

/** `callgrad bench ops`; a refused op makes the exit code 1. */
export async function runOpsCommand(o: OpsFlags, dtype: 'auto' | 'f32' | 'bf16'): Promise<void> {
  const before = o.compare === undefined ? null : readReport(o.compare)
  const report = await benchOps({
    device: o.device,
    ...(o.op && { ops: o.op }),
    ...(dtype !== 'auto' && { dtypes: [dtype] }),
    ...(o.seconds !== undefined && { seconds: o.seconds }),
  })
  const changes = before && compareReports(before, report)
  if (o.html !== undefined) writeRooflinePage(o.html, report)
  if (o.json) console.log(JSON.stringify(changes ? { ...report, changes } : report))
  else if (o.markdown) console.log(markdownOpBench(report))
  else {
    console.log(formatOpBench(report))
    if (changes) console.log(`\n${formatComparison(changes, report.roofs ? 'µs' : 'bytes')}`)
  }
  if (o.html !== undefined && !o.json && !o.markdown) console.log(`\n  ${o.html} draws it`)
  if (report.refused.length > 0) process.exitCode = 1
}
