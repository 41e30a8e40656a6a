// A call as a page shows it: one value that is replaced whenever something of it changes, and the actions of its
// buttons. No framework: `useCall` is thin over it.

import { ParleyError } from '@parley/core';
import type { Call } from './call.ts';
import type { ToolUpdate, TranscriptUpdate } from './dialogue.ts';
import type { CallEnd, CallPath, CallState } from './events.ts';
import { type CallOptions, startCall } from './start.ts';

/** What a page shows of a call. */
export interface CallSnapshot {
  call: Call | null;
  /** `idle` before the first call. */
  state: CallState | 'idle';
  /** What carries the call, once it is there. */
  path: CallPath | null;
  /** What was said, in the order in which it began; the newest 500 lines. */
  lines: readonly TranscriptUpdate[];
  /** Tool calls as far as they got, in the order in which they were called; the newest 200. */
  tools: readonly ToolUpdate[];
  /** The newest error: why a call did not come about, what was refused, why it ended. `callProblemOf` names it. */
  error: ParleyError | null;
  /** How the last call ended. */
  end: CallEnd | null;
  muted: boolean;
  /** Whether the push-to-talk button is held. */
  pressed: boolean;
}

const LINES_MAX = 500;
const TOOLS_MAX = 200;
const IDLE: CallSnapshot = {
  call: null,
  state: 'idle',
  path: null,
  lines: [],
  tools: [],
  error: null,
  end: null,
  muted: false,
  pressed: false,
};

export class CallView {
  #snapshot = IDLE;
  readonly #listeners = new Set<() => void>();
  /** The call that is started or live; its signal ends it. */
  #current: { abort: AbortController; started: Promise<Call | null> } | null = null;

  /** Calls back whenever the snapshot was replaced. Returns what takes the listener away. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  snapshot = (): CallSnapshot => this.#snapshot;

  /**
   * Starts a call, and resolves once it is there, or with null when it did not come about: `error` then says why. It
   * never rejects. While a call is started or live, it resolves with that one.
   */
  start = (options: CallOptions): Promise<Call | null> => {
    if (this.#current !== null) return this.#current.started;
    const abort = new AbortController();
    const current = { abort, started: this.#start(options, abort) };
    this.#current = current;
    return current.started;
  };

  hangUp = async (reason?: string): Promise<void> => {
    const { call } = this.#snapshot;
    if (call) await call.hangUp(reason);
    else this.#current?.abort.abort(new ParleyError('cancelled', reason ?? 'hung_up'));
  };

  mute = (muted = true): void => this.#snapshot.call?.mute(muted);
  unmute = (): void => this.mute(false);
  press = (): void => this.#try((call) => call.press());
  release = (): void => this.#try((call) => call.release());
  interrupt = (): void => this.#try((call) => call.interrupt());
  sendText = (text: string): void => this.#try((call) => call.sendText(text));
  setMicrophone = (deviceId: string): Promise<void> => this.#await((call) => call.setMicrophone(deviceId));
  setSpeaker = (deviceId: string): Promise<void> => this.#await((call) => call.setSpeaker(deviceId));

  /** The page part that showed the call is gone: so is the call. Another may be started afterwards. */
  leave = (): void => {
    const current = this.#current;
    this.#current = null;
    current?.abort.abort(new ParleyError('cancelled', 'the page left the call'));
    // Nobody looks any more: what the call still tells is not shown.
    this.#snapshot = IDLE;
  };

  async #start(options: CallOptions, abort: AbortController): Promise<Call | null> {
    this.#set({ ...IDLE, state: 'connecting' });
    const signal = options.signal ? AbortSignal.any([options.signal, abort.signal]) : abort.signal;
    const mine = (): boolean => this.#current?.abort === abort;
    try {
      const call = await startCall({ ...options, signal });
      // An abort that came with the last step of the start was heard by nobody in there.
      if (signal.aborted) void call.hangUp('aborted');
      if (mine()) this.#follow(call, mine);
      return call;
    } catch (thrown) {
      const error = ParleyError.from(thrown);
      if (mine()) {
        this.#current = null;
        this.#set({ state: 'ended', error: error.code === 'cancelled' ? null : error });
      }
      return null;
    }
  }

  #follow(call: Call, mine: () => boolean): void {
    const told = <T>(change: (value: T) => Partial<CallSnapshot>) => {
      return (value: T): void => {
        if (mine()) this.#set(change(value));
      };
    };
    call.on(
      'state',
      told((state) => ({ state, path: call.path })),
    );
    call.on(
      'transcript',
      told((line) => ({ lines: placed(this.#snapshot.lines, line, 'itemId', LINES_MAX) })),
    );
    call.on(
      'tool',
      told((tool) => ({ tools: placed(this.#snapshot.tools, tool, 'callId', TOOLS_MAX) })),
    );
    call.on(
      'microphone',
      told(({ muted, pressed }) => ({ muted, pressed })),
    );
    call.on(
      'error',
      told((error) => ({ error })),
    );
    this.#set({ call, path: call.path, state: call.state });
    void call.ended.then((end) => {
      if (!mine()) return;
      this.#current = null;
      const error = end.error ?? this.#snapshot.error;
      this.#set({ call: null, state: 'ended', end, error, muted: false, pressed: false });
    });
  }

  #try(act: (call: Call) => void): void {
    const { call } = this.#snapshot;
    if (!call) return;
    try {
      act(call);
    } catch (thrown) {
      this.#set({ error: ParleyError.from(thrown) });
    }
  }

  async #await(act: (call: Call) => Promise<void>): Promise<void> {
    const { call } = this.#snapshot;
    if (!call) return;
    try {
      await act(call);
    } catch (thrown) {
      this.#set({ error: ParleyError.from(thrown) });
    }
  }

  #set(change: Partial<CallSnapshot>): void {
    this.#snapshot = { ...this.#snapshot, ...change };
    for (const listener of [...this.#listeners]) listener();
  }
}

/** The list with this entry in the place of its forerunner, or at the end; what a forerunner knew stays known. */
function placed<T extends object, K extends keyof T>(list: readonly T[], entry: T, id: K, max: number): readonly T[] {
  const at = list.findLastIndex((one) => one[id] === entry[id]);
  if (at < 0) return [...list, entry].slice(-max);
  return list.with(at, { ...list[at], ...known(entry) });
}

function known<T extends object>(entry: T): T {
  return Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== undefined)) as T;
}
