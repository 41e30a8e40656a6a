export type {
  MediaCounts,
  ModelClosed,
  ModelConfig,
  ModelConnection,
  ModelMedia,
  ModelSessionOptions,
  RealtimeModel,
} from './port.ts';
