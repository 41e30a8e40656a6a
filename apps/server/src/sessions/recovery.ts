// Ends, with a reason, a session that an earlier process left open: its provider connection is gone.

import { type EventRecord, fold, initialState, replay, type SessionResource, type SessionState } from '@parley/core';
import type { Store } from '../store/store.ts';
import { closedEvent, closedResource, endOfSession } from './resource.ts';

const PAGE = 1000;
const REASON = 'server_restarted';
const ERROR = {
  code: 'unavailable' as const,
  message: 'the server was restarted while the session was open',
  retryable: true,
};

export async function recoverSession(store: Store, row: SessionResource, at_ms: number): Promise<void> {
  const before = await replayed(store, row.session_id);
  const closing = fold(
    { ...before, closing: { reason: REASON, error: ERROR } },
    { type: 'session.closing', reason: REASON, by: 'server' },
    at_ms,
  );
  const { created_at_ms } = row;
  const event = closedEvent({ ...closing.state, created_at_ms }, row, { reason: REASON, error: ERROR, at_ms });
  const closed = fold(closing.state, event, at_ms);
  const events = [...closing.records, ...closed.records].map((record) => {
    return { seq: record.seq, at_ms, type: record.type, json: JSON.stringify(record) };
  });
  const resource = closedResource({ ...row, last_seq: closed.state.seq }, event, at_ms);
  await store.commit([...endOfSession(resource, at_ms), { op: 'events.append', session_id: row.session_id, events }]);
}

async function replayed(store: Store, session_id: string): Promise<SessionState> {
  let state = initialState();
  for (let more = true; more; ) {
    const page = await store.events(session_id, state.seq, PAGE);
    const records = page.events.map((stored) => JSON.parse(stored.json) as EventRecord);
    ({ state } = replay(records, state));
    // A page of long entries is shorter than it was asked to be.
    more = page.events.length > 0 && state.seq < page.last_seq;
  }
  return state;
}
