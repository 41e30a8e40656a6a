import { ParleyError } from '@parley/core';

// Faults on request: what goes wrong, where, and how often.

/** Where a fault strikes. */
export type FaultPoint =
  /** The WebSocket upgrade request. */
  | 'upgrade'
  /** A socket that opened, before `session.created`. */
  | 'connected'
  /** An `input_audio_buffer.append` that came in. */
  | 'append'
  /** Any other client event; `match.type` picks one. */
  | 'event'
  /** A response that begins, after `response.created` is sent. */
  | 'response'
  /** An input transcription that is about to be sent. */
  | 'transcription'
  /** A server event that is about to be sent; `match.type` picks one. */
  | 'send'
  /** `POST /v1/realtime/calls`. */
  | 'call'
  /** The media of a call that is being answered. */
  | 'media'
  /** The upgrade request of a sideband. */
  | 'sideband'
  /** A server event that is about to be sent to the sidebands of a call; they alone are struck. */
  | 'sideband_send'
  /** A request for a completion, a transcript or about a key: `match.type` is `chat`, `transcription` or `probe`. */
  | 'request'
  /** A chunk of a streamed completion that is about to be sent. */
  | 'chunk';

interface FaultBase {
  when: FaultPoint;
  /** Lets this many occasions pass first. Default 0. */
  after?: number;
  /** Strikes this many times. Default 1; Infinity: always. */
  times?: number;
  /** Only for this model, session or event type. */
  match?: { model?: string; session?: string; type?: string };
}

/** One thing that goes wrong. */
export type Fault = FaultBase &
  (
    | { kind: 'delay'; ms: number } /** Everything of that session waits. */
    | { kind: 'drop' } /** The TCP connection is cut: the client sees 1006. */
    | {
        kind: 'status';
        status: number;
        body?: unknown;
        headers?: Record<string, string>;
      } /** An HTTP answer instead. */
    | { kind: 'error_chunk'; status?: number; message?: string } /** `chunk`: a failure in the middle of an answer. */
    | { kind: 'close'; code: number; reason?: string } /** A close frame. */
    | { kind: 'expire' } /** `session_expired`, close 1001. */
    | { kind: 'stall'; ms?: number } /** Nothing is read or sent any more (for `ms`, else for ever). */
    | { kind: 'frame'; data: string | Uint8Array } /** A frame out of the blue; bytes make a binary frame. */
    | { kind: 'rate_limit' } /** `response`: an error event, and the response fails. */
    | { kind: 'fail'; code?: string; message?: string } /** `transcription`: failed. */
    | { kind: 'lose' } /** `send`: that event is not sent. */
    | { kind: 'duplicate' } /** `send`: that event is sent twice. */
    | { kind: 'no_ice' } /** `media`: the answer's candidates lead nowhere, so ICE never connects. */
    | { kind: 'no_channel' } /** `media`: sound flows, but the data channel never opens. */
    | { kind: 'no_response_created' } /** The next `response.created` is not sent; give `when: 'send'`. */
  );

const OF_A_SOCKET = ['drop', 'close', 'stall', 'frame'] as const;

/** What can strike where. */
const KINDS: Record<FaultPoint, readonly Fault['kind'][]> = {
  upgrade: ['delay', 'drop', 'status', 'stall'],
  connected: [...OF_A_SOCKET, 'delay', 'expire', 'rate_limit'],
  append: [...OF_A_SOCKET, 'delay', 'expire', 'rate_limit', 'lose'],
  event: [...OF_A_SOCKET, 'delay', 'expire', 'rate_limit', 'lose'],
  response: [...OF_A_SOCKET, 'delay', 'rate_limit'],
  transcription: ['delay', 'fail'],
  send: [...OF_A_SOCKET, 'lose', 'duplicate', 'no_response_created'],
  call: ['delay', 'drop', 'status', 'stall'],
  media: ['no_ice', 'no_channel'],
  sideband: ['delay', 'drop', 'status', 'stall'],
  sideband_send: ['drop', 'close', 'lose'],
  request: ['delay', 'drop', 'status', 'stall'],
  chunk: ['delay', 'drop', 'error_chunk', 'frame', 'stall'],
};

/** What is happening, for a fault to be matched against. */
export interface Occasion {
  model?: string | undefined;
  session?: string | undefined;
  type?: string | undefined;
}

interface Planned {
  fault: Fault;
  toSkip: number;
  left: number;
}

/**
 * The faults of a simulator; they can be added and cleared while it runs.
 *
 * @example
 * simulator.faults.add({ when: 'upgrade', kind: 'status', status: 429 });
 * simulator.faults.add({ when: 'append', after: 100, kind: 'drop' });
 */
export class FaultPlan {
  #planned: Planned[] = [];

  /** Adds a fault; the result takes it back. Throws `invalid_argument` where it cannot strike at that point. */
  add(fault: Fault): () => void {
    if (!KINDS[fault.when].includes(fault.kind)) {
      const message = `a fault at ${fault.when} is one of ${KINDS[fault.when].join(', ')}; got ${fault.kind}`;
      throw new ParleyError('invalid_argument', message);
    }
    const planned = { fault, toSkip: fault.after ?? 0, left: fault.times ?? 1 };
    this.#planned.push(planned);
    return () => {
      this.#planned = this.#planned.filter((other) => other !== planned);
    };
  }

  clear(): void {
    this.#planned = [];
  }

  /** The faults that still wait to strike. */
  list(): Fault[] {
    return this.#planned.map(({ fault }) => fault);
  }

  /** The fault that strikes now, if any. It counts as used. */
  take(when: FaultPoint, occasion: Occasion): Fault | null {
    // The usual case is a plan without faults, on the path of every frame.
    if (this.#planned.length === 0) return null;
    for (const planned of this.#planned) {
      if (planned.fault.when !== when || !matches(planned.fault, occasion)) continue;
      if (planned.toSkip > 0) {
        planned.toSkip--;
        continue;
      }
      planned.left--;
      if (planned.left <= 0) this.#planned = this.#planned.filter((other) => other !== planned);
      return planned.fault;
    }
    return null;
  }
}

function matches(fault: Fault, { model, session, type }: Occasion): boolean {
  const wanted = fault.match;
  const wantedType = fault.kind === 'no_response_created' ? 'response.created' : wanted?.type;
  return (
    (wanted?.model === undefined || wanted.model === model) &&
    (wanted?.session === undefined || wanted.session === session) &&
    (wantedType === undefined || wantedType === type)
  );
}
