import { newId, ParleyError } from '@parley/core';
import type { MediaDriver } from '@parley/media';
import type { WebSocket } from 'ws';
import type { SimulatorCall } from './call/call.ts';
import { Calls } from './call/calls.ts';
import { Chat } from './chat/chat.ts';
import type { SimulatorTurn } from './chat/log.ts';
import { type Clock, REAL_CLOCK } from './clock.ts';
import { findEspeak } from './espeak.ts';
import { FaultPlan } from './faults.ts';
import { DEFAULT_LIMITS, type SimulatorLimits } from './limits.ts';
import { AuthTokens } from './gemini/auth-tokens.ts';
import { type FrontOptions, GeminiFront } from './gemini/front.ts';
import { Resumable } from './gemini/resumable.ts';
import { LiveFront } from './live/front.ts';
import { ClientSecrets } from './listener/client-secrets.ts';
import type { Verdict } from './listener/handshake.ts';
import { type Door, listen, type Listener } from './listener/listener.ts';
import { selfSigned } from './listener/tls.ts';
import { DEFAULT_SCRIPT, type Script } from './script.ts';
import { DEFAULT_MODEL, newConfig, type SessionConfig } from './session/config.ts';
import { Connection } from './session/connection.ts';
import { type Line, socketLine } from './session/line.ts';
import { Session, type SimulatorSession } from './session/session.ts';
import { XaiDialect } from './xai/dialect.ts';
import type { Wire } from './wire.ts';
import { Voice, type VoiceChoice } from './voice.ts';

const SESSION_MS = 60 * 60_000;
const PACE = 8;

/** What `startSimulator` may be told. */
export interface SimulatorOptions {
  /** Address to listen on. Default 127.0.0.1. */
  host?: string;
  /** Port for http and ws. Default 0: any. */
  port?: number;
  /** Port for https and wss. Default null: none; 0: any. */
  tlsPort?: number | null;
  /** Accepted API keys. Default: every key that does not start with `sk-invalid`. */
  keys?: string[];
  /** Models that exist. Default: every name. */
  models?: string[];
  /** Models that no key has access to: 403 at the upgrade. Default: none. */
  deniedModels?: string[];
  /** What the model says and calls. Default: it repeats what it heard. */
  script?: Script;
  /** How answers sound. Default `auto`. */
  voice?: VoiceChoice;
  /** Audio is delivered at most this many times faster than real time. Default 8; Infinity: at once. */
  pace?: number;
  /** Time. Default: the machine's. */
  clock?: Clock;
  /** Length of a session in milliseconds, after which it expires. Default 60 minutes. */
  sessionMaxMs?: number;
  limits?: Partial<SimulatorLimits>;
  /** What answers WebRTC offers. Default: node-datachannel where it loads, else werift. */
  mediaDriver?: MediaDriver;
  /** Whether client secrets may attach a sideband, as they could before September 2026. Default false. */
  secretsAttach?: boolean;
}

/** A running simulator. */
export interface Simulator extends AsyncDisposable {
  /** `http://127.0.0.1:PORT` */
  readonly url: string;
  /** `ws://127.0.0.1:PORT/v1/realtime` */
  readonly wsUrl: string;
  /** The TLS side, where one was asked for; `ca` is the PEM to trust. */
  readonly tls?: { readonly url: string; readonly wsUrl: string; readonly ca: string };
  /** The live sessions. */
  sessions(): SimulatorSession[];
  /** The live calls: sessions over WebRTC. */
  calls(): SimulatorCall[];
  /** The chat completions that were asked for, the last 256. */
  turns(): SimulatorTurn[];
  /** Faults to come. */
  readonly faults: FaultPlan;
  /** Cuts every session and stops listening. */
  close(): Promise<void>;
}

/**
 * Starts a realtime model provider on this machine. Clients of OpenAI's Realtime API work with it as they are: give
 * them its URL and any key.
 *
 * @example
 * await using simulator = await startSimulator({ script: parseScript('otherwise: "You said: {{heard}}"') });
 * const socket = new WebSocket(`${simulator.wsUrl}?model=gpt-realtime-2.1`, ['realtime', 'openai-insecure-api-key.any']);
 */
