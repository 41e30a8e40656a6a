// What its handler and the API ask of a session: each is an entry of its log, and some are answered by a later one.

import { type EventOf, type EventRecord, LIMITS, newId, ParleyError, type SessionEvent } from '@parley/core';
import type { SessionChange } from '../agents/ports.ts';
import type { SessionLog } from './log.ts';
import { Repeats } from './repeats.ts';
import { Waiters } from './waiters.ts';

type By = 'handler' | 'api';

export class Requests {
  /** For those whose answer may be lost. */
  readonly repeats = new Repeats();
  readonly #log: SessionLog;
  /** For the end of a say (`say_…`) or of a call. */
  readonly #waiters = new Waiters();

  constructor(log: SessionLog) {
    this.#log = log;
  }

  /** Speaks `text` and resolves when it was spoken or cut. */
  async say(text: string, by: By): Promise<EventRecord<EventOf<'say.completed'>>> {
    this.#log.checkOpen();
    const say_id = newId('say');
    const asked: SessionEvent = { type: 'say.requested', say_id, text, by };
    const record = (await this.#answered(say_id, asked)) as EventRecord<EventOf<'say.completed'>>;
    if (record.error) throw ParleyError.from(record.error);
    return record;
  }

  async inject(text: string, respond: boolean, by: By): Promise<void> {
    this.#log.checkOpen();
    const { phase, waiting_commands } = this.#log.state;
    const limit = LIMITS.texts_waiting_max;
    if (phase === 'starting' && waiting_commands.length >= limit) {
      throw new ParleyError('resource_exhausted', `${limit} texts already wait for the provider`, {
        details: { limit, current: waiting_commands.length },
      });
    }
    await this.#log.append({ type: 'input.injected', text, respond, by });
  }

  async update(change: SessionChange, by: By): Promise<void> {
    this.#log.checkOpen();
    const unknown = change.tools?.find((name) => !this.#log.state.tools.some((tool) => tool.name === name));
    if (unknown !== undefined) {
      throw new ParleyError(
        'permission_denied',
        `tool '${unknown}' was not declared for this session; an update can only narrow its tools`,
      );
    }
    await this.#log.append({ type: 'session.updated', by, ...change });
  }

  /** A call of an allowlisted tool by a client; resolves with how it ended. */
  async call(name: string, input: unknown, call_id: string): Promise<EventRecord<EventOf<'tool.completed'>>> {
    this.#log.checkOpen();
    const { calls, answered } = this.#log.state;
    if (Object.hasOwn(calls, call_id) || answered.includes(call_id)) {
      throw new ParleyError('already_exists', `call ${call_id} was made before`);
    }
    const execution_id = newId('execution');
    const text = JSON.stringify(input ?? {});
    const asked: SessionEvent = {
      type: 'tool.called',
      call_id,
      name,
      arguments: text,
      source: 'client',
      execution_id,
    };
    const record = await this.#answered(call_id, asked);
    if (record.type === 'tool.rejected') throw ParleyError.from(record.error);
    return record as EventRecord<EventOf<'tool.completed'>>;
  }

  /** An entry of the log, which may be what somebody waits for. */
  event(record: EventRecord): void {
    if (record.type === 'say.completed') this.#waiters.wake(record.say_id, record);
    else if (record.type === 'tool.completed' || record.type === 'tool.rejected') {
      this.#waiters.wake(record.call_id, record);
    }
  }

  /** The session is over: what is still waited for will not come. */
  refuse(error: ParleyError): void {
    this.#waiters.refuse(error);
  }

  /** Appends an entry, and resolves with the later one that answers it. */
  async #answered(id: string, asked: SessionEvent): Promise<EventRecord> {
    // Both at once: a disk that refuses the first ends the session, and that refuses the second before it is waited for.
    const [record] = await Promise.all([this.#waiters.until(id), this.#log.append(asked)]);
    return record;
  }
}
