// A call in a React page.

import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import { type CallSnapshot, CallView } from './call/call-view.ts';
import type { Call } from './call/call.ts';
import type { CallOptions } from './call/start.ts';

export type { CallSnapshot } from './call/call-view.ts';

/** What a page shows of its call, and its buttons. The functions are the same ones in every render. */
export interface UseCall extends CallSnapshot {
  /**
   * Starts a call; call it from a click. Resolves with null when the call did not come about, and `error` says why; it
   * never rejects. While a call is started or live, it resolves with that one.
   */
  start: (options: CallOptions) => Promise<Call | null>;
  hangUp: (reason?: string) => Promise<void>;
  mute: (muted?: boolean) => void;
  unmute: () => void;
  /** Push-to-talk: held, and let go. */
  press: () => void;
  release: () => void;
  interrupt: () => void;
  sendText: (text: string) => void;
  setMicrophone: (deviceId: string) => Promise<void>;
  setSpeaker: (deviceId: string) => Promise<void>;
}

/**
 * One call of one component: it is hung up when the component goes. What fails is in `error`, and is never thrown.
 *
 * @example
 * function Talk({ token }: { token: string }) {
 *   const { state, lines, start, hangUp } = useCall();
 *   return state === 'idle' || state === 'ended'
 *     ? <button onClick={() => start({ url: location.origin, token, audio: true })}>Call</button>
 *     : <><button onClick={() => hangUp()}>Hang up</button>{lines.map((line) => <p key={line.itemId}>{line.text}</p>)}</>;
 * }
 */
export function useCall(): UseCall {
  const [view] = useState(() => new CallView());
  // StrictMode leaves and comes back at once; a view that was left can start another call.
  useEffect(() => view.leave, [view]);
  const snapshot = useSyncExternalStore(view.subscribe, view.snapshot, view.snapshot);
  return useMemo(() => {
    const { start, hangUp, mute, unmute, press, release, interrupt, sendText, setMicrophone, setSpeaker } = view;
    return {
      ...snapshot,
      ...{ start, hangUp, mute, unmute, press, release, interrupt, sendText, setMicrophone, setSpeaker },
    };
  }, [view, snapshot]);
}

/** How loud microphone and loudspeaker are, 0 to 1, some twenty times a second: for a component of its own. */
export function useCallLevel(call: Call | null): { mic: number; speaker: number } {
  const [level, setLevel] = useState(SILENCE);
  useEffect(() => {
    const off = call?.on('level', setLevel);
    return () => {
      off?.();
      setLevel(SILENCE);
    };
  }, [call]);
  return level;
}

const SILENCE = { mic: 0, speaker: 0 };
