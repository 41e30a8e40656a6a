// What a control plane is told at the start: options of `startServer`, or the environment for `main.ts`.

import { LIMITS as CONTRACT_LIMITS, ParleyError, TIMES } from '@parley/core';
import { providersFromEnv } from '@parley/providers';
import { checkedTls, type TlsFiles, tlsOf } from './tls-config.ts';
import { type IceServerSettings, iceServers, iceServersOf, type MediaPorts, mediaPorts } from './rtc-config.ts';

export interface ProviderSettings {
  base_url: string;
  key?: string | undefined;
  /** PEM of an authority to trust besides the system's. */
  ca?: string | undefined;
  transcription_model?: string | undefined;
}

export interface ServerLimits {
  /** Sessions that are not closed. */
  sessions_max: number;
  /** Sockets of clients and agents together. */
  sockets_max: number;
  /** Event streams (SSE) that are open. */
  event_streams_max: number;
  /** Executions that are queued or running. */
  executions_max: number;
  /** Client secrets of the OpenAI door that are good at the same time. */
  client_secrets_max: number;
  body_bytes_max: number;
  /** Bytes that may wait for a slow client before its writer is paused, and before it is disconnected. */
  client_soft_bytes: number;
  client_hard_bytes: number;
  /** How long a slow client may hold the model back before it loses audio instead. */
  client_patience_ms: number;
  /** How often agents are to say that they are there, and after how much silence a link is taken for dead. */
  agent_heartbeat_ms: number;
  agent_lease_ms: number;
  /** How long the work and the handlers of a cut agent link, or of a restarted server, wait for the same instance. */
  agent_resume_ms: number;
  /** One frame of an agent. Its registration is the largest: an agent of 50,000 sessions sends about 30 MiB. */
  agent_frame_bytes_max: number;
  /** How long an offer may wait for its answer, and a call for its sideband to come back. */
  offer_ms: number;
  sideband_ms: number;
  /** How long ICE and DTLS may take, then the data channel; and how long media that broke off have to come back. */
  media_connect_ms: number;
  channel_open_ms: number;
  media_lost_ms: number;
  /** Calls whose media end here. */
  bridges_max: number;
}

export interface ServerOptions {
  host?: string | undefined;
  port?: number | undefined;
  /** Directory of the embedded database, or ':memory:'. */
  data?: string | undefined;
  /** Keys with every scope. More keys are made over HTTP and kept hashed. */
  keys?: string[] | undefined;
  providers?: Record<string, ProviderSettings> | undefined;
  /** Origins besides loopback ones whose pages may call. */
  allowed_origins?: string[] | undefined;
  /** STUN and TURN servers, for clients and for media that end here. */
  ice_servers?: IceServerSettings[] | undefined;
  /** UDP ports of media that end here: `50000-50999`, or one for all calls. Default: any. */
  rtc_ports?: string | undefined;
  /** The address whose sockets carry media. Default: `host`. */
  rtc_host?: string | undefined;
  /** Certificate chain and private key, PEM: then HTTPS and WSS are served, and nothing else. */
  tls?: TlsFiles | undefined;
  /** How long a drain waits for sessions and executions. */
  drain_ms?: number | undefined;
  limits?: Partial<ServerLimits> | undefined;
  log_level?: 'silent' | 'error' | 'warn' | 'info' | 'debug' | undefined;
}

export interface ServerConfig {
  host: string;
  port: number;
  data: string;
  keys: readonly string[];
  providers: Readonly<Record<string, ProviderSettings>>;
  allowed_origins: readonly string[];
  ice_servers: readonly IceServerSettings[];
  rtc: MediaPorts;
  tls: TlsFiles | null;
  drain_ms: number;
  limits: ServerLimits;
  log_level: NonNullable<ServerOptions['log_level']>;
}

export const DEFAULT_PORT = 7700;

const LIMITS: ServerLimits = {
  sessions_max: 10_000,
  sockets_max: 20_000,
  event_streams_max: 10_000,
  executions_max: 20_000,
  client_secrets_max: 100_000,
  body_bytes_max: CONTRACT_LIMITS.body_bytes_max,
  client_soft_bytes: 1024 * 1024,
  client_hard_bytes: 16 * 1024 * 1024,
  client_patience_ms: 3000,
  agent_heartbeat_ms: TIMES.agent_heartbeat_ms,
  agent_lease_ms: TIMES.agent_lease_ms,
  agent_resume_ms: TIMES.agent_resume_ms,
  agent_frame_bytes_max: CONTRACT_LIMITS.frame_bytes_max,
  offer_ms: TIMES.offer_ms,
  sideband_ms: TIMES.sideband_ms,
  media_connect_ms: TIMES.media_connect_ms,
  channel_open_ms: TIMES.channel_open_ms,
  media_lost_ms: 10_000,
  bridges_max: 500,
};

