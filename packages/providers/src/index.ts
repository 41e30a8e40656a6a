// models
export { createModel } from './registry.ts';
export type { Dial } from './openai/model.ts';
export type {
  MediaCounts,
  ModelCall,
  ModelClosed,
  ModelConfig,
  ModelConnection,
  ModelMedia,
  ModelOwner,
  ModelSessionOptions,
  RealtimeModel,
} from './port.ts';
export { renewing } from './renewing/model.ts';
export type { RenewalSettings } from './renewing/connection.ts';
export type { ReconnectSettings } from './renewing/retries.ts';
export { openSuccessor, type Successor } from './renewing/successor.ts';
export { History, type HistoryLimits } from './renewing/history.ts';
// what the environment says of them
export { PROVIDER_ENVIRONMENT, type ProviderEnvironment, providersFromEnv } from './environment.ts';
// what clients may send
export { type ClientFrameVerdict, clientFrameProblem } from './client-frame.ts';
