// One live call: a line, a microphone and a loudspeaker, held together by the dialogue.

import { type EventRecord, ParleyError, type SessionResource } from '@parley/core';
import { Emitter, type Listener } from '../emitter.ts';
import type { RealtimeFrame, SocketEnd, SocketFrame } from '../frame-line.ts';
import { decodePcm, levelOf, msOf } from '../pcm.ts';
import type { SessionSocket } from '../session-socket.ts';
import type { AudioSink, TrackMicrophone } from './audio.ts';
import type { AudioDevices, DeviceChoice } from './devices.ts';
import { type Action, cutResponse, type Dialogue, hear, newDialogue, reconnected } from './dialogue.ts';
import type { CallEnd, CallEvents, CallPath, CallState, CallStats } from './events.ts';
import { MicrophoneGate } from './microphone-gate.ts';
import type { PeerLine } from './peer-line.ts';
import { asProblem, callProblemOf } from './problems.ts';
import { untilQuiet } from './quiet.ts';

export type CallLine = SessionSocket | PeerLine;

/** A connection that was made again, or the end of the session that was found instead. */
export type Reopened =
  | { line: CallLine; missed: EventRecord[] }
  | { over: { reason: string; error: ParleyError | null } };

export interface CallParts {
  session: SessionResource;
  sink: AudioSink;
  /** A microphone that travels by itself; one that is `hearUser` needs none. */
  microphone?: TrackMicrophone | undefined;
  /** There is a live microphone, which a session without turn detection hears only while it is pressed. */
  gated: boolean;
  devices?: DeviceChoice | undefined;
  /** Opens the line again after it was cut, and brings the entries of the log after `seq`; null to end instead. */
  reopen: ((seq: number) => Promise<Reopened>) | null;
  /** Ends the session on the server. */
  closeSession: (reason: string) => Promise<unknown>;
  /** Releases the audio. */
  release: () => Promise<void>;
  /** Stops whatever else goes on beside the call. */
  stop: () => void;
}

const TICK_MS = 50;
/** The quality is looked at every so many ticks: two seconds. */
const QUALITY_TICKS = 40;
/** Over WebRTC the last words may still travel when the end of the turn, on another way, has arrived. */
const LAST_WORDS_MS = 150;

