// The control plane as one object.

import type { AgentList, AgentResource, HealthResponse } from '@parley/core';
import { Executions, Workflows } from './executions.ts';
import { Http } from './http.ts';
import { type RequestOptions, Sessions } from './sessions.ts';

export interface ParleyClientOptions {
  /** Where the control plane listens. Default `http://127.0.0.1:7700`. */
  url?: string | undefined;
  /** A Parley key or a session token. A control plane on loopback needs none. */
  key?: string | undefined;
  /** Another `fetch` than the global one. */
  fetch?: typeof globalThis.fetch | undefined;
  /** How long one try of a request may take, in milliseconds. Default 30 000. */
  timeoutMs?: number | undefined;
  /** How often a request that may be repeated is repeated after a retryable error. Default 2. */
  retries?: number | undefined;
  /** The longest pause that a server may ask for before a retry, in milliseconds. Default 10 000. */
  retryAfterMaxMs?: number | undefined;
  /** The longest answer that is read, in bytes. Default 32 MiB. */
  answerBytesMax?: number | undefined;
  /** How the program calls itself towards the server. Browsers send their own. */
  userAgent?: string | undefined;
}

/** Where a control plane listens when nobody says otherwise. */
export const DEFAULT_URL = 'http://127.0.0.1:7700';

/**
 * A client of the Parley control plane, for Node and browsers. Every method rejects with `ParleyError`: the server's
 * own, or `unavailable` when there was no answer.
 *
 * @example
 * const parley = new ParleyClient({ key: process.env.PARLEY_KEY });
 * const session = await parley.sessions.start('support.voice');
 * for await (const event of parley.sessions.tail(session.session_id)) console.log(event.type);
 */
export class ParleyClient {
  readonly sessions: Sessions;
  readonly executions: Executions;
  readonly workflows: Workflows;
  readonly agents: Agents;
  readonly #http: Http;

  constructor(options: ParleyClientOptions = {}) {
    this.#http = new Http({ ...options, url: options.url ?? DEFAULT_URL });
    this.sessions = new Sessions(this.#http);
    this.executions = new Executions(this.#http);
    this.workflows = new Workflows(this.#http);
    this.agents = new Agents(this.#http);
  }

  /** How the control plane is, and its version. */
  health(options: RequestOptions = {}): Promise<HealthResponse> {
    return this.#http.json('GET', '/health', options);
  }

  /** What it has: `checks.providers` names the providers that are set up. Needs a key where `health()` does not. */
  status(options: RequestOptions = {}): Promise<HealthResponse> {
    return this.#http.json('GET', '/api/v1/status', options);
  }

  /** Whether it takes work. @throws ParleyError `unavailable` when it does not. */
  ready(options: RequestOptions = {}): Promise<HealthResponse> {
    return this.#http.json('GET', '/ready', options);
  }
}

class Agents {
  readonly #http: Http;

  constructor(http: Http) {
    this.#http = http;
  }

  async list(options: RequestOptions = {}): Promise<AgentResource[]> {
    return (await this.#http.json<AgentList>('GET', '/api/v1/agents', options)).agents;
  }

  get(name: string, options: RequestOptions = {}): Promise<AgentResource> {
    return this.#http.json('GET', `/api/v1/agents/${encodeURIComponent(name)}`, options);
  }
}
export type { Agents };
