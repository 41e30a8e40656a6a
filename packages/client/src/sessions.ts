// Sessions over HTTP: start, look, speak, follow, end.

import type {
  CallResource,
  EventList,
  EventRecord,
  ExecutionResource,
  IceServer,
  InjectRequest,
  OfferRequest,
  OfferResponse,
  SayResponse,
  SessionList,
  SessionResource,
  SessionStatus,
  StartRequest,
  StartResponse,
  TurnResponse,
  UpdateRequest,
  WorkflowResource,
} from '@parley/core';
import type { Http } from './http.ts';
import { type TailOptions, tailSession } from './tail.ts';
import { streamTurn, type TurnInput, type TurnOptions, type TurnPart, turnRequest } from './turn.ts';

export interface RequestOptions {
  /** How long one try may take, in milliseconds; the client's own `timeoutMs` when it is left out. */
  timeoutMs?: number | undefined;
  signal?: AbortSignal | undefined;
}

export interface KeyedRequestOptions extends RequestOptions {
  /** The same key twice is one request: with it a failed request is retried. */
  idempotencyKey?: string | undefined;
}

export interface SessionFilter {
  status?: SessionStatus | undefined;
  /** Name of the agent. */
  agent?: string | undefined;
  /** `agent.session`. */
  target?: string | undefined;
  /** Sessions in one page. */
  limit?: number | undefined;
  cursor?: string | undefined;
}

export interface EventPage {
  events: EventRecord[];
  /** Number of the newest entry of the whole log. */
  last_seq: number;
  has_more: boolean;
}

