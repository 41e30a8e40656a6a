import { randomSuffix } from '@parley/core';
import type { Playout } from '@parley/media';
import type { RawData } from 'ws';
import { CALL_FORMAT } from '../audio/format.ts';
import type { Clock, ClockTimer } from '../clock.ts';
import type { Dialect } from '../dialect.ts';
import type { Fault, FaultPlan, Occasion } from '../faults.ts';
import type { SimulatorLimits } from '../limits.ts';
import type { Script } from '../script.ts';
import type { Voice } from '../voice.ts';
import { type ClientEvent, isObject, type Item, type Wire } from '../wire.ts';
import { type ClientEventType, idOf, readEvent } from './client-event.ts';
import { configOnWire, patchConfig, type SessionConfig } from './config.ts';
import type { Connection } from './connection.ts';
import type { Line } from './line.ts';
import { Playback } from './playback.ts';
import { Conversation } from './conversation.ts';
import { Echo } from './echo.ts';
import { transcriptionFault } from './hearing.ts';
import { Items } from './items.ts';
import { Listening } from './listening.ts';
import { Responder } from './responder.ts';
import { responseSettings } from './response-params.ts';
import { invalid, missing, WireError } from './wire-error.ts';

// One session: frames in, in order, each to the part that it is for.

export interface SessionParts {
  connection: Connection;
  config: SessionConfig;
  script: Script;
  voice: Voice;
  clock: Clock;
  faults: FaultPlan;
  pace: number;
  maxMs: number;
  limits: SimulatorLimits;
  /** The names of its wire, where they are not OpenAI's. */
  dialect?: Dialect | undefined;
  /** Plays the sound of a call; null where sound is sent as events. */
  playout: Playout | null;
}

/** A live session, as tests and dashboards see it. */
export interface SimulatorSession {
  readonly id: string;
  readonly model: string;
  readonly type: 'realtime' | 'transcription';
  /** What was heard in each user turn, the last 256; '' for a voice without a code. */
  readonly heard: readonly string[];
  /** What was said in each answer, as far as it was said, the last 256. */
  readonly spoken: readonly string[];
  readonly counts: {
    readonly eventsIn: number;
    readonly eventsOut: number;
    readonly appends: number;
    readonly audioBytesIn: number;
    readonly audioBytesOut: number;
  };
  /** The settings, as `session.updated` shows them. */
  config(): Wire;
  /** What the model knows of the conversation, in order. */
  items(): readonly Item[];
  /** Ends the session as the provider would at its time limit: `session_expired`, then close 1001. */
  expire(): void;
}

export class Session implements SimulatorSession {
  readonly #parts: SessionParts;
  readonly #connection: Connection;
  readonly #occasion: Occasion;
  readonly #conversation: Conversation;
  readonly #items: Items;
  readonly #listening: Listening;
  readonly #responder: Responder;
  readonly #expiry: ClockTimer;
  readonly #echo: Echo | null;
  readonly #playback: Playback | null;
  #config: SessionConfig;
  /** Frames that wait while a fault delays the session. */
  #held: { data: RawData; binary: boolean }[] | null = null;
  #eventsIn = 0;
  /** Whether the last sound of a call did not fit. */
  #full = false;