/** A live call; made by `startCall`. */
export class Call {
  readonly session: SessionResource;
  /** Resolves when the call has ended; it never rejects. */
  readonly ended: Promise<CallEnd>;
  readonly #parts: CallParts;
  readonly #emitter = new Emitter<CallEvents>();
  readonly #dialogue: Dialogue;
  readonly #stats: CallStats = {
    userAudioMs: 0,
    replyAudioMs: 0,
    interruptions: 0,
    droppedAudioMs: 0,
    reconnections: 0,
  };
  readonly #ticker: ReturnType<typeof setInterval>;
  readonly #finish: (end: CallEnd) => void;
  readonly #noDeviceChange: (() => void) | undefined;
  #line: CallLine;
  #state: CallState = 'connecting';
  #micLevel = 0;
  #ticks = 0;
  readonly #gate: MicrophoneGate;
  /** Until when the time of the media was counted. */
  #counted_ms = performance.now();
  #over: { reason: string } | null = null;
  /** Why the control plane gave the last connection up. */
  #broken: ParleyError | null = null;
  #released: Promise<void> | undefined;

  constructor(line: CallLine, parts: CallParts) {
    this.session = parts.session;
    this.#parts = parts;
    this.#line = line;
    this.#dialogue = newDialogue(line.path === 'webrtc' ? 'there' : 'here');
    let finish: (end: CallEnd) => void = () => {};
    this.ended = new Promise((resolve) => (finish = resolve));
    this.#finish = finish;
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#gate = new MicrophoneGate(parts.gated, (told) => {
      parts.microphone?.listen(told.open);
      this.#emitter.emit('microphone', told);
    });
    this.#noDeviceChange = parts.devices?.onChange(() => void this.#tellDevices());
    // A task later, so that whoever started the call can listen before the first frame is told.
    setTimeout(() => this.#adopt(line), 0);
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

  /** What carries the call. */
  get path(): CallPath {
    return this.#line.path;
  }

  /** Where the answers are played. */
  get sink(): AudioSink {
    return this.#parts.sink;
  }

  get muted(): boolean {
    return this.#gate.muted;
  }

  /** A muted microphone sends silence: the provider goes on hearing that nobody speaks. */
  mute(muted = true): void {
    this.#gate.mute(muted);
  }

  unmute(): void {
    this.mute(false);
  }

  /**
   * Push-to-talk, pressed: cuts the answer and opens the microphone. Without turn detection the microphone is heard only
   * between `press()` and `release()`; with it, this is a microphone that is muted when it is not pressed.
   */
  press(): void {
    if (this.#over !== null || this.#gate.pressed) return;
    this.interrupt();
    if (this.pushToTalk) this.#line.clearInput();
    this.#gate.press();
  }

  /** Push-to-talk, let go: closes the microphone and, without turn detection, ends the turn. */
  release(): void {
    if (this.#over !== null || !this.#gate.pressed) return;
    this.#gate.release();
    if (!this.pushToTalk) return;
    if (this.#line.path === 'websocket') return this.endTurn();
    setTimeout(() => {
      if (this.#over !== null || this.#gate.pressed) return;
      try {
        this.endTurn();
      } catch (thrown) {
        // The connection was cut in between.
        this.report(ParleyError.from(thrown));
      }
    }, LAST_WORDS_MS);
  }

  /** Whether the push-to-talk button is held. */
  get pressed(): boolean {
    return this.#gate.pressed;
  }

  /** Says `text` in writing, and asks for the answer where the model gives it. */
  sendText(text: string): void {
    this.interrupt();
    this.#line.sendText(text);
    this.#ask();
  }

  /** Ends the user's turn, for sessions without turn detection. */
  endTurn(): void {
    this.#line.commit();
    this.#ask();
  }

  /**
   * Sends any GA frame. What a session takes of a client stands in its `client_events`; the rest is refused.
   *
   * @throws ParleyError `failed_precondition` while the connection is lost.
   */
  send(frame: RealtimeFrame): void {
    this.#line.send(frame);
  }

  /** Microphones and loudspeakers to choose from. @throws ParleyError `failed_precondition` for a call without any. */
  devices(): Promise<AudioDevices> {
    return this.#choice().list();
  }

  /** Hears with another microphone from now on. @throws ParleyError; the one before then goes on. */
  async setMicrophone(deviceId: string): Promise<void> {
    await this.#choice().setMicrophone(deviceId);
    await this.#tellDevices();
  }

  /** Plays on another loudspeaker from now on. @throws ParleyError `unimplemented` where browsers do not allow it. */
  async setSpeaker(deviceId: string): Promise<void> {
    await this.#choice().setSpeaker(deviceId);
    await this.#tellDevices();
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
    return untilQuiet(this, () => this.#busy(), options);
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

  /** Ends the call and its session. The same as `hangUp`. */
  close(reason?: string): Promise<CallEnd> {
    return this.hangUp(reason);
  }

  /** Tells of an error of its own side that the call survives. */
  report(error: ParleyError): void {
    if (this.#over === null) this.#emitter.emit('error', error);
  }

  /** Takes a piece of what the microphone heard. */
  hearUser(pcm: Int16Array): void {
    const line = this.#line;
    if (this.#over !== null || !this.#dialogue.live || line.path !== 'websocket') return;
    // Between two turns a microphone that has to be pressed is not heard at all.
    if (this.#gate.shut) return;
    const heard = this.#gate.muted ? new Int16Array(pcm.length) : pcm;
    this.#micLevel = levelOf(heard);
    try {
      if (line.appendAudio(heard)) this.#stats.userAudioMs += msOf(pcm.length);
      else this.#stats.droppedAudioMs += msOf(pcm.length);
    } catch (thrown) {
      // Between a cut and its close event a socket takes nothing; the microphone does not wait for it.
      this.#stats.droppedAudioMs += msOf(pcm.length);
      if (ParleyError.from(thrown).code !== 'failed_precondition') throw thrown;
    }
  }

  /** Takes an entry of the log that came beside the line. */
  hearLog(event: EventRecord): void {
    this.#receive({ type: 'parley.event', event });
    if (event.type !== 'session.closed' || this.#over !== null) return;
    void this.#sessionOver(event.reason, event.error ? ParleyError.from(event.error) : null);
  }

  async #sessionOver(reason: string, error: ParleyError | null): Promise<void> {
    this.#over = { reason };
    this.#line.close(1000, reason);
    await this.#end(error);
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
    this.#line.close(1000, reason.slice(0, 100));
    await this.#end(error);
    return this.ended;
  }

  #adopt(line: CallLine): void {
    this.#line = line;
    line.on('event', (frame) => {
      // Over WebRTC the log comes by its own stream, with nothing missing; pieces of it on the channel are not it.
      if (line.path === 'websocket' || frame.type !== 'parley.event') this.#receive(frame);
    });
    void line.closed.then((end) => this.#closed(line, end));
  }

  #receive(frame: SocketFrame): void {
    if (this.#over !== null) return;
    this.#count();
    for (const action of hear(this.#dialogue, frame)) this.#do(action);
    this.#gate.pushToTalk = this.pushToTalk;
    this.#emitter.emit('frame', frame);
    this.#show();
  }

  #do(action: Action): void {
    switch (action.do) {
      case 'play': {
        const pcm = decodePcm(action.audio);
        this.#stats.replyAudioMs += msOf(pcm.length);
        return this.#parts.sink.write(action.itemId, pcm);
      }
      case 'interrupt':
        return this.#cut(action.cancel);
      case 'interrupted':
        this.#stats.interruptions += 1;
        return this.#emitter.emit('interruption', { itemId: action.itemId, playedMs: action.playedMs });
      case 'transcript':
        return this.#emitter.emit('transcript', action.update);
      case 'tool':
        return this.#emitter.emit('tool', action.update);
      case 'error': {
        const { code, message } = action;
        return this.#emitter.emit('error', new ParleyError('failed_precondition', message, { details: { code } }));
      }
      case 'broken': {
        const error = ParleyError.from(action.error);
        this.#broken = action.reason.includes('sideband') ? asProblem('sideband_lost', error) : error;
        return this.#emitter.emit('error', this.#broken);
      }
      case 'log':
        return this.#emitter.emit('event', action.event);
      default:
        return action satisfies never;
    }
  }

  #cut(cancel: boolean): void {
    const active = cutResponse(this.#dialogue);
    if (cancel && active !== null) this.#line.cancel();
    // The far end plays: it is told to fall silent, and tells in turn how much was heard.
    if (this.#dialogue.playingId !== null) this.#line.send({ type: 'output_audio_buffer.clear' });
    const generating = active !== null && this.#dialogue.audioResponseId === active;
    let interrupted = false;
    for (const { itemId, playedMs, unheardMs } of this.#parts.sink.cut()) {
      // What was heard to its end needs no truncation, unless more of it is on its way.
      if (unheardMs === 0 && !generating) continue;
      this.#line.truncate(itemId, playedMs);
      this.#emitter.emit('interruption', { itemId, playedMs });
      interrupted = true;
    }
    if (interrupted) this.#stats.interruptions += 1;
  }

  async #closed(line: CallLine, end: SocketEnd): Promise<void> {
    if (this.#over !== null || line !== this.#line) return;
    if (!end.error?.retryable || !this.#parts.reopen) {
      this.#over = { reason: end.reason || (end.error ? 'connection_lost' : 'closed') };
      return this.#end(end.error);
    }
    this.#set('reconnecting');
    reconnected(this.#dialogue);
    try {
      const back = await this.#parts.reopen(this.#dialogue.seq);
      if (this.#left()) return 'line' in back ? back.line.close(1000, 'hung_up') : undefined;
      if ('over' in back) return await this.#sessionOver(back.over.reason, back.over.error);
      this.#stats.reconnections += 1;
      for (const event of back.missed) this.#receive({ type: 'parley.event', event });
      this.#adopt(back.line);
    } catch (thrown) {
      if (this.#left()) return;
      this.#over = { reason: 'connection_lost' };
      const error = ParleyError.from(thrown, 'unavailable');
      // That it broke is known; why is what the other side said.
      return this.#end(callProblemOf(error) === 'connection_lost' ? (this.#broken ?? error) : error);
    }
  }

  /** Somebody may have hung up while something was awaited. */
  #left(): boolean {
    return this.#over !== null;
  }

  async #end(error: ParleyError | null): Promise<void> {
    clearInterval(this.#ticker);
    this.#noDeviceChange?.();
    this.#parts.stop();
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
    this.#count();
    this.#show();
    const mic = this.#parts.microphone?.level ?? this.#micLevel;
    this.#emitter.emit('level', { mic, speaker: this.#parts.sink.level });
    this.#micLevel = 0;
    this.#ticks += 1;
    if (this.#ticks % QUALITY_TICKS === 0) void this.#tellQuality();
  }

  async #tellQuality(): Promise<void> {
    if (this.#line.path !== 'webrtc' || !this.#dialogue.live) return;
    try {
      const quality = await this.#line.quality();
      if (this.#over === null) this.#emitter.emit('quality', quality);
    } catch (thrown) {
      this.report(ParleyError.from(thrown, 'internal'));
    }
  }

  /** Audio that travels by itself is counted by the clock, up to now. */
  #count(): void {
    const since_ms = this.#counted_ms;
    this.#counted_ms = performance.now();
    if (this.#line.path !== 'webrtc' || !this.#dialogue.live) return;
    if (this.#parts.microphone) this.#stats.userAudioMs += this.#counted_ms - since_ms;
    if (this.#dialogue.playingId !== null) this.#stats.replyAudioMs += this.#counted_ms - since_ms;
  }

  /** Asks for an answer to the turn that has just ended. */
  #ask(): void {
    // A handler is told of the turn by the server and answers it itself; a second answer must not be asked for.
    if (this.session.responder === 'model') this.#line.respond();
    this.#dialogue.awaiting = true;
    this.#show();
  }

  #choice(): DeviceChoice {
    const { devices } = this.#parts;
    if (devices) return devices;
    throw new ParleyError('failed_precondition', 'this call has no microphone and no loudspeaker to choose');
  }

  async #tellDevices(): Promise<void> {
    try {
      this.#emitter.emit('devices', await this.devices());
    } catch (thrown) {
      this.report(ParleyError.from(thrown, 'internal'));
    }
  }

  /** Whether an answer is being heard. */
  #speaking(): boolean {
    return this.#parts.sink.pendingMs > 0 || this.#dialogue.playingId !== null;
  }

  #busy(): boolean {
    const { awaiting, responseId, toolsRunning, userSpeaking } = this.#dialogue;
    return awaiting || userSpeaking || responseId !== null || toolsRunning.size > 0 || this.#speaking();
  }

  #show(): void {
    if (this.#over !== null) return;
    const { live, userSpeaking, awaiting, responseId, toolsRunning } = this.#dialogue;
    if (!live) return;
    if (userSpeaking) this.#set('user_speaking');
    else if (this.#speaking()) this.#set('speaking');
    else if (awaiting || responseId !== null || toolsRunning.size > 0) this.#set('thinking');
    else this.#set('listening');
  }

  #set(state: CallState): void {
    if (this.#state === state) return;
    this.#state = state;
    this.#emitter.emit('state', state);
  }
}
