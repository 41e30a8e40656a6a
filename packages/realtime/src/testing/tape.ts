// A conversation with a provider, recorded frame by frame, and played back to a session without the provider.
//
// What the provider said is played when the session has sent as many frames as it had when that was recorded. Ids that
// this side makes are other ones in each run: those of the tape are taken for those of the run.

import { createModel, type Dial, type ModelConfig, type RealtimeModel } from '@parley/providers';
import { type Clock, dialFrameSocket, type FrameSocket, memorySocketPair, systemClock } from '@parley/transport';
import { isObject } from '../history/item.ts';

export interface TapeFrame {
  /** Milliseconds since the connection was opened. */
  at_ms: number;
  from: 'session' | 'model';
  frame: string;
}

/** One list of frames for each connection. JSON, and free of keys; it holds what was said. */
export interface Tape {
  version: 1;
  connections: TapeFrame[][];
}

/**
 * A model whose conversations are kept.
 *
 * @example
 * const { model, tape } = recordTape('openai', { base_url: 'https://api.openai.com/v1', key });
 * const session = await new RealtimeRunner(agent, { model }).run();
 * await session.closed;
 * await writeFile('call.json', JSON.stringify(tape));
 */
export function recordTape(
  provider: string,
  config: ModelConfig,
  options: { clock?: Clock; dial?: Dial } = {},
): { model: RealtimeModel; tape: Tape } {
  const clock = options.clock ?? systemClock;
  const inner = options.dial ?? dialFrameSocket;
  const tape: Tape = { version: 1, connections: [] };
  const dial: Dial = async (url, dialOptions) => {
    const frames: TapeFrame[] = [];
    tape.connections.push(frames);
    const began = clock.now();
    const note = (from: TapeFrame['from'], frame: Buffer | string): void =>
      void frames.push({ at_ms: Math.round(clock.now() - began), from, frame: frame.toString() });
    return noted(await inner(url, dialOptions), note);
  };
  return { model: createModel(provider, config, { clock, dial }), tape };
}

function noted(socket: FrameSocket, note: (from: TapeFrame['from'], frame: Buffer | string) => void): FrameSocket {
  return {
    id: socket.id,
    send(frame) {
      note('session', frame);
      socket.send(frame);
    },
    get bufferedBytes() {
      return socket.bufferedBytes;
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    onFrame: (listener) =>
      socket.onFrame((frame) => {
        note('model', frame);
        listener(frame);
      }),
    onDrain: (listener) => socket.onDrain(listener),
    onClose: (listener) => socket.onClose(listener),
    close: (code, reason) => socket.close(code, reason),
    terminate: () => socket.terminate(),
    get open() {
      return socket.open;
    },
  };
}

export interface TapeRun {
  readonly model: RealtimeModel;
  /** Frames of the session that were unlike those on the tape: by type, in order. */
  readonly differences: { at: number; expected: string | undefined; came: string }[];
  /** Whether all that the model said was played. */
  readonly finished: boolean;
}

/** A model that says what is on a tape. */
export function tapeModel(tape: Tape, options: { clock?: Clock } = {}): TapeRun {
  const differences: TapeRun['differences'] = [];
  let left = tape.connections.reduce((sum, frames) => sum + frames.filter(({ from }) => from === 'model').length, 0);
  let nth = 0;
  const ids = new Map<string, string>();
  const dial: Dial = async () => {
    const frames = tape.connections[nth] ?? [];
    nth += 1;
    const [client, peer] = memorySocketPair();
    let at = 0;
    const play = (): void => {
      for (let next = frames[at]; next?.from === 'model'; next = frames[at]) {
        at += 1;
        left -= 1;
        peer.send(renamed(next.frame, ids));
      }
    };
    peer.onFrame((frame) => {
      const expected = frames[at];
      const came = frame.toString();
      if (expected) rename(JSON.parse(expected.frame), JSON.parse(came), ids);
      const type = typeOf(came);
      const wanted = expected && typeOf(expected.frame);
      if (type !== wanted) differences.push({ at, expected: wanted, came: type });
      if (expected) at += 1;
      play();
    });
    play();
    return client;
  };
  const model = createModel(
    'openai',
    { base_url: 'wss://tape.invalid/v1', key: 'tape' },
    { dial, ...(options.clock === undefined ? {} : { clock: options.clock }) },
  );
  return {
    model,
    differences,
    get finished() {
      return left === 0;
    },
  };
}

function typeOf(frame: string): string {
  const value: unknown = JSON.parse(frame);
  return isObject(value) ? String(value['type']) : '';
}

/** Texts that stand at one place on the tape and in the run, and differ: ids that were made anew. */
function rename(taped: unknown, came: unknown, ids: Map<string, string>): void {
  if (typeof taped === 'string' && typeof came === 'string') {
    if (taped !== came && /^[a-z]+_[\w-]+$/.test(taped)) ids.set(taped, came);
  } else if (Array.isArray(taped) && Array.isArray(came)) {
    for (const [at, value] of taped.entries()) rename(value, came[at], ids);
  } else if (isObject(taped) && isObject(came)) {
    for (const [key, value] of Object.entries(taped)) rename(value, came[key], ids);
  }
}

function renamed(frame: string, ids: ReadonlyMap<string, string>): string {
  let result = frame;
  for (const [old, now] of ids) if (result.includes(old)) result = result.replaceAll(`"${old}"`, `"${now}"`);
  return result;
}
