// A connection of the adapter, with everything that came from it kept.

import { once } from 'node:events';
import type { ModelEvent } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { ModelConfig, ModelConnection, ModelSessionOptions } from '../port.ts';
import { createModel } from '../registry.ts';

export const SESSION: ModelSessionOptions = {
  model: 'gpt-realtime-2.1',
  voice: 'marin',
  instructions: 'You are the secret keeper of the house.',
  language: 'en',
  modalities: ['audio', 'text'],
  tools: [{ name: 'lookup', description: 'Looks up.', input_schema: { type: 'object', properties: {} } }],
  turn_detection: { type: 'server_vad', threshold: 0.5 },
  responder: 'model',
};

export interface Connected {
  connection: ModelConnection;
  events: ModelEvent[];
  frames: { type: string; text: string; kind: 'audio' | 'other' }[];
  /** The nth event of a type, when it is there. */
  event: <T extends ModelEvent['type']>(type: T, nth?: number) => Promise<Extract<ModelEvent, { type: T }>>;
  /** The first frame of a type, when it is there. */
  frame: (type: string) => Promise<Record<string, unknown>>;
}

export async function connected(
  config: ModelConfig,
  options: Partial<ModelSessionOptions> = {},
  { provider = 'openai', clock }: { provider?: string; clock?: Clock } = {},
): Promise<Connected> {
  const model = createModel(provider, config, clock ? { clock } : {});
  return collected(await model.connect({ ...SESSION, ...options }));
}

/** Everything that comes from a connection. */
export function collected(connection: ModelConnection): Connected {
  const arrivals = new EventTarget();
  const arrived = (): boolean => arrivals.dispatchEvent(new Event('arrived'));
  const events: ModelEvent[] = [];
  const frames: Connected['frames'] = [];
  connection.onEvent((event) => {
    events.push(event);
    arrived();
  });
  connection.media.onFrame((frame, kind) => {
    const text = frame.toString();
    frames.push({ type: (JSON.parse(text) as { type: string }).type, text, kind });
    arrived();
  });
  return {
    connection,
    events,
    frames,
    event: async (type, nth = 0) => {
      for (;;) {
        const found = events.filter((one) => one.type === type)[nth];
        if (found) return found as Extract<ModelEvent, { type: typeof type }>;
        await once(arrivals, 'arrived');
      }
    },
    frame: async (type) => {
      for (;;) {
        const found = frames.find((one) => one.type === type);
        if (found) return JSON.parse(found.text) as Record<string, unknown>;
        await once(arrivals, 'arrived');
      }
    },
  };
}

/** A clock that stands until it is moved. */
export function handClock(): Clock & { advance: (ms: number) => void } {
  let now = 0;
  let timers: { at: number; run: () => void }[] = [];
  return {
    now: () => now,
    after: (ms, run) => {
      const timer = { at: now + ms, run };
      timers.push(timer);
      return {
        cancel: () => {
          timers = timers.filter((other) => other !== timer);
        },
      };
    },
    advance: (ms) => {
      now += ms;
      const due = timers.filter((timer) => timer.at <= now);
      timers = timers.filter((timer) => timer.at > now);
      for (const timer of due) timer.run();
    },
  };
}
