// A session as a case sees it: its log, and somebody who joins it in writing.

import type { ParleyClient, SessionSocket } from '@parley/client';
import type { EventOf, EventRecord, SessionEvent, StartResponse } from '@parley/core';

type Entry<T extends SessionEvent['type']> = EventRecord<EventOf<T>>;

export class SessionLog {
  readonly session_id: string;
  readonly #client: ParleyClient;

  constructor(client: ParleyClient, session_id: string) {
    this.session_id = session_id;
    this.#client = client;
  }

  /** Waits for an entry, from the beginning of the log. @throws Error that says what is there instead. */
  async until<T extends SessionEvent['type']>(
    signal: AbortSignal,
    type: T,
    fits: (event: Entry<T>) => boolean = () => true,
  ): Promise<Entry<T>> {
    const seen: string[] = [];
    try {
      for await (const event of this.#client.sessions.tail(this.session_id, { signal })) {
        seen.push(event.type);
        if (event.type === type && fits(event as Entry<T>)) return event as Entry<T>;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    throw new Error(`waited in vain for ${type}; the log has ${seen.join(', ')}`);
  }

  async log(): Promise<EventRecord[]> {
    return (await this.#client.sessions.events(this.session_id, { limit: 1000 })).events;
  }

  async close(signal: AbortSignal): Promise<void> {
    await this.#client.sessions.close(this.session_id);
    await this.until(signal, 'session.closed');
  }
}

export class Conversation extends SessionLog {
  /** The root of its workflow. */
  readonly execution_id: string;
  readonly workflow_id: string;
  readonly socket: SessionSocket;
  #heard = 0;

  constructor(client: ParleyClient, started: StartResponse, socket: SessionSocket) {
    super(client, started.session_id);
    this.execution_id = started.execution_id;
    this.workflow_id = started.workflow_id;
    this.socket = socket;
  }

  /** A turn of the user; a handler answers it by itself. */
  type(text: string): void {
    this.socket.sendText(text);
  }

  /** A turn of the user that the model is asked to answer. */
  ask(text: string): void {
    this.type(text);
    this.socket.respond();
  }

  /** The words of the agent's next answer. */
  async answer(signal: AbortSignal): Promise<string> {
    const said = await this.until(signal, 'response.completed', ({ seq, text }) => seq > this.#heard && text !== '');
    this.#heard = said.seq;
    return said.text;
  }
}
