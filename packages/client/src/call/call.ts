// One live call, as whoever talks has it in hand: its parts, put together, and everything that can be done with them.

import { type EventRecord, ParleyError, type SessionResource } from '@parley/core';
import { Emitter, type Listener } from '../emitter.ts';
import type { RealtimeFrame } from '../frame-line.ts';
import type { AudioSink } from './audio.ts';
import { CallDevices } from './call-devices.ts';
import type { CallLine, CallParts } from './call-parts.ts';
import { Connection } from './connection.ts';
import { Conversation } from './conversation.ts';
import type { AudioDevices } from './devices.ts';
import { Ending } from './ending.ts';
import type { CallEnd, CallEvents, CallPath, CallState, CallStats } from './events.ts';
import { Gauges } from './gauges.ts';
import { untilQuiet } from './quiet.ts';
import { TalkButton } from './talk-button.ts';
import { Tally } from './tally.ts';
import { UserAudio } from './user-audio.ts';

/** A live call; made by `startCall`. */
export class Call {
  readonly session: SessionResource;
  /** Where the answers are played. */
  readonly sink: AudioSink;
  readonly #emitter = new Emitter<CallEvents>();
  readonly #tally = new Tally();
  readonly #user: UserAudio;
  readonly #conversation: Conversation;
  readonly #connection: Connection;
  readonly #ending: Ending;
  readonly #button: TalkButton;
  readonly #devices: CallDevices;

