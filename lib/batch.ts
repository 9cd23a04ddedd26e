/** Packing: from token lists to rows, positions, attention segments and predictions. Host only, no tensors. */
export { completionRows, packGroups, packSequences } from './batch/pack.js'
export { type GroupLengths, type GroupPart, planGroups, planSequences } from './batch/plan.js'
export type {
  Completion,
  ItemizedBatch,
  PackedBatch,
  PromptGroup,
  RowRange,
  Segment,
  Sequence,
} from './batch/types.js'
