// One live call: a socket, a microphone and a loudspeaker, held together by the dialogue.

import { type EventRecord, ParleyError, type SessionResource } from '@parley/core';
import { Emitter, type Listener } from '../emitter.ts';
import { decodePcm, levelOf, msOf } from '../pcm.ts';
import type { SessionSocket, SocketEnd, SocketFrame } from '../session-socket.ts';
import type { AudioSink } from './audio.ts';
import {
  cutResponse,
  type Dialogue,
  hear,
  newDialogue,
  reconnected,
  type ToolUpdate,
  type TranscriptUpdate,
} from './dialogue.ts';

/**
 * What the call is doing, for a page to show. `thinking`: the user is done and nothing is heard yet, or a tool works.
 */
export type CallState =
  | 'connecting'
  | 'listening'
  | 'user_speaking'
  | 'thinking'
  | 'speaking'
  | 'reconnecting'
  | 'ended';

export interface CallStats {
  /** Audio that was sent, in milliseconds; silence of a muted microphone included. */
  userAudioMs: number;
  /** Audio that arrived, heard or not. */
  replyAudioMs: number;
  /** Interruptions that cut an answer. */
  interruptions: number;
  /** Audio that a slow network made us drop. */
  droppedAudioMs: number;
}

/** How a call ended. `error` is null when somebody hung up. */
export interface CallEnd {
  reason: string;
  error: ParleyError | null;
  stats: CallStats;
}

/** What a call tells, by name. */
export type CallEvents = {
  state: CallState;
  transcript: TranscriptUpdate;
  tool: ToolUpdate;
  /** About twenty times a second: loudness of microphone and loudspeaker, 0 to 1. */
  level: { mic: number; speaker: number };
  /** The user spoke over an answer, of which so much was heard. */
  interruption: { itemId: string; playedMs: number };
  /** Something was refused or failed; the call goes on unless `end` follows. */
  error: ParleyError;
  /** Every entry of the session's log. */
  event: EventRecord;
  /** Every frame of the realtime socket, entries of the log included. */
  frame: SocketFrame;
  end: CallEnd;
};

export interface CallParts {
  session: SessionResource;
  sink: AudioSink;
  /**
   * Opens the socket again after it was cut, and brings the entries of the log after `seq`; null when the call shall
   * end instead.
   */
  reopen: ((seq: number) => Promise<{ socket: SessionSocket; missed: EventRecord[] }>) | null;
  /** Ends the session on the server. */
  closeSession: (reason: string) => Promise<unknown>;
  /** Releases the audio. */
  release: () => Promise<void>;
}

const TICK_MS = 50;

/** A live call; made by `startCall`. */
export class Call {
  readonly session: SessionResource;
  /** Resolves when the call has ended; it never rejects. */
  readonly ended: Promise<CallEnd>;
  readonly #parts: CallParts;
  readonly #emitter = new Emitter<CallEvents>();
  readonly #dialogue: Dialogue = newDialogue();
  readonly #stats: CallStats = { userAudioMs: 0, replyAudioMs: 0, interruptions: 0, droppedAudioMs: 0 };
  readonly #ticker: ReturnType<typeof setInterval>;
  readonly #finish: (end: CallEnd) => void;
  #socket: SessionSocket;
  #state: CallState = 'connecting';
  #micLevel = 0;
  #muted = false;
  #over: { reason: string } | null = null;
  #released: Promise<void> | undefined;

