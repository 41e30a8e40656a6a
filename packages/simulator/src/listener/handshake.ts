import type { IncomingMessage } from 'node:http';
import type { Grant } from '../gemini/auth-tokens.ts';
import type { SessionConfig } from '../session/config.ts';

// What an upgrade request says, before anything is answered.

/** How an upgrade ends. A refused key still gets its 101: the error comes as an event, then the close. */
export type Verdict =
  | {
      kind: 'http';
      status: number;
      error: { message: string; type: string; code: string | null; param: string | null };
    }
  | { kind: 'close'; code: number; error: { message: string; code: string | null } | null; reason: string }
  /** A sideband of a call. */
  | { kind: 'attach'; callId: string }
  | {
      kind: 'open';
      type: 'realtime' | 'transcription';
      model: string;
      secret: SessionConfig | null;
      /** Whose wire it is, where it is not OpenAI's. */
      wire: 'openai' | 'xai' | 'gemini' | 'live';
      /** Of the token with which a session of Gemini was opened. */
      grant?: Grant;
    };

export interface Access {
  /** Whether an API key is good. */
  isKey: (key: string) => boolean;
  /** Uses a token of Gemini; a text says why it cannot be. */
  useToken: (name: string) => Grant | string;
  findSecret: (value: string) => SessionConfig | null;
  /** Models that exist; null: every name. */
  models: readonly string[] | null;
  /** Models that no key has access to. */
  deniedModels: readonly string[];
  defaultModel: string;
  /** Whether a call has that id. */
  isCall: (id: string) => boolean;
  /** Whether client secrets may attach to calls, as they could before September 2026. */
  secretsAttach: boolean;
}

/** Where each wire is found: OpenAI's, Azure's resource, and xAI's, which has OpenAI's path on a host of its own. */
const WIRES: ReadonlyMap<string, 'openai' | 'xai' | 'live'> = new Map([
  ['/v1/realtime', 'openai'],
  ['/openai/v1/realtime', 'openai'],
  ['/xai/v1/realtime', 'xai'],
  ['/v1/live/sessions', 'live'],
]);
/** One of its clients sends two slashes. */
const GEMINI_PATH =
  /^\/{1,2}ws\/google\.ai\.generativelanguage\.v1(?:alpha|beta)?\.GenerativeService\.BidiGenerateContent(?:Constrained)?$/u;
const KEY_PROTOCOL = 'openai-insecure-api-key.';

export function judge(request: IncomingMessage, access: Access): Verdict {
  const url = targetOf(request);
  if (GEMINI_PATH.test(url.pathname)) return judgeGemini(request, url, access);
  const wire = WIRES.get(url.pathname.replace(/\/+$/u, ''));
  if (!wire) {
    return http(404, `Invalid URL (GET ${url.pathname})`, null);
  }
  const callId = url.searchParams.get('call_id');
  const protocols = protocolsOf(request);
  if (request.headers['openai-beta']?.includes('realtime=v1') || protocols.includes('openai-beta.realtime-v1')) {
    const message = 'The Realtime Beta API is no longer available. Please use the GA Realtime API.';
    return close(4000, message, 'beta_api_shape_disabled');
  }
  const key = keyOf(request, protocols);
  if (key === null) {
    const message = 'Missing bearer or basic authentication in header';
    return {
      kind: 'close',
      code: 3000,
      error: { message, code: null },
      reason: 'invalid_request_error.missing_authentication',
    };
  }
  const secret = access.findSecret(key);
  if (!secret && (key.startsWith('ek_') || !access.isKey(key))) {
    return close(3000, `Incorrect API key provided: ${key.slice(0, 3)}***.`, 'invalid_api_key');
  }
  if (callId !== null && wire === 'openai') {
    if (access.isCall(callId) && (!secret || access.secretsAttach)) return { kind: 'attach', callId };
    return http(404, 'No session found for the provided call_id', 'call_id_not_found', '');
  }
  const model = url.searchParams.get('model') ?? secret?.model ?? access.defaultModel;
  if (access.deniedModels.includes(model)) {
    return http(403, `Project does not have access to model \`${model}\``, 'model_not_found');
  }
  if (access.models && !access.models.includes(model)) {
    return close(4000, `The model \`${model}\` does not exist or you do not have access to it.`, 'model_not_found');
  }
  const intent = url.searchParams.get('intent');
  const type = intent === 'transcription' || intent === 'realtime' ? intent : (secret?.type ?? 'realtime');
  return { kind: 'open', type, model, secret: secret?.type === type ? secret : null, wire };
}

/** Gemini takes every upgrade; a key that is not good ends the connection with a reason. */
function judgeGemini(request: IncomingMessage, url: URL, access: Access): Verdict {
  const header = request.headers['x-goog-api-key'];
  const open = { kind: 'open', type: 'realtime', model: access.defaultModel, secret: null, wire: 'gemini' } as const;
  if (url.pathname.endsWith('Constrained')) {
    const grant = access.useToken(url.searchParams.get('access_token') ?? '');
    return typeof grant === 'string' ? { kind: 'close', code: 1008, error: null, reason: grant } : { ...open, grant };
  }
  const key = (typeof header === 'string' ? header : null) ?? url.searchParams.get('key');
  if (key === null) {
    return {
      kind: 'close',
      code: 1008,
      error: null,
      reason: 'Method does not allow unregistered callers. Pass an API key.',
    };
  }
  if (!access.isKey(key)) {
    return { kind: 'close', code: 1007, error: null, reason: 'API key not valid. Please pass a valid API key.' };
  }
  return open;
}

/** Path and query of a request; what cannot be read is the root, which nothing answers. */
export function targetOf(request: IncomingMessage): URL {
  // A path with two slashes in front is a path here, not a host.
  return URL.parse(`http://localhost${request.url ?? '/'}`) ?? new URL('http://localhost/');
}

function http(status: number, message: string, code: string | null, param: string | null = null): Verdict {
  return { kind: 'http', status, error: { message, type: 'invalid_request_error', code, param } };
}

/** Fatal closes say `<type>.<code>` as their reason. */
function close(code: number, message: string, errorCode: string): Verdict {
  return { kind: 'close', code, error: { message, code: errorCode }, reason: `invalid_request_error.${errorCode}` };
}

export function protocolsOf(request: IncomingMessage): string[] {
  return (request.headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol !== '');
}

function keyOf(request: IncomingMessage, protocols: string[]): string | null {
  const bearer = bearerOf(request);
  if (bearer !== null) return bearer;
  const carrier = protocols.find((protocol) => protocol.startsWith(KEY_PROTOCOL));
  return carrier ? carrier.slice(KEY_PROTOCOL.length) : null;
}

/** The key of an `Authorization: Bearer` header (or of Azure's and Google's). */
export function bearerOf(request: IncomingMessage): string | null {
  const header = /^Bearer\s+(\S+)\s*$/iu.exec(request.headers.authorization ?? '')?.[1];
  const other = request.headers['api-key'] ?? request.headers['x-goog-api-key'];
  return header ?? (typeof other === 'string' && other !== '' ? other : null);
}
