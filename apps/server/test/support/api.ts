// The HTTP interface as a test sees it: every answer is checked before the test gets it.

import type { ErrorBody, ErrorObject, EventList, EventRecord } from '@parley/core';
import { checkAnswer, type Description } from './answers.ts';

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

export interface StreamEntry {
  id: string;
  event: string;
  data: unknown;
}

type Method = 'GET' | 'POST' | 'DELETE';

export class Api {
  readonly url: string;
  readonly #headers: Record<string, string>;
  #description: Promise<Description> | null = null;

  constructor(url: string, key?: string) {
    this.url = url;
    this.#headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  /** The same server with another key, or with none. */
  as(key: string | undefined): Api {
    return new Api(this.url, key);
  }

  async call<T>(
    method: Method,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const type = body === undefined ? {} : { 'content-type': 'application/json' };
    const response = await fetch(this.url + path, {
      method,
      headers: { ...type, ...this.#headers, ...headers },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const json = response.headers.get('content-type')?.startsWith('application/json') === true;
    const answer = json ? (JSON.parse(text) as unknown) : text;
    if (json) checkAnswer(await this.description(), method, path, response.status, answer);
    return { status: response.status, headers: response.headers, body: answer as T };
  }

  /** The body of an answer that must be a success. */
  async get<T>(path: string, headers?: Record<string, string>): Promise<T> {
    return succeeded(await this.call<T>('GET', path, undefined, headers), path);
  }

  async post<T>(path: string, body?: unknown, headers?: Record<string, string>): Promise<T> {
    return succeeded(await this.call<T>('POST', path, body, headers), path);
  }

  /** The error of an answer that must be one, with its status. */
  async refused(
    method: Method,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<ErrorObject & { status: number }> {
    const answer = await this.call<ErrorBody>(method, path, body, headers);
    if (answer.status < 400) throw new Error(`${method} ${path} was answered ${answer.status}`);
    return { ...answer.body.error, status: answer.status };
  }

  description(): Promise<Description> {
    this.#description ??= fetch(`${this.url}/api/v1/openapi.json`).then(
      async (response) => (await response.json()) as Description,
    );
    return this.#description;
  }

  /** An event stream, entry by entry, until it ends or the loop is left. */
  async *stream(path: string, headers: Record<string, string> = {}): AsyncGenerator<StreamEntry, void, void> {
    const abort = new AbortController();
    const response = await fetch(this.url + path, {
      headers: { ...this.#headers, accept: 'text/event-stream', ...headers },
      signal: abort.signal,
    });
    if (!response.ok || !response.body) throw new Error(`${path} was answered ${response.status}`);
    let text = '';
    try {
      for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
        const blocks = (text + piece).split('\n\n');
        text = blocks.pop() ?? '';
        for (const block of blocks) {
          const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(block)?.[1];
          const data = field('data');
          if (data === undefined) continue;
          yield { id: field('id') ?? '', event: field('event') ?? '', data: JSON.parse(data) as unknown };
        }
      }
    } finally {
      abort.abort();
    }
  }

  /** The whole log of a session so far. */
  async events(session_id: string): Promise<EventRecord[]> {
    const events: EventRecord[] = [];
    for (;;) {
      const after = events.at(-1)?.seq ?? 0;
      const page = await this.get<EventList>(`/api/v1/sessions/${session_id}/events?after=${after}`);
      events.push(...(page.events as unknown as EventRecord[]));
      if (!page.has_more) return events;
    }
  }

  /** Waits for an entry of a session's log that fits, from the beginning of the log. */
  async until<T extends EventRecord['type']>(
    session_id: string,
    type: T,
    fits: (event: EventRecord & { type: T }) => boolean = () => true,
  ): Promise<EventRecord & { type: T }> {
    const seen: string[] = [];
    for await (const { data } of this.stream(`/api/v1/sessions/${session_id}/events`)) {
      const event = data as EventRecord & { type: T };
      seen.push(event.type);
      if (event.type === type && fits(event)) return event;
    }
    throw new Error(`no ${type} in the log of ${session_id}: ${seen.slice(-20).join(', ')}`);
  }
}

function succeeded<T>({ status, body }: Answer<T>, path: string): T {
  if (status < 200 || status > 299) throw new Error(`${path} was answered ${status}: ${JSON.stringify(body)}`);
  return body;
}
