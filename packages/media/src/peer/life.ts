import { ParleyError } from '@parley/core';
import type { MediaEnd, MediaState } from './media-peer.ts';
import type { PeerTerms } from './options.ts';

// From a description to the end of a connection: what drivers report becomes one state and one end, under time limits.

type Stage = 'ice' | 'dtls' | 'data channel' | 'connected';

const WHAT_FAILED: Record<Stage, string> = {
  ice: 'no network path to the peer was found',
  dtls: 'the peer did not complete the DTLS handshake',
  'data channel': 'the peer opened no data channel',
  connected: 'the connection to the peer was lost',
};

export class Life {
  readonly #terms: PeerTerms;
  /** Releases what the driver holds. */
  readonly #release: () => void;
  readonly #onEnd: ((end: MediaEnd) => void)[] = [];
  #onConnected: (() => void) | null = null;
  #state: MediaState = 'new';
  #stage: Stage = 'ice';
  #end: MediaEnd | null = null;
  /** Whether the far side's data channel is there, or not asked for. */
  #channel: boolean;
  #timer: { cancel(): void } | null = null;

  constructor(terms: PeerTerms, release: () => void) {
    this.#terms = terms;
    this.#release = release;
    this.#channel = terms.channelMs === null;
  }

  get state(): MediaState {
    return this.#state;
  }

  /** The one exchange of descriptions begins; throws `failed_precondition` for a second one. */
  begin(): void {
    if (this.#state !== 'new') {
      throw new ParleyError('failed_precondition', `a peer takes one exchange of descriptions; it is ${this.#state}`);
    }
    this.#state = 'connecting';
  }

  /** The description is out: from here the far side's time runs. */
  described(): void {
    if (this.#state === 'connecting') this.#limit(this.#terms.connectMs);
  }

  iceConnected(): void {
    if (this.#stage === 'ice') this.#stage = 'dtls';
  }

  /** DTLS is through: what may still be missing is the association of the data channels. */
  secured(): void {
    if (this.#stage === 'ice' || this.#stage === 'dtls') this.#stage = 'data channel';
  }

  connected(): void {
    if (this.#state === 'ended') return;
    this.#timer?.cancel();
    this.#timer = null;
    const first = this.#state !== 'connected';
    this.#state = 'connected';
    this.#stage = this.#channel ? 'connected' : 'data channel';
    if (this.#terms.channelMs !== null && !this.#channel) this.#limit(this.#terms.channelMs);
    if (first) this.#onConnected?.();
  }

  /** A data channel of the far side is open. */
  channelOpened(): void {
    if (this.#channel) return;
    this.#channel = true;
    if (this.#stage !== 'data channel') return;
    this.#stage = 'connected';
    this.#timer?.cancel();
    this.#timer = null;
  }

  /** Packets stopped; they may come back. */
  disconnected(): void {
    if (this.#state === 'connected' && !this.#timer) this.#limit(this.#terms.lostMs);
  }

  failed(): void {
    this.#fail(this.#stage === 'connected' ? 'aborted' : 'unavailable', '');
  }

  closed(by: 'us' | 'peer'): void {
    this.#finish({ kind: 'closed', by });
  }

  onConnected(listener: () => void): void {
    this.#onConnected = listener;
  }

  onEnd(listener: (end: MediaEnd) => void): void {
    const end = this.#end;
    if (end) queueMicrotask(() => listener(end));
    else this.#onEnd.push(listener);
  }

  #limit(ms: number): void {
    this.#timer?.cancel();
    this.#timer = this.#terms.clock.after(ms, () => this.#fail('deadline_exceeded', ` within ${ms} ms`));
  }

  #fail(code: 'deadline_exceeded' | 'unavailable' | 'aborted', within: string): void {
    const details = { boundary: this.#terms.boundary, stage: this.#stage };
    const error = new ParleyError(code, `WebRTC: ${WHAT_FAILED[this.#stage]}${within}`, { details });
    this.#finish({ kind: 'failed', error });
  }

  #finish(end: MediaEnd): void {
    if (this.#end) return;
    this.#end = end;
    this.#state = 'ended';
    this.#timer?.cancel();
    this.#timer = null;
    this.#release();
    for (const listener of this.#onEnd) listener(end);
    this.#onEnd.length = 0;
  }
}