  constructor(socket: SessionSocket, parts: CallParts) {
    this.session = parts.session;
    this.#parts = parts;
    this.#socket = socket;
    let finish: (end: CallEnd) => void = () => {};
    this.ended = new Promise((resolve) => (finish = resolve));
    this.#finish = finish;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    // A task later, so that whoever started the call can listen before the first frame is told.
    setTimeout(() => this.#adopt(socket), 0);
  }

  /** Adds a listener; the returned function takes it away. */
  on<K extends keyof CallEvents>(name: K, listener: Listener<CallEvents[K]>): () => void {
    return this.#emitter.on(name, listener);
  }

  get state(): CallState {
    return this.#state;
  }

  get stats(): CallStats {
    return { ...this.#stats };
  }

  /** Where the answers are played. */
  get sink(): AudioSink {
    return this.#parts.sink;
  }

  get muted(): boolean {
    return this.#muted;
  }

  /** A muted microphone sends silence: the provider goes on hearing that nobody speaks. */
  mute(muted = true): void {
    this.#muted = muted;
  }

  /** Says `text` in writing, and asks for the answer where the model gives it. */
  sendText(text: string): void {
    this.interrupt();
    this.#socket.sendText(text);
    // A handler is told of the turn by the server and answers it itself; a second answer must not be asked for.
    if (this.session.responder === 'model') this.#socket.respond();
    this.#dialogue.awaiting = true;
    this.#show();
  }

  /** Ends the user's turn, for sessions without turn detection. */
  endTurn(): void {
    this.#socket.commit();
    if (this.session.responder === 'model') this.#socket.respond();
    this.#dialogue.awaiting = true;
    this.#show();
  }

  /** Whether the user says where a turn ends (`endTurn`). Known once the call is live. */
  get pushToTalk(): boolean {
    return this.#dialogue.turnDetection === null;
  }

  /** Cuts the answer that is being heard, as if the user had spoken. */
  interrupt(): void {
    this.#cut(true);
  }

  /**
   * Resolves when nothing has been said, answered or waited for during `forMs` milliseconds (default 0), or the call
   * has ended.
   *
   * @throws ParleyError `cancelled` (or the reason of the abort) when the signal fires.
   */
  quiet(options: { forMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    const { forMs = 0, signal } = options;
    return new Promise((resolve, reject) => {
      let since_ms = performance.now();
      const look = (): void => {
        if (this.#over !== null) return settle();
        if (this.#busy()) since_ms = performance.now() + 1;
        else if (performance.now() - since_ms >= forMs) settle();
      };
      const settle = (error?: ParleyError): void => {
        for (const remove of off) remove();
        signal?.removeEventListener('abort', stop);
        if (error) reject(error);
        else resolve();
      };
      const stop = (): void => settle(ParleyError.from(signal?.reason, 'cancelled'));
      const off = [this.#emitter.on('level', look), this.#emitter.on('end', look)];
      signal?.addEventListener('abort', stop, { once: true });
      if (signal?.aborted) stop();
      else look();
    });
  }

  /** Ends the call and its session. */
  hangUp(reason = 'hung_up'): Promise<CallEnd> {
    return this.#leave(reason, null);
  }

  /** Ends the call because of an error of its own side: the audio broke. */
  fail(error: ParleyError): Promise<CallEnd> {
    this.#emitter.emit('error', error);
    return this.#leave(error.code, error);
  }

  /** Takes a piece of what the microphone heard. */
  hearUser(pcm: Int16Array): void {
    if (this.#over !== null || !this.#dialogue.live) return;
    const heard = this.#muted ? new Int16Array(pcm.length) : pcm;
    this.#micLevel = levelOf(heard);
    try {
      if (this.#socket.appendAudio(heard)) this.#stats.userAudioMs += msOf(pcm.length);
      else this.#stats.droppedAudioMs += msOf(pcm.length);
    } catch (thrown) {
      // Between a cut and its close event a socket takes nothing; the microphone does not wait for it.
      this.#stats.droppedAudioMs += msOf(pcm.length);
      if (ParleyError.from(thrown).code !== 'failed_precondition') throw thrown;
    }
  }

  async #leave(reason: string, error: ParleyError | null): Promise<CallEnd> {
    if (this.#over !== null) return this.ended;
    this.#over = { reason };
    // The microphone first: it must not stay open while a server takes its time.
    await this.#release();
    try {
      await this.#parts.closeSession(reason);
    } catch (thrown) {
      // The close below ends the session as well, only without this reason.
      this.#emitter.emit('error', ParleyError.from(thrown, 'unavailable'));
    }
    this.#socket.close(1000, reason.slice(0, 100));
    await this.#end(error);
    return this.ended;
  }

  #adopt(socket: SessionSocket): void {
    this.#socket = socket;
    socket.on('event', (frame) => this.#receive(frame));
    void socket.closed.then((end) => this.#closed(end));
  }

  #receive(frame: SocketFrame): void {
    if (this.#over !== null) return;
    for (const action of hear(this.#dialogue, frame)) {
      switch (action.do) {
        case 'play': {
          const pcm = decodePcm(action.audio);
          this.#stats.replyAudioMs += msOf(pcm.length);
          this.#parts.sink.write(action.itemId, pcm);
          break;
        }
        case 'interrupt':
          this.#cut(action.cancel);
          break;
        case 'transcript':
          this.#emitter.emit('transcript', action.update);
          break;
        case 'tool':
          this.#emitter.emit('tool', action.update);
          break;
        case 'error':
          this.#emitter.emit(
            'error',
            new ParleyError('failed_precondition', action.message, { details: { code: action.code } }),
          );
          break;
        case 'log':
          this.#emitter.emit('event', action.event);
          break;
        default:
          action satisfies never;
      }
    }
    this.#emitter.emit('frame', frame);
    this.#show();
  }

  #cut(cancel: boolean): void {
    const active = cutResponse(this.#dialogue);
    if (cancel && active !== null) this.#socket.cancel();
    const generating = active !== null && this.#dialogue.audioResponseId === active;
    let interrupted = false;
    for (const { itemId, playedMs, unheardMs } of this.#parts.sink.cut()) {
      // What was heard to its end needs no truncation, unless more of it is on its way.
      if (unheardMs === 0 && !generating) continue;
      this.#socket.truncate(itemId, playedMs);
      this.#emitter.emit('interruption', { itemId, playedMs });
      interrupted = true;
    }
    if (interrupted) this.#stats.interruptions += 1;
  }

  async #closed(end: SocketEnd): Promise<void> {
    if (this.#over !== null) return;
    if (!end.error?.retryable || !this.#parts.reopen) {
      this.#over = { reason: end.reason || (end.error ? 'connection_lost' : 'closed') };
      return this.#end(end.error);
    }
    this.#set('reconnecting');
    reconnected(this.#dialogue);
    try {
      const { socket, missed } = await this.#parts.reopen(this.#dialogue.seq);
      if (this.#left()) return socket.close(1000, 'hung_up');
      for (const event of missed) this.#receive({ type: 'parley.event', event });
      this.#adopt(socket);
    } catch (thrown) {
      if (this.#left()) return;
      this.#over = { reason: 'connection_lost' };
      return this.#end(ParleyError.from(thrown, 'unavailable'));
    }
  }

  /** Somebody may have hung up while something was awaited. */
  #left(): boolean {
    return this.#over !== null;
  }

  async #end(error: ParleyError | null): Promise<void> {
    clearInterval(this.#ticker);
    await this.#release();
    this.#set('ended');
    const end: CallEnd = { reason: this.#over?.reason ?? 'closed', error, stats: this.stats };
    this.#finish(end);
    this.#emitter.emit('end', end);
  }

  /** Gives the audio back, once. */
  #release(): Promise<void> {
    this.#released ??= (async () => {
      try {
        await this.#parts.sink.close();
        await this.#parts.release();
      } catch (thrown) {
        this.#emitter.emit('error', ParleyError.from(thrown, 'internal'));
      }
    })();
    return this.#released;
  }

  #tick(): void {
    this.#show();
    this.#emitter.emit('level', { mic: this.#micLevel, speaker: this.#parts.sink.level });
    this.#micLevel = 0;
  }

  #busy(): boolean {
    const { awaiting, responseId, toolsRunning, userSpeaking } = this.#dialogue;
    return awaiting || userSpeaking || responseId !== null || toolsRunning.size > 0 || this.#parts.sink.pendingMs > 0;
  }

  #show(): void {
    if (this.#over !== null) return;
    const { live, userSpeaking, awaiting, responseId, toolsRunning } = this.#dialogue;
    if (!live) return;
    if (userSpeaking) this.#set('user_speaking');
    else if (this.#parts.sink.pendingMs > 0) this.#set('speaking');
    else if (awaiting || responseId !== null || toolsRunning.size > 0) this.#set('thinking');
    else this.#set('listening');
  }

  #set(state: CallState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#emitter.emit('state', state);
  }
}