  constructor(line: CallLine, parts: CallParts) {
    const { session, sink, microphone, gated } = parts;
    const emitter = this.#emitter;
    const tally = this.#tally;
    const over = (): boolean => this.#ending.begun;
    const report = (error: ParleyError): void => this.report(error);
    this.session = session;
    this.sink = sink;
    const changed = (state: CallEvents['microphone']): void => emitter.emit('microphone', state);
    const user = new UserAudio({ microphone, gated, tally, changed });
    const { responder } = session;
    const connection = (): Connection => this.#connection;
    const conversation = new Conversation({
      path: line.path,
      responder,
      sink,
      user,
      tally,
      emitter,
      connection,
      over,
      failed: (error) => void this.fail(error),
    });
    this.#user = user;
    this.#conversation = conversation;
    this.#connection = new Connection(line, {
      reopen: parts.reopen,
      seq: () => conversation.seq,
      frame: (frame) => conversation.receive(frame),
      lost: () => conversation.cutOff(),
      back: (missed) => {
        tally.reconnected();
        for (const event of missed) conversation.receive({ type: 'parley.event', event });
      },
      over: (end) => void this.#ending.follow(end),
    });
    this.#button = new TalkButton({ call: this, gate: user.gate, line: () => this.#connection.line, over });
    this.#devices = new CallDevices({
      choice: parts.devices,
      told: (devices) => emitter.emit('devices', devices),
      report,
    });
    const gauges = new Gauges({
      emitter,
      line: () => this.#connection.line,
      live: () => conversation.live && !over(),
      look: () => conversation.look(),
      levels: () => ({ mic: user.takeLevel(), speaker: sink.level }),
      report,
    });
    this.#ending = new Ending({
      ...parts,
      connection: this.#connection,
      emitter,
      tally,
      stop: () => {
        gauges.stop();
        this.#devices.stop();
        parts.stop();
      },
      ended: () => conversation.end(),
    });
  }

  /** Adds a listener; the returned function takes it away. */
  on<K extends keyof CallEvents>(name: K, listener: Listener<CallEvents[K]>): () => void {
    return this.#emitter.on(name, listener);
  }

  /** Resolves when the call has ended; it never rejects. */
  get ended(): Promise<CallEnd> {
    return this.#ending.ended;
  }

  get state(): CallState {
    return this.#conversation.state;
  }

  get stats(): CallStats {
    return this.#tally.stats;
  }

  /** What carries the call. */
  get path(): CallPath {
    return this.#connection.line.path;
  }

  get muted(): boolean {
    return this.#user.gate.muted;
  }

  /** A muted microphone sends silence: the provider goes on hearing that nobody speaks. */
  mute(muted = true): void {
    this.#user.gate.mute(muted);
  }

  unmute(): void {
    this.mute(false);
  }

  /**
   * Push-to-talk, pressed: cuts the answer and opens the microphone. Without turn detection the microphone is heard only
   * between `press()` and `release()`; with it, this is a microphone that is muted when it is not pressed.
   */
  press(): void {
    this.#button.press();
  }

  /** Push-to-talk, let go: closes the microphone and, without turn detection, ends the turn. */
  release(): void {
    this.#button.release();
  }

  /** Whether the push-to-talk button is held. */
  get pressed(): boolean {
    return this.#user.gate.pressed;
  }

  /** Says `text` in writing, and asks for the answer where the model gives it. */
  sendText(text: string): void {
    this.interrupt();
    this.#connection.line.sendText(text);
    this.#conversation.ask();
  }

  /** Ends the user's turn, for sessions without turn detection. */
  endTurn(): void {
    this.#connection.line.commit();
    this.#conversation.ask();
  }

  /**
   * Sends any GA frame. What a session takes of a client stands in its `client_events`; the rest is refused.
   *
   * @throws ParleyError `failed_precondition` while the connection is lost.
   */
  send(frame: RealtimeFrame): void {
    this.#connection.line.send(frame);
  }

  /** Microphones and loudspeakers to choose from. @throws ParleyError `failed_precondition` for a call without any. */
  devices(): Promise<AudioDevices> {
    return this.#devices.list();
  }

  /** Hears with another microphone from now on. @throws ParleyError; the one before then goes on. */
  setMicrophone(deviceId: string): Promise<void> {
    return this.#devices.setMicrophone(deviceId);
  }

  /** Plays on another loudspeaker from now on. @throws ParleyError `unimplemented` where browsers do not allow it. */
  setSpeaker(deviceId: string): Promise<void> {
    return this.#devices.setSpeaker(deviceId);
  }

  /** Whether the user says where a turn ends (`endTurn`). Known once the call is live. */
  get pushToTalk(): boolean {
    return this.#conversation.pushToTalk;
  }

  /**
   * Cuts the answer that is being heard, as if the user had spoken.
   *
   * @throws ParleyError where the connection does not take it. It is silent here all the same.
   */
  interrupt(): void {
    this.#conversation.cut(true);
  }

  /**
   * Resolves when nothing has been said, answered or waited for during `forMs` milliseconds (default 0), or the call
   * has ended.
   *
   * @throws ParleyError `cancelled` (or the reason of the abort) when the signal fires.
   */
  quiet(options: { forMs?: number; signal?: AbortSignal } = {}): Promise<void> {
    return untilQuiet(this, () => this.#conversation.busy, options);
  }

  /** Ends the call and its session. */
  hangUp(reason = 'hung_up'): Promise<CallEnd> {
    return this.#ending.leave({ reason, error: null });
  }

  /** Ends the call because of an error of its own side: the audio broke. */
  fail(error: ParleyError): Promise<CallEnd> {
    this.#emitter.emit('error', error);
    return this.#ending.leave({ reason: error.code, error });
  }

  /** Ends the call and its session. The same as `hangUp`. */
  close(reason?: string): Promise<CallEnd> {
    return this.hangUp(reason);
  }

  /** Tells of an error of its own side that the call survives. */
  report(error: ParleyError): void {
    if (!this.#ending.begun) this.#emitter.emit('error', error);
  }

  /** Takes a piece of what the microphone heard. */
  hearUser(pcm: Int16Array): void {
    const { line } = this.#connection;
    if (this.#ending.begun || !this.#conversation.live || line.path !== 'websocket') return;
    this.#user.hear(pcm, line);
  }

  /** Takes an entry of the log that came beside the line. */
  hearLog(event: EventRecord): void {
    this.#conversation.receive({ type: 'parley.event', event });
    if (event.type !== 'session.closed') return;
    const { reason, error } = event;
    void this.#ending.follow({ reason, error: error ? ParleyError.from(error) : null });
  }
}
