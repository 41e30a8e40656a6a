// The place of a session where its handler is: on an agent, over a link that may be cut and come back.

import { type EventRecord, HANDLER_EVENT_TYPES, type SessionResource, type SessionState } from '@parley/core';
import type { AgentDirectory, HandlerLink } from '../agents/ports.ts';
import type { Store } from '../store/store.ts';
import type { SessionLog } from './log.ts';

const HANDLER_EVENTS: ReadonlySet<string> = new Set(HANDLER_EVENT_TYPES);
const PAGE = 1000;

export interface HandlerPortOptions {
  session: SessionResource;
  log: SessionLog;
  store: Store;
  agents: AgentDirectory;
  record: (event: Parameters<SessionLog['append']>[0]) => void;
}

export class HandlerPort {
  readonly #options: HandlerPortOptions;
  #link: HandlerLink | null = null;

  constructor(options: HandlerPortOptions) {
    this.#options = options;
  }

  /** Picks an agent and asks it to run the handler. */
  open({ declaration, tools }: SessionState): void {
    const { agents, record, session } = this.#options;
    const { agent, target, session_id, workflow_id, execution_id, metadata } = session;
    const link = agents.placeHandler(agent, target.slice(agent.length + 1));
    if (!link || !declaration) {
      const message = `no connected agent runs the handler of ${target}`;
      record({ type: 'handler.failed', error: { code: 'unavailable', message, retryable: true } });
      return;
    }
    this.#link = link;
    record({ type: 'handler.attached', link_id: link.link_id });
    link.open({ session_id, session: declaration.name, workflow_id, execution_id, declaration, tools, metadata });
  }

  /** An entry of the log, if it is one that handlers need. */
  event(record: EventRecord): void {
    if (this.#link && HANDLER_EVENTS.has(record.type)) this.#link.event(this.#options.session.session_id, record);
  }

  lost(reason: string): void {
    const link = this.#link;
    if (!link) return;
    this.#link = null;
    this.#options.record({ type: 'handler.detached', link_id: link.link_id, reason });
  }

  /** Its agent is back over another link; it is sent what it missed, and then what comes. */
  async resumed(after_seq: number, link: HandlerLink): Promise<void> {
    const { log, store, record, session } = this.#options;
    log.checkOpen();
    const { session_id } = session;
    const late: EventRecord[] = [];
    const stop = log.subscribe((entry) => late.push(entry));
    let last = after_seq;
    try {
      for (let more = true; more && link.up; ) {
        const page = await store.events(session_id, last, PAGE);
        for (const stored of page.events) {
          last = stored.seq;
          if (HANDLER_EVENTS.has(stored.type)) link.event(session_id, JSON.parse(stored.json) as EventRecord);
        }
        // A page of long entries is shorter than it was asked to be.
        more = page.events.length > 0 && last < page.last_seq;
      }
    } finally {
      stop();
    }
    // Cut, or replaced, while it was told: the one after it may be attached already.
    if (!link.up) return;
    // The session was cut meanwhile, and this link was not there to be told.
    if (log.broken) throw log.broken;
    for (const entry of late) if (entry.seq > last && HANDLER_EVENTS.has(entry.type)) link.event(session_id, entry);
    this.#link = link;
    record({ type: 'handler.attached', link_id: link.link_id });
  }

  /** Its log is broken: no entry will tell the handler of the end. One whose agent is away is told when it is back. */
  fail(): void {
    const { session_id } = this.#options.session;
    this.#link?.lost(session_id, `session ${session_id} is cut: its log cannot be written`);
  }

  close(): void {
    this.#link = null;
  }
}
