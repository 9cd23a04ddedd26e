// The public entry point `callgrad`.

export { type BuildOptions, type BuildResult, buildDataset } from './data/build.js'
export type { Example, Message, Tool } from './data/example.js'
export { type Dataset, type DatasetOptions, type DatasetReport, loadDataset } from './data/load.js'
export type { CodedError } from './errors.js'
export { type EndpointEvalReport, type EndpointEvalSettings, evaluateEndpoint } from './eval/endpoint.js'
export { type EvalSettings, evaluate } from './eval/evaluate.js'
export type { EvalReport } from './eval/exact-match.js'
export type { Estimate } from './eval/intervals.js'
export { createModel, loadModel, type Model, type ModelOptions } from './model.js'
export type { DecoderConfig } from './nn/config.js'
export { mustEnd } from './reward/ended.js'
export { type CallMatch, matchToolCalls, type ToolCall, type Truth } from './reward/match.js'
export { type ParsedReply, parseToolCalls, type Variant } from './reward/parse.js'
export { callOverlap, type PartialCredit, partialCreditReward } from './reward/partial.js'
export { scoreToolCalls, type ToolCallScore, toolCallReward } from './reward/tool-call.js'
export type { RewardFunction, RewardResult, RewardSample, Score, WeightedReward } from './reward/types.js'
export {
  type DistillSettings,
  type DistillStats,
  distill,
  distillStats,
  type Lesson as DistilledLesson,
} from './rollout/distill/distill.js'
export { Endpoint, type OpenEndpointOptions as EndpointOptions } from './rollout/endpoint/endpoint.js'
export type { ChatAnswer, ChatRequest } from './rollout/endpoint/types.js'
export type { Rollout, RolloutEngine, RolloutProgress, SamplingSettings } from './rollout/types.js'
export { type Device, device, devices } from './tensor/device.js'
export { keep, scope } from './tensor/scope.js'
export { type DType, type Tensor, type TensorOptions, tensor } from './tensor/tensor.js'
export type { GRPOConfig, GRPOOptions, SFTConfig, SFTOptions } from './train/config.js'
export {
  type ExternalRollout,
  GRPOTrainer,
  type GRPOTrainerOptions,
  type PromptCodec,
  type RewardOption,
  type RolloutHook,
  type RolloutPrompt,
} from './train/grpo.js'
export type { Evaluate, OnStep, StepReport, TrainSummary } from './train/loop.js'
export { writeReport } from './train/report.js'
export { type Lesson, type LessonEncoder, SFTTrainer, type SFTTrainerOptions } from './train/sft.js'
