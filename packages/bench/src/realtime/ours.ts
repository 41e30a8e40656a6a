// @parley/realtime over a socket that is a function call. Its transcripts are live.

import { createModel } from '@parley/providers';
import { RealtimeAgent, RealtimeRunner, tool } from '@parley/realtime';
import type { FrameClose, FrameSocket } from '@parley/transport';
import { z } from 'zod';
import type { Caller, MakeCaller } from './caller.ts';
import { sessionCreated, sessionUpdated, SOUND } from './frames.ts';

export const ours: MakeCaller<Buffer> = async ({ outputBytes = 8 } = {}) => {
  let listener: ((frame: Buffer) => void) | null = null;
  let ended: (close: FrameClose) => void = () => {};
  let waiting: (() => void) | null = null;
  const push = (frame: Buffer): void => listener?.(frame);
  const socket: FrameSocket = {
    id: 'conn_bench',
    send(frame) {
      // Sound is let go as it is, as a socket would copy it.
      if (typeof frame === 'string') return;
      const text = frame.toString();
      if (text.includes('"session.update"')) {
        const { session } = JSON.parse(text) as { session: object };
        queueMicrotask(() => push(Buffer.from(sessionUpdated(session))));
      } else if (text.includes('"function_call_output"')) waiting?.();
    },
    bufferedBytes: 0,
    pause() {},
    resume() {},
    onFrame(next) {
      const first = listener === null;
      listener = next;
      if (first) queueMicrotask(() => push(Buffer.from(sessionCreated)));
    },
    onDrain() {},
    onClose(next) {
      ended = next;
    },
    close(code = 1005, reason = '') {
      ended({ code, reason });
    },
    terminate() {},
    open: true,
  };
  const model = createModel(
    'openai',
    { base_url: 'wss://bench.invalid/v1', key: 'bench-key' },
    { dial: async () => socket },
  );
  let answered = 0;
  // Each one another, so that each is held.
  const answer = (): string => Buffer.alloc(outputBytes, 97 + ((answered += 1) % 26)).toString('latin1');
  const echo = tool({
    name: 'echo',
    description: 'Answers.',
    parameters: z.object({ text: z.string() }),
    execute: answer,
  });
  const agent = new RealtimeAgent({ name: 'bench', instructions: 'Be a benchmark.', tools: [echo] });
  const session = await new RealtimeRunner(agent, { model }).run();
  let heard = 0;
  session.on('audio', ({ data }) => {
    heard += data.length;
  });
  session.on('history_delta', ({ delta }) => {
    if (delta === '') throw new Error('an empty patch');
  });
  const sound = SOUND.buffer.slice(SOUND.byteOffset, SOUND.byteOffset + SOUND.length) as ArrayBuffer;
  const caller: Caller<Buffer> = {
    frame: (text) => Buffer.from(text),
    push,
    sendAudio: () => void session.sendAudio(sound),
    output: () => new Promise((resolve) => (waiting = resolve)),
    heard: () => heard,
    items: () => session.history.length,
    close: () => void session.close(),
  };
  return caller;
};