  constructor(parts: SessionParts) {
    const { clock, connection, faults, limits, script } = parts;
    this.#parts = parts;
    this.#config = parts.config;
    this.#connection = connection;
    this.#occasion = { session: parts.config.id, model: parts.config.model };
    const conversation = new Conversation({ items: limits.items, audioBytes: limits.audioBytes });
    const config = () => this.#config;
    this.#conversation = conversation;
    const { playout } = parts;
    this.#playback = playout && new Playback({ connection, conversation, playout });
    this.#responder = new Responder({
      ...parts,
      occasion: this.#occasion,
      conversation,
      conversationId: `conv_${randomSuffix()}`,
      config,
      playback: this.#playback,
      replied: (response) => this.#listening.replied(response.playedAtMs),
    });
    this.#items = new Items({
      connection,
      conversation,
      config,
      transcriptionFault: () => transcriptionFault(faults.take('transcription', this.#occasion), clock),
    });
    this.#listening = new Listening({
      connection,
      conversation,
      items: this.#items,
      clock,
      config,
      format: () => (playout ? CALL_FORMAT : this.#config.audio.input.format),
      turnMsMax: limits.turnMs,
      interrupt: () => this.#responder.interrupt(),
      respond: (idle) => this.#respondByItself(idle),
    });
    this.#expiry = clock.after(parts.maxMs, () => this.expire());
    this.#echo = script.mode === 'echo' ? new Echo(connection) : null;
  }

  get id(): string {
    return this.#config.id;
  }

  get model(): string {
    return this.#config.model;
  }

  get type(): SessionConfig['type'] {
    return this.#config.type;
  }

  /** Whether it is a load that is sent back, and no conversation. */
  get echoes(): boolean {
    return this.#echo !== null;
  }

  get heard(): readonly string[] {
    return this.#items.heard;
  }

  get spoken(): readonly string[] {
    return this.#responder.spoken;
  }

  get counts(): SimulatorSession['counts'] {
    return {
      eventsIn: this.#eventsIn,
      eventsOut: this.#connection.eventsSent,
      appends: this.#listening.appends + (this.#echo?.answered ?? 0),
      audioBytesIn: this.#listening.audioBytesIn,
      audioBytesOut: this.#responder.audioBytesOut,
    };
  }

  config(): Wire {
    return configOnWire(this.#config);
  }

  items(): readonly Item[] {
    return this.#conversation.entries.map(({ item }) => item);
  }

  /** Greets; nothing is sent before. */
  begin(line: Line): void {
    this.#connection.sendTo(line, { type: 'session.created', session: this.config() });
  }

  /** Sound of a call. */
  hear(samples: Int16Array): void {
    if (this.#echo) return;
    try {
      this.#listening.hear(samples, samples.byteLength);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      // There is no event to answer, and sound comes fifty times a second: it is told once until it fits again.
      if (!this.#full) this.#sendError(error, null);
      this.#full = true;
      return;
    }
    this.#full = false;
  }

  /** The socket is gone. */
  end(): void {
    this.#expiry.cancel();
    this.#listening.stopWaiting();
    this.#responder.close();
    this.#held = null;
  }

  expire(): void {
    const minutes = Math.round(this.#parts.maxMs / 60_000);
    const message = `Your session hit the maximum duration of ${minutes} minutes.`;
    this.#sendError(new WireError('session_expired', message), null);
    this.#connection.close(1001, message);
  }

  /** Takes one frame. */
  receive(data: RawData, binary: boolean): void {
    if (this.#held) {
      this.#held.push({ data, binary });
      return;
    }
    this.#eventsIn++;
    const frame = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    if (this.#echo && !binary && this.#echo.answer(frame)) return;
    const reading = readEvent(frame, binary, this.#parts.limits.frameBytes);
    if (reading.kind === 'error') return this.#sendError(reading.error, reading.eventId);
    const event = this.#parts.dialect?.in(reading.event) ?? reading.event;
    if (!this.#strike(event)) this.#handle(event);
  }

  #handle(event: ClientEvent & { type: ClientEventType }): void {
    try {
      this.#dispatch(event);
    } catch (error) {
      // A surprise is a defect of the simulator; it is told like one of the provider's, and ends no other session.
      this.#sendError(error instanceof WireError ? error : WireError.internal(error), idOf(event));
    }
  }

  #sendError(error: WireError, eventId: string | null): void {
    this.#connection.send(error.toEvent(eventId));
  }

  #dispatch(event: ClientEvent & { type: ClientEventType }): void {
    switch (event.type) {
      case 'session.update':
        return this.#update(event);
      case 'input_audio_buffer.append':
        return this.#append(event);
      case 'input_audio_buffer.commit':
        return this.#listening.commit();
      case 'input_audio_buffer.clear':
        return this.#listening.clear();
      case 'conversation.item.create':
        return this.#items.create(event);
      case 'conversation.item.retrieve':
        return this.#items.retrieve(event);
      case 'conversation.item.truncate':
        return this.#items.truncate(event);
      case 'conversation.item.delete':
        return this.#items.delete(event);
      case 'response.create':
        return this.#createResponse(event);
      case 'response.cancel':
        return this.#cancelResponse(event);
      case 'output_audio_buffer.clear':
        return this.#silence();
    }
  }

  #append(event: ClientEvent): void {
    if (!this.#playback) return this.#listening.append(event);
    throw new WireError('invalid_value', 'The sound of a call comes over its media connection.', 'type');
  }

  #silence(): void {
    if (this.#playback) return this.#responder.interrupt('client_cancelled');
    const message = 'output_audio_buffer.clear is for WebRTC and SIP; on WebSocket the client holds the sound.';
    throw new WireError('invalid_value', message, 'type');
  }

  #update(event: ClientEvent): void {
    if (event['session'] === undefined) throw missing('session');
    if (!isObject(event['session'])) throw invalid('session', event['session'], 'an object');
    this.#config = patchConfig(this.#config, event['session'], this.#responder.audioBytesOut > 0);
    this.#listening.configure();
    this.#connection.send({ type: 'session.updated', session: this.config() });
  }

  #createResponse(event: ClientEvent): void {
    if (this.type === 'transcription')
      throw new WireError('invalid_value', 'A transcription session makes no responses.', 'type');
    const settings = responseSettings(event['response'], this.#config, this.#conversation, (created) =>
      this.#items.entry(created),
    );
    this.#responder.create(settings);
    this.#listening.stopWaiting();
  }

  #cancelResponse(event: ClientEvent): void {
    const id = event['response_id'] ?? undefined;
    if (id !== undefined && typeof id !== 'string') throw invalid('response_id', id, 'a string');
    this.#responder.cancel(id);
  }

  /** The server creates the response; where one is under way, the error has no client event to name. */
  #respondByItself(idle: boolean): void {
    if (this.type === 'transcription') return;
    const settings = responseSettings(undefined, this.#config, this.#conversation, (created) =>
      this.#items.entry(created),
    );
    try {
      this.#responder.create({ ...settings, idle });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#sendError(error, null);
    }
  }

  /** A fault on this event; true where the event is not to be handled now. */
  #strike(event: ClientEvent & { type: ClientEventType }): boolean {
    const when = event.type === 'input_audio_buffer.append' ? 'append' : 'event';
    const fault = this.#parts.faults.take(when, { ...this.#occasion, type: event.type });
    if (!fault) return false;
    if (fault.kind === 'delay') {
      this.#hold(fault.ms, () => this.#handle(event));
      return true;
    }
    this.strike(fault);
    return ['drop', 'close', 'expire', 'lose', 'rate_limit'].includes(fault.kind);
  }

  /** What a fault does to the connection of this session. */
  strike(fault: Fault): void {
    if (fault.kind === 'expire') this.expire();
    else if (fault.kind === 'rate_limit') this.#sendError(WireError.rateLimit(), null);
    else this.#connection.strike(fault);
  }

  /** Lets everything wait; the socket is not read meanwhile, so what waits is what was already read. */
  #hold(ms: number, then: () => void): void {
    this.#held = [];
    this.#connection.pauseReading();
    this.#parts.clock.after(ms, () => {
      const held = this.#held ?? [];
      this.#held = null;
      if (!this.#connection.open) return;
      this.#connection.resumeReading();
      then();
      for (const { data, binary } of held) this.receive(data, binary);
    });
  }
}