export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const { host = '127.0.0.1', pace = PACE, sessionMaxMs = SESSION_MS, clock = REAL_CLOCK } = options;
  if (!(pace > 0)) throw new ParleyError('invalid_argument', `pace must be more than 0, got ${pace}`);
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const choice = options.voice ?? 'auto';
  const voice = new Voice(choice, choice !== 'coded' && (await findEspeak()));
  const faults = new FaultPlan();
  const sessions = new Set<Session>();
  const resumable = new Resumable();
  const secrets = new ClientSecrets(clock, limits.secrets, sessionMaxMs);
  const tokens = new AuthTokens(clock, limits.secrets);
  const { keys } = options;
  const script = options.script ?? DEFAULT_SCRIPT;
  const expiresAt = () => Math.floor((clock.now() + sessionMaxMs) / 1000);
  const shared = { script, voice, clock, faults, pace, maxMs: sessionMaxMs, limits };
  const calls = new Calls({
    host,
    driver: options.mediaDriver,
    clock,
    faults,
    limits,
    shared,
    began: (session) => sessions.add(session),
    ended: (session) => sessions.delete(session),
  });
  const isKey = (key: string) => (keys ? keys.includes(key) : !key.startsWith('sk-invalid'));
  const models = options.models ?? null;
  const deniedModels = options.deniedModels ?? [];
  const turnsMax = limits.turns;
  const chat = new Chat({ script, voice, clock, faults, pace, isKey, models, deniedModels, turnsMax });
  const door: Door = {
    chat,
    secrets,
    tokens,
    faults,
    clock,
    access: {
      isKey,
      useToken: (name) => tokens.use(name),
      findSecret: (value) => secrets.find(value),
      models,
      deniedModels,
      defaultModel: DEFAULT_MODEL,
      isCall: (id) => calls.find(id) !== null,
      secretsAttach: options.secretsAttach ?? false,
    },
    calls,
    expiresAt,
    hasRoom: () => sessions.size < limits.sessions,
    open: (socket, verdict) => {
      const config = configFor(verdict, expiresAt());
      const occasion = { session: config.id, model: config.model };
      const bridge = {
        clock,
        deliver: (event: Wire) => session.receive(Buffer.from(JSON.stringify(event)), false),
        send: (message: Wire) => connection.sendRaw(JSON.stringify(message)),
        close: (code: number, reason: string) => connection.close(code, reason),
      };
      const gemini = {
        pace,
        max_ms: sessionMaxMs,
        items: () => session.items(),
        resumable,
        grant: verdict.grant ?? null,
      };
      const front = frontOf(verdict.wire, bridge, gemini, config.expires_at);
      const dialect = verdict.wire === 'xai' ? new XaiDialect() : front;
      const connection = new Connection({ occasion, faults, clock, limits, dialect });
      const line = socketLine(socket);
      connection.attach(line);
      const session = new Session({ ...shared, connection, config, playout: null, dialect });
      sessions.add(session);
      attach(socket, line, session, front, faults, clock, () => sessions.delete(session));
    },
  };
  const listeners: Listener[] = [];
  const plain = await listen(host, options.port ?? 0, null, door);
  listeners.push(plain);
  const shown = host.includes(':') ? `[${host}]` : host;
  let tls: Simulator['tls'];
  if (options.tlsPort !== undefined && options.tlsPort !== null) {
    const certificate = await selfSigned(host);
    const secure = await listen(host, options.tlsPort, certificate, door).catch(async (error: unknown) => {
      await plain.close();
      throw error;
    });
    listeners.push(secure);
    const at = `${shown}:${secure.port}`;
    tls = { url: `https://${at}`, wsUrl: `wss://${at}/v1/realtime`, ca: certificate.cert };
  }
  const close = async () => {
    await calls.close();
    for (const session of sessions) session.end();
    sessions.clear();
    await Promise.all(listeners.map((listener) => listener.close()));
  };
  const at = `${shown}:${plain.port}`;
  return {
    url: `http://${at}`,
    wsUrl: `ws://${at}/v1/realtime`,
    ...(tls ? { tls } : {}),
    sessions: () => [...sessions],
    calls: () => calls.all(),
    turns: () => [...chat.log.turns],
    faults,
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** A session begins with the defaults, or with what was frozen into its secret; its id is its own in both cases. */
function configFor({ type, model, secret }: Verdict & { kind: 'open' }, expiresAt: number): SessionConfig {
  const fresh = newConfig(type, newId('session'), model, expiresAt);
  return secret ? { ...structuredClone(secret), id: fresh.id, model, expires_at: expiresAt } : fresh;
}

type Bridge = 'clock' | 'deliver' | 'send' | 'close';

/** What stands between a session and a wire that is not of OpenAI Realtime's shape. */
function frontOf(
  wire: string,
  bridge: Pick<FrontOptions, Bridge>,
  gemini: Omit<FrontOptions, Bridge>,
  expires_at: number,
): GeminiFront | LiveFront | undefined {
  if (wire === 'gemini') return new GeminiFront({ ...bridge, ...gemini });
  if (wire === 'live') return new LiveFront({ ...bridge, expires_at });
  return undefined;
}

function attach(
  socket: WebSocket,
  line: Line,
  session: Session,
  front: GeminiFront | LiveFront | undefined,
  faults: FaultPlan,
  clock: Clock,
  gone: () => void,
): void {
  socket.on('message', (data, binary) => (front ? front.receive(data as Buffer) : session.receive(data, binary)));
  socket.on('close', () => {
    front?.end();
    session.end();
    gone();
  });
  const fault = faults.take('connected', { model: session.model, session: session.id });
  if (fault?.kind === 'delay') {
    clock.after(fault.ms, () => session.begin(line));
    return;
  }
  // A frame out of the blue comes before anything else; the other faults strike in place of the greeting.
  if (fault) session.strike(fault);
  if (!fault || fault.kind === 'frame' || fault.kind === 'stall' || fault.kind === 'rate_limit') session.begin(line);
}
