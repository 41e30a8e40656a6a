// Follows the log of a session to its end, over as many connections as that takes.

import { type EventRecord, ParleyError, type SessionResource, TIMES } from '@parley/core';
import { type Http, pause } from './http.ts';
import { readSse, type SseMessage } from './sse.ts';

export interface TailOptions {
  /** The log from the entry after this one; 0 is the whole log. */
  after?: number | undefined;
  /** Ends the iteration with the reason of the abort. */
  signal?: AbortSignal | undefined;
  /** How many tries in a row may bring nothing before the last error is thrown. */
  attemptsMax?: number | undefined;
  /** A connection that was silent this long is given up for a new one, in milliseconds. */
  silenceMs?: number | undefined;
}

const SILENCE_MS = 45_000;

/** The entries after `after`, in order and without gaps, until `session.closed`. */
export async function* tailSession(http: Http, id: string, options: TailOptions = {}): AsyncGenerator<EventRecord> {
  const path = `/api/v1/sessions/${encodeURIComponent(id)}`;
  const attemptsMax = options.attemptsMax ?? 10;
  let seq = options.after ?? 0;
  let fruitless = 0;
  for (;;) {
    let ended: ParleyError | null = null;
    try {
      for await (const record of connection(http, `${path}/events`, seq, options)) {
        // A server may send again what was on its way when a connection broke.
        if (record.seq <= seq) continue;
        seq = record.seq;
        fruitless = 0;
        yield record;
        if (record.type === 'session.closed') return;
      }
    } catch (thrown) {
      ended = ParleyError.from(thrown, 'unavailable');
      if (options.signal?.aborted || !ended.retryable) throw ended;
    }
    if (!ended) {
      // An end without an error: a drained server, or nothing that could follow.
      const session = await http.json<SessionResource>('GET', path, { signal: options.signal });
      if (session.status === 'closed' && session.last_seq <= seq) return;
    }
    fruitless += 1;
    if (fruitless >= attemptsMax) {
      throw ended ?? new ParleyError('unavailable', `the log of ${id} broke off ${attemptsMax} times in a row`);
    }
    const backoff_ms = Math.min(TIMES.backoff_max_ms, TIMES.backoff_min_ms * 2 ** (fruitless - 1));
    await pause(Math.max(ended?.retryAfterMs ?? 0, backoff_ms), options.signal);
  }
}

async function* connection(
  http: Http,
  path: string,
  after: number,
  options: TailOptions,
): AsyncGenerator<EventRecord, void, void> {
  const quiet = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, quiet.signal]) : quiet.signal;
  const silenceMs = options.silenceMs ?? SILENCE_MS;
  let heard = false;
  // One slow clock for the connection, where a new timer for each message would cost more than the message.
  const clock = setInterval(() => {
    if (!heard) quiet.abort(new ParleyError('unavailable', `${http.origin} was silent for ${silenceMs} ms`));
    heard = false;
  }, silenceMs);
  try {
    const headers = after > 0 ? { 'last-event-id': String(after) } : {};
    const body = await http.stream(path, { query: { after }, headers, signal });
    for await (const message of readSse(body)) {
      heard = true;
      if (message !== null) yield recordOf(message);
    }
  } catch (thrown) {
    if (signal.aborted) throw ParleyError.from(signal.reason, 'cancelled');
    throw thrown instanceof ParleyError
      ? thrown
      : new ParleyError('unavailable', `the log from ${http.origin} broke off`, { cause: thrown });
  } finally {
    clearInterval(clock);
  }
}

function recordOf(message: SseMessage): EventRecord {
  let value: unknown;
  try {
    value = JSON.parse(message.data);
  } catch (cause) {
    throw new ParleyError('data_loss', `entry ${message.id ?? '?'} of the log is not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null || !('seq' in value) || typeof value.seq !== 'number') {
    throw new ParleyError('data_loss', `entry ${message.id ?? '?'} of the log has no seq`);
  }
  return value as EventRecord;
}
