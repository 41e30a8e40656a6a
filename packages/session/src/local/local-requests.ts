// What a handler, or whoever joined, asks of a session that is kept here.

import {
  checked,
  type EventOf,
  type EventRecord,
  LIMITS,
  newId,
  ParleyError,
  type SessionEvent,
  type SessionState,
} from '@parley/core';
import type { RequestFrame } from '../requests.ts';

export interface LocalRequestPorts {
  readonly append: (event: SessionEvent) => void;
  readonly state: () => SessionState;
  readonly call: (target: string, input: unknown, signal: AbortSignal) => Promise<unknown>;
}

type Settled = EventRecord<EventOf<'say.completed'>>;

export class LocalRequests {
  readonly #ports: LocalRequestPorts;
  readonly #says = new Map<string, (end: Settled) => void>();

  constructor(ports: LocalRequestPorts) {
    this.#ports = ports;
  }

  /**
   * Does what is asked.
   * @throws ParleyError why it cannot be done, or how it ended; what an agent link would not send is `invalid_argument`
   * here too.
   */
  async take(frame: RequestFrame, signal: AbortSignal): Promise<unknown> {
    checked('AgentFrame', { ...frame, request_id: newId('request') });
    const { append, call } = this.#ports;
    switch (frame.type) {
      case 'session.say':
        return this.#say(frame.text, signal);
      case 'session.inject':
        this.#checkTexts();
        return append({ type: 'input.injected', text: frame.text, respond: frame.respond ?? false, by: 'handler' });
      case 'session.update': {
        const { type: _type, session_id: _id, ...change } = frame;
        const declared = this.#ports.state().tools;
        const unknown = change.tools?.find((name) => !declared.some((tool) => tool.name === name));
        if (unknown !== undefined) {
          const message = `tool '${unknown}' was not declared for this session; an update can only narrow its tools`;
          throw new ParleyError('permission_denied', message);
        }
        return append({ type: 'session.updated', by: 'handler', ...change });
      }
      case 'session.close':
        return append({ type: 'session.closing', reason: frame.reason ?? 'handler_closed', by: 'handler' });
      case 'function.call':
        return call(frame.target, frame.input, signal);
    }
  }

  /** What was to be said has been heard, or cut. */
  said(end: Settled): void {
    this.#says.get(end.say_id)?.(end);
    this.#says.delete(end.say_id);
  }

  /** Texts that come before the model does wait for it, so many of them. */
  #checkTexts(): void {
    const { phase, waiting_commands } = this.#ports.state();
    const limit = LIMITS.texts_waiting_max;
    if (phase !== 'starting' || waiting_commands.length < limit) return;
    throw new ParleyError('resource_exhausted', `${limit} texts already wait for the provider`, {
      details: { limit, current: waiting_commands.length },
    });
  }

  async #say(text: string, signal: AbortSignal): Promise<{ interrupted: boolean; spoken_text: string }> {
    const say_id = newId('say');
    const { promise, resolve, reject } = Promise.withResolvers<Settled>();
    const abandon = (): void => reject(ParleyError.from(signal.reason, 'cancelled'));
    this.#says.set(say_id, resolve);
    signal.addEventListener('abort', abandon, { once: true });
    try {
      this.#ports.append({ type: 'say.requested', say_id, text, by: 'handler' });
      const { interrupted, spoken_text, error } = await promise;
      if (error) throw ParleyError.from(error);
      return { interrupted, spoken_text };
    } finally {
      signal.removeEventListener('abort', abandon);
      this.#says.delete(say_id);
    }
  }
}