/** Completes and checks options. Throws ParleyError `failed_precondition` for an address that needs a key and has none. */
export function completeConfig(options: ServerOptions): ServerConfig {
  const host = options.host ?? '127.0.0.1';
  const keys = options.keys ?? [];
  if (!isLoopback(host) && keys.length === 0) {
    throw new ParleyError(
      'failed_precondition',
      `refusing to listen on ${host} without a key: set PARLEY_KEY (or --key-file), or listen on 127.0.0.1`,
      { details: { host } },
    );
  }
  const port = options.port ?? DEFAULT_PORT;
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ParleyError('invalid_argument', `port must be an integer from 0 to 65535, got ${String(options.port)}`);
  }
  for (const key of keys) {
    if (key.length < 16) throw new ParleyError('invalid_argument', 'a key must have at least 16 characters');
  }
  const drain_ms = options.drain_ms ?? 10_000;
  if (!(drain_ms >= 0)) throw new ParleyError('invalid_argument', `drain_ms must be 0 or more, got ${drain_ms}`);
  const limits = { ...LIMITS, ...options.limits };
  for (const [name, value] of Object.entries(limits)) {
    if (!Number.isInteger(value) || value < 1)
      throw new ParleyError('invalid_argument', `limits.${name} must be an integer of at least 1, got ${value}`);
  }
  return {
    host,
    port,
    data: options.data ?? '.parley',
    keys,
    providers: options.providers ?? {},
    allowed_origins: options.allowed_origins ?? [],
    ice_servers: iceServers(options.ice_servers ?? []),
    rtc: mediaPorts(options.rtc_host ?? host, options.rtc_ports),
    tls: options.tls ? checkedTls(options.tls) : null,
    drain_ms,
    limits,
    log_level: options.log_level ?? 'info',
  };
}

/** Options from the environment, as `main.ts` and `parley serve` read them. */
export function optionsFromEnv(env: NodeJS.ProcessEnv): ServerOptions {
  const options: ServerOptions = { providers: providersFromEnv(env) };
  if (env['PARLEY_HOST']) options.host = env['PARLEY_HOST'];
  if (env['PARLEY_PORT']) options.port = Number(env['PARLEY_PORT']);
  if (env['PARLEY_DATA']) options.data = env['PARLEY_DATA'];
  if (env['PARLEY_KEY']) options.keys = [env['PARLEY_KEY']];
  if (env['PARLEY_ALLOWED_ORIGINS'])
    options.allowed_origins = env['PARLEY_ALLOWED_ORIGINS'].split(',').map((one) => one.trim());
  if (env['PARLEY_ICE_SERVERS']) options.ice_servers = iceServersOf(env['PARLEY_ICE_SERVERS']);
  if (env['PARLEY_RTC_PORTS']) options.rtc_ports = env['PARLEY_RTC_PORTS'];
  if (env['PARLEY_RTC_HOST']) options.rtc_host = env['PARLEY_RTC_HOST'];
  const tls = tlsOf(env['PARLEY_TLS_CERT'], env['PARLEY_TLS_KEY']);
  if (tls) options.tls = tls;
  if (env['PARLEY_LIMITS']) options.limits = limitsOf(env['PARLEY_LIMITS']);
  if (env['PARLEY_DRAIN_MS']) options.drain_ms = Number(env['PARLEY_DRAIN_MS']);
  const level = env['PARLEY_LOG_LEVEL'];
  if (level !== undefined) options.log_level = logLevel(level);
  return options;
}

/** `sessions_max=100,agent_resume_ms=5000` */
function limitsOf(text: string): Partial<ServerLimits> {
  const limits: Partial<ServerLimits> = {};
  for (const one of text.split(',')) {
    const [name = '', value = ''] = one.split('=').map((part) => part.trim());
    if (!Object.hasOwn(LIMITS, name)) {
      const known = Object.keys(LIMITS).sort().join(', ');
      throw new ParleyError('invalid_argument', `PARLEY_LIMITS knows ${known}; got '${name}'`);
    }
    limits[name as keyof ServerLimits] = value === '' ? Number.NaN : Number(value);
  }
  return limits;
}

const LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const;

function logLevel(value: string): ServerConfig['log_level'] {
  const level = LEVELS.find((one) => one === value);
  if (!level)
    throw new ParleyError('invalid_argument', `PARLEY_LOG_LEVEL must be one of ${LEVELS.join(', ')}; got '${value}'`);
  return level;
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host === '[::1]' || /^127(?:\.\d{1,3}){3}$/.test(host);
}
