// What `step` wants done. Whoever runs a session performs these; `step` itself touches nothing.

import type { SessionEvent } from '../contract/events.ts';
import type { ModelCommand } from '../contract/model.ts';
import type { ErrorObject } from '../errors.ts';

export type Timer = 'duration' | 'idle' | 'playback' | 'creating' | 'handler';

export type Effect =
  /** Append this event to the log next, and fold it. Its effects stand in its place. */
  | { kind: 'record'; event: SessionEvent }
  | { kind: 'provider.connect' }
  | { kind: 'provider.send'; command: ModelCommand }
  /** Run the function. Perform it only when the entry that asked for it is on disk. */
  | {
      kind: 'execution.dispatch';
      call_id: string;
      execution_id: string;
      target: string;
      input: unknown;
      timeout_ms: number;
    }
  | { kind: 'execution.cancel'; execution_id: string; reason: string }
  /** Fire `timer.fired` once after `ms`. Setting a timer replaces the one of that name. */
  | { kind: 'timer.set'; timer: Timer; ms: number }
  | { kind: 'timer.clear'; timer: Timer }
  /** Close provider and clients, then append `session.closed`. */
  | { kind: 'session.end'; reason: string; error: ErrorObject | null };

export type PerformedEffect = Exclude<Effect, { kind: 'record' }>;
