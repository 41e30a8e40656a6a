// the server
export {
  DEFAULT_PORT,
  optionsFromEnv,
  type ProviderSettings,
  type ServerLimits,
  type ServerOptions,
} from './config.ts';
export type { IceServerSettings } from './rtc-config.ts';
export { type RunningServer, startServer } from './server.ts';
