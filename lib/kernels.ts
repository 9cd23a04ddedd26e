// The public `callgrad/kernels`: every op of the native table as a plain function on tensors, forward and backward,
// with no tape, and what a kernel needs beside tensors. `grpoLoss` takes the settings of GRPOConfig where the op has numbers.

export { makeRopeTable, type RopeConfig, ropeInverseFrequencies } from './nn/rope.js'
export { deviceCounters, h100LowerBound, type KernelCounts } from './tensor/counters.js'
export * from './tensor/ops.generated.js'
export { type GrpoLossOptions, type GrpoLossTensors, grpoLoss, grpoLossMetrics } from './train/losses/on-device.js'
