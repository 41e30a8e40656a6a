// Runs `step` over an event and over every event that its effects record, in order.

import type { EventRecord, SessionEvent } from '../contract/events.ts';
import type { Effect, PerformedEffect } from './effects.ts';
import type { SessionState } from './state.ts';
import { step } from './step.ts';

export interface Folded {
  state: SessionState;
  /** What to append, in order; the first is the event that was given. */
  records: EventRecord[];
  /** What to do once the records are on disk, in order. */
  effects: PerformedEffect[];
}

/** Appends `event` and whatever follows from it to the session that `state` describes. */
export function fold(state: SessionState, event: SessionEvent, at_ms: number): Folded {
  const folded: Folded = { state, records: [], effects: [] };
  apply(folded, event, at_ms);
  return folded;
}

function apply(folded: Folded, event: SessionEvent, at_ms: number): void {
  const record = { ...event, seq: folded.state.seq + 1, at_ms } as EventRecord;
  const { state, effects } = step(folded.state, record);
  folded.state = state;
  folded.records.push(record);
  for (const effect of effects) {
    if (effect.kind === 'record') apply(folded, effect.event, at_ms);
    else folded.effects.push(effect);
  }
}

/** The state after a stored log. Recorded events stand in the log themselves, so effects are not followed. */
export function replay(records: Iterable<EventRecord>, from: SessionState): { state: SessionState; effects: Effect[] } {
  let state = from;
  let effects: Effect[] = [];
  for (const record of records) ({ state, effects } = step(state, record));
  return { state, effects };
}