export class Sessions {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  /**
   * Starts a session of `target` (`agent.session`).
   *
   * @throws ParleyError `not_found` when no agent declares it, `failed_precondition` or `invalid_argument` when the
   * request asks for another provider or transport than declared, `resource_exhausted` at a limit.
   * @example
   * const session = await parley.sessions.start('support.voice', { metadata: { order: '42' } });
   */
  start(target: string, request: StartRequest = {}, options: KeyedRequestOptions = {}): Promise<StartResponse> {
    return this.#http.json('POST', `/api/v1/sessions/${encodeURIComponent(target)}/start`, {
      ...options,
      body: request,
    });
  }

  /** One page of sessions, newest first. */
  list(filter: SessionFilter = {}, options: RequestOptions = {}): Promise<SessionList> {
    return this.#http.json('GET', '/api/v1/sessions', { ...options, query: { ...filter } });
  }

  /** Every session that the filter lets through, page after page. */
  async *all(filter: SessionFilter = {}, options: RequestOptions = {}): AsyncGenerator<SessionResource> {
    let cursor = filter.cursor;
    do {
      const page = await this.list({ ...filter, cursor }, options);
      yield* page.sessions;
      cursor = page.next_cursor;
    } while (cursor !== undefined);
  }

  get(id: string, options: RequestOptions = {}): Promise<SessionResource> {
    return this.#http.json('GET', sessionPath(id), options);
  }

  /** Ends a session. Ending one that has ended changes nothing. `keepalive` lets it outlive the page that asks. */
  close(id: string, reason?: string, options: RequestOptions & { keepalive?: boolean } = {}): Promise<SessionResource> {
    const body = reason === undefined ? {} : { reason };
    return this.#http.json('POST', sessionPath(id, 'close'), { ...options, body, repeatable: true });
  }

  /**
   * Offers a WebRTC call and resolves with the answer, both as SDP with all of their addresses. A newer offer takes over
   * from an older call of the session.
   *
   * @throws ParleyError `invalid_argument` for an offer that cannot be answered, `failed_precondition` when the session
   * declares another transport or is over, and the provider's failure with `details.boundary`.
   */
  async offer(id: string, sdp: string, options: RequestOptions = {}): Promise<string> {
    const body: OfferRequest = { sdp };
    const answer = await this.#http.json<OfferResponse>('POST', sessionPath(id, 'realtime-offer'), {
      ...options,
      body,
    });
    return answer.answer_sdp;
  }

  /** STUN and TURN servers for a WebRTC call of the session, as `RTCPeerConnection` takes them. */
  async iceServers(id: string, options: RequestOptions = {}): Promise<IceServer[]> {
    return (await this.#http.json<CallResource>('GET', sessionPath(id, 'realtime-call'), options)).ice_servers;
  }

  /**
   * Has the provider speak `text`; resolves when it was heard or cut, so it may take as long as the speech. With an
   * `idempotencyKey` it is asked again after a lost answer, and said once.
   */
  say(id: string, text: string, options: KeyedRequestOptions = {}): Promise<SayResponse> {
    const timeoutMs = options.timeoutMs ?? SAY_TIMEOUT_MS;
    return this.#http.json('POST', sessionPath(id, 'say'), { ...options, timeoutMs, body: { text } });
  }

  /** Puts text into the conversation without speaking it; `respond` asks for an answer to it. */
  inject(id: string, text: string, options: KeyedRequestOptions & { respond?: boolean } = {}): Promise<void> {
    const { respond, ...request } = options;
    const body: InjectRequest = respond === undefined ? { text } : { text, respond };
    return this.#http.json('POST', sessionPath(id, 'inject'), { ...request, body });
  }

  /** Changes what the model is told, from the next answer on. */
  update(id: string, change: UpdateRequest, options: KeyedRequestOptions = {}): Promise<SessionResource> {
    return this.#http.json('POST', sessionPath(id, 'update'), { ...options, body: change });
  }

  /**
   * Calls a tool of the session, as its model could: the allowlist holds. Resolves with the execution once it ended,
   * whatever its `status`.
   *
   * @throws ParleyError `permission_denied` for a tool that is not of this session.
   */
  tool(
    id: string,
    tool: string,
    call: { input?: unknown; target?: string; callId?: string } = {},
    options: KeyedRequestOptions = {},
  ): Promise<ExecutionResource> {
    const body: Record<string, unknown> = {};
    if (call.input !== undefined) body['input'] = call.input;
    if (call.target !== undefined) body['target'] = call.target;
    if (call.callId !== undefined) body['call_id'] = call.callId;
    const timeoutMs = options.timeoutMs ?? CALL_TIMEOUT_MS;
    return this.#http.json('POST', sessionPath(id, `tools/${encodeURIComponent(tool)}`), {
      ...options,
      timeoutMs,
      body,
    });
  }

  /**
   * Says a whole turn and resolves with the answer to it: for sessions that are declared with `audio_turns`. One turn
   * at a time; an abort ends the answer at the provider.
   *
   * @throws ParleyError `aborted` while another turn is answered, `failed_precondition` for a session of another
   * transport, `deadline_exceeded`, and what the provider failed with.
   * @example
   * const answer = await parley.sessions.turn(id, { audio: await readFile('question.wav') });
   * await writeFile('answer.wav', turnSound(answer) ?? new Uint8Array());
   */
  async turn(id: string, turn: TurnInput, options: TurnOptions = {}): Promise<TurnResponse> {
    const { replyFormat, ...request } = options;
    const timeoutMs = options.timeoutMs ?? TURN_TIMEOUT_MS;
    return this.#http.json('POST', sessionPath(id, 'turns'), {
      ...request,
      timeoutMs,
      body: turnRequest(turn, replyFormat),
    });
  }

  /**
   * As {@link Sessions.turn}, with the answer as it is made: entries of the log, words, sound, and the answer at the end.
   * Leaving the loop ends the answer at the provider.
   */
  turnStream(id: string, turn: TurnInput, options: RequestOptions = {}): AsyncGenerator<TurnPart> {
    return streamTurn(this.#http, sessionPath(id, 'turns'), turnRequest(turn, undefined), options);
  }

  /** One page of the log after entry `after`. */
  async events(
    id: string,
    page: { after?: number | undefined; limit?: number | undefined } = {},
    options: RequestOptions = {},
  ): Promise<EventPage> {
    const list = await this.#http.json<EventList>('GET', sessionPath(id, 'events'), { ...options, query: { ...page } });
    return { ...list, events: list.events as EventRecord[] };
  }

  /**
   * Follows the log live until `session.closed`, reconnecting after the last entry that came.
   *
   * @throws ParleyError `not_found`, `permission_denied` …, or the last error after `attemptsMax` fruitless tries.
   * @example
   * for await (const event of parley.sessions.tail(id)) console.log(event.seq, event.type);
   */
  tail(id: string, options: TailOptions = {}): AsyncGenerator<EventRecord> {
    return tailSession(this.#http, id, options);
  }

  /** The workflow whose root this session is. */
  workflow(id: string, options: RequestOptions = {}): Promise<WorkflowResource> {
    return this.#http.json('GET', sessionPath(id, 'workflow'), options);
  }
}

/** A function may work for as long as an execution may, and the answer still has to travel. */
export const CALL_TIMEOUT_MS = 95_000;
const SAY_TIMEOUT_MS = 120_000;
/** A turn may be answered for as long as the server lets it, and the answer still has to travel. */
const TURN_TIMEOUT_MS = 130_000;

function sessionPath(id: string, rest?: string): string {
  const path = `/api/v1/sessions/${encodeURIComponent(id)}`;
  return rest === undefined ? path : `${path}/${rest}`;
}
