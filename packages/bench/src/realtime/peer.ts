// @openai/agents-realtime over a socket that is a function call.

import { OpenAIRealtimeWebSocket, RealtimeAgent, RealtimeSession, tool } from '@openai/agents-realtime';
import { z } from 'zod';
import type { Caller, MakeCaller } from './caller.ts';
import { sessionCreated, sessionUpdated, SOUND } from './frames.ts';

type Listener = (event: { data?: unknown }) => void;

export const peer: MakeCaller<string> = async ({ outputBytes = 8 } = {}) => {
  const listeners = new Map<string, Listener[]>();
  const tell = (type: string, event: { data?: unknown } = {}): void => {
    for (const listener of listeners.get(type) ?? []) listener(event);
  };
  const push = (frame: string): void => tell('message', { data: frame });
  let waiting: (() => void) | null = null;
  const socket = {
    readyState: 1,
    addEventListener: (type: string, listener: Listener) =>
      void listeners.set(type, [...(listeners.get(type) ?? []), listener]),
    removeEventListener() {},
    send(frame: string) {
      if (frame.includes('"session.update"')) {
        const { session } = JSON.parse(frame) as { session: object };
        setImmediate(() => push(sessionUpdated(session)));
      } else if (frame.includes('"function_call_output"')) waiting?.();
    },
    close() {
      tell('close');
    },
  };
  const transport = new OpenAIRealtimeWebSocket({
    createWebSocket: async () => {
      // When its listeners are there.
      setImmediate(() => {
        tell('open');
        push(sessionCreated);
      });
      return socket as never;
    },
  });
  let answered = 0;
  // Each one another, so that each is held.
  const answer = (): string => Buffer.alloc(outputBytes, 97 + ((answered += 1) % 26)).toString('latin1');
  const echo = tool({
    name: 'echo',
    description: 'Answers.',
    parameters: z.object({ text: z.string() }),
    execute: async () => answer(),
  });
  const agent = new RealtimeAgent({ name: 'bench', instructions: 'Be a benchmark.', tools: [echo] });
  const session = new RealtimeSession(agent, { transport, tracingDisabled: true });
  session.on('error', () => {});
  await session.connect({ apiKey: 'bench-key' });
  let heard = 0;
  session.on('audio', ({ data }) => {
    heard += data.byteLength;
  });
  const sound = SOUND.buffer.slice(SOUND.byteOffset, SOUND.byteOffset + SOUND.length) as ArrayBuffer;
  const caller: Caller<string> = {
    frame: (text) => text,
    push,
    sendAudio: () => session.sendAudio(sound),
    output: () => new Promise((resolve) => (waiting = resolve)),
    heard: () => heard,
    items: () => session.history.length,
    close: () => session.close(),
  };
  return caller;
};
