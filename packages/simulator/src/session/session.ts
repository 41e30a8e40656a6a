import { randomSuffix } from '@parley/core';
import type { RawData } from 'ws';
import { bytesOf, samplesOf } from '../audio/format.ts';
import type { Clock, ClockTimer } from '../clock.ts';
import type { Fault, FaultPlan, Occasion } from '../faults.ts';
import type { SimulatorLimits } from '../limits.ts';
import type { Script } from '../script.ts';
import type { Voice } from '../voice.ts';
import { type ClientEvent, isObject, type Wire } from '../wire.ts';
import { configOnWire, patchConfig, type SessionConfig } from './config.ts';
import type { Connection } from './connection.ts';
import { Conversation, type Entry } from './conversation.ts';
import { Echo } from './echo.ts';
import { hear, sendTranscription, transcriptionFault, type TranscriptionFailure } from './hearing.ts';
import { IdleTimer } from './idle.ts';
import { type CommittedAudio, InputBuffer, type InputEvent } from './input-buffer.ts';
import { bytesOfBase64, createdItem, type CreatedItem } from './item-shape.ts';
import { Responder } from './responder.ts';
import type { Response } from './response.ts';
import { responseSettings } from './response-params.ts';
import { invalid, missing, WireError } from './wire-error.ts';

// One session: client events in, in order; the parts decide.

const HEARD_MAX = 256;

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
  /** Session settings as `session.updated` shows them. */
  config(): Wire;
  /** Ends the session as the provider would at its time limit: `session_expired`, then close 1001. */
  expire(): void;
}

type Handler = (session: Session, event: ClientEvent) => void;

export class Session implements SimulatorSession {
  readonly #parts: SessionParts;
  readonly #connection: Connection;
  readonly #occasion: Occasion;
  readonly #conversation: Conversation;
  readonly #input: InputBuffer;
  readonly #responder: Responder;
  readonly #idle: IdleTimer;
  readonly #expiry: ClockTimer;
  readonly #echo: Echo | null;
  /** Frames that wait while a fault delays the session. */
  #held: { data: RawData; binary: boolean }[] | null = null;
  #config: SessionConfig;
  readonly heard: string[] = [];
  #eventsIn = 0;
  #appends = 0;
  #audioBytesIn = 0;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.#config = parts.config;
    this.#connection = parts.connection;
    this.#occasion = { session: parts.config.id, model: parts.config.model };
    this.#conversation = new Conversation({ items: parts.limits.items, audioBytes: parts.limits.audioBytes });
    const { input } = parts.config.audio;
    this.#input = new InputBuffer(input.format, input.turn_detection, parts.limits.turnMs);
    this.#responder = new Responder({
      script: parts.script,
      voice: parts.voice,
      clock: parts.clock,
      faults: parts.faults,
      pace: parts.pace,
      occasion: this.#occasion,
      connection: parts.connection,
      conversation: this.#conversation,
      conversationId: `conv_${randomSuffix()}`,
      config: () => this.#config,
      replied: (response) => this.#replied(response),
    });
    this.#idle = new IdleTimer(parts.clock, (startMs) => this.#idleTimeout(startMs));
    this.#expiry = parts.clock.after(parts.maxMs, () => this.expire());
    this.#echo = parts.script.mode === 'echo' ? new Echo(parts.connection) : null;
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

  get spoken(): readonly string[] {
    return this.#responder.spoken;
  }

  get counts(): SimulatorSession['counts'] {
    return {
      eventsIn: this.#eventsIn,
      eventsOut: this.#connection.eventsSent,
      appends: this.#appends,
      audioBytesIn: this.#audioBytesIn,
      audioBytesOut: this.#responder.audioBytesOut,
    };
  }

  config(): Wire {
    return configOnWire(this.#config);
  }

  /** Greets; nothing may be sent before. */
  begin(): void {
    this.#connection.send({ type: 'session.created', session: this.config() });
  }

  /** The socket is gone. */
  end(): void {
    this.#expiry.cancel();
    this.#idle.cancel();
    this.#responder.close();
    this.#held = null;
  }

  expire(): void {
    const minutes = Math.round(this.#parts.maxMs / 60_000);
    const message = `Your session hit the maximum duration of ${minutes} minutes.`;
    this.#connection.send(new WireError('session_expired', message).toEvent(null));
    this.#connection.close(1001, message);
  }

  /** Takes one frame. */
  receive(data: RawData, binary: boolean): void {
    if (this.#held) {
      this.#held.push({ data, binary });
      return;
    }
    const frame = Buffer.isBuffer(data) ? data : Buffer.concat(Array.isArray(data) ? data : [Buffer.from(data)]);
    this.#eventsIn++;
    if (this.#echo && !binary && this.#echo.answer(frame)) {
      this.#appends++;
      return;
    }
    try {
      const event = readEvent(frame, binary, this.#parts.limits.frameBytes);
      if (this.#strike(event)) return;
      this.#handle(event);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#connection.send(error.toEvent(eventIdIn(error)));
    }
  }

  #handle(event: ClientEvent): void {
    try {
      (HANDLERS[event.type] as Handler)(this, event);
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#connection.send(error.toEvent(typeof event.event_id === 'string' ? event.event_id : null));
    }
  }

  /** A fault on this event; true where the event is not to be handled now. */
  #strike(event: ClientEvent): boolean {
    const append = event.type === 'input_audio_buffer.append';
    const fault = this.#parts.faults.take(append ? 'append' : 'event', { ...this.#occasion, type: event.type });
    if (!fault) return false;
    if (fault.kind === 'delay') {
      this.#hold(fault.ms, () => this.#handle(event));
      return true;
    }
    this.fault(fault);
    return fault.kind === 'drop' || fault.kind === 'close' || fault.kind === 'expire' || fault.kind === 'lose';
  }

  /** What a fault does to the connection of this session. */
  fault(fault: Fault): void {
    if (fault.kind === 'drop') this.#connection.drop();
    if (fault.kind === 'close') this.#connection.close(fault.code, fault.reason);
    if (fault.kind === 'expire') this.expire();
    if (fault.kind === 'stall') this.#connection.stall(fault.ms);
    if (fault.kind === 'frame') this.#connection.frame(fault.data);
    if (fault.kind === 'rate_limit') {
      const message = 'Rate limit reached for this model. Please try again in 20s.';
      this.#connection.send(new WireError('rate_limit_exceeded', message, null, 'rate_limit_error').toEvent(null));
    }
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

  update(event: ClientEvent): void {
    if (event['session'] === undefined) throw missing('session');
    if (!isObject(event['session'])) throw invalid('session', event['session'], 'an object');
    this.#config = patchConfig(this.#config, event['session'], this.#responder.audioBytesOut > 0);
    const { format, turn_detection: detection } = this.#config.audio.input;
    this.#input.configure(format, detection);
    this.#connection.send({ type: 'session.updated', session: this.config() });
  }

  append(event: ClientEvent): void {
    const audio = event['audio'];
    if (typeof audio !== 'string')
      throw audio === undefined ? missing('audio') : invalid('audio', audio, 'base64 audio');
    const bytes = bytesOfBase64(audio);
    if (!bytes)
      throw new WireError(
        'invalid_value',
        "Invalid 'audio'. Expected base64-encoded audio bytes, but got an invalid value.",
        'audio',
      );
    this.#appends++;
    this.#audioBytesIn += bytes.length;
    const happened = this.#input.append(samplesOf(bytes, this.#config.audio.input.format));
    if (happened === null) return;
    if (happened === 'full') {
      const message = `The input audio buffer is at its limit of ${this.#parts.limits.turnMs} ms; commit or clear it.`;
      throw new WireError('input_audio_buffer_full', message);
    }
    for (const one of happened) this.#inputHappened(one);
  }

  #inputHappened(event: InputEvent): void {
    const detection = this.#config.audio.input.turn_detection;
    if (event.kind === 'speech_started') {
      this.#idle.cancel();
      this.#connection.send({
        type: 'input_audio_buffer.speech_started',
        audio_start_ms: event.audioStartMs,
        item_id: event.itemId,
      });
      if (detection?.interrupt_response !== false) this.#responder.interrupt();
      return;
    }
    this.#connection.send({
      type: 'input_audio_buffer.speech_stopped',
      audio_end_ms: event.audioEndMs,
      item_id: event.itemId,
    });
    this.#committed(event.turn);
    if (detection?.create_response !== false) this.#respondByItself(false);
  }

  /** The server creates the response; where one is under way, the error has no client event to name. */
  #respondByItself(idle: boolean): void {
    if (this.#config.type === 'transcription') return;
    try {
      this.#responder.create({
        ...responseSettings(undefined, this.#config, this.#conversation, () => this.#never()),
        idle,
      });
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      this.#connection.send(error.toEvent(null));
    }
  }

  #never(): never {
    throw new WireError('invalid_value', 'A response that the server creates brings no input of its own.');
  }

  /** Audio of the buffer becomes an item of the conversation. */
  #committed(turn: CommittedAudio): void {
    const audioMs = Math.round((turn.pcm.length * 1000) / turn.rate);
    const entry: Entry = this.#entry({
      item: {
        id: turn.itemId,
        object: 'realtime.item',
        type: 'message',
        status: 'completed',
        role: 'user',
        content: [{ type: 'input_audio', transcript: null }],
      },
      audio: { pcm: turn.pcm, rate: turn.rate },
      audioMs,
    });
    const before = this.#conversation.insert(entry);
    this.#connection.send({ type: 'input_audio_buffer.committed', previous_item_id: before, item_id: turn.itemId });
    this.#sendItem(entry, before);
    if (this.#config.audio.input.transcription) void this.#transcribe(entry);
  }

  #sendItem(entry: Entry, before: string | null): void {
    for (const type of ['conversation.item.added', 'conversation.item.done']) {
      this.#connection.send({ type, previous_item_id: before, item: entry.item });
    }
  }

  /** An entry whose sound, if it has one, is being listened to. */
  #entry({ item, audio, audioMs }: CreatedItem): Entry {
    const entry: Entry = { item, audio, audioMs, hearing: null };
    if (audio && item.role === 'user') {
      entry.hearing = hear(audio, (error) => (entry.failure = { code: 'server_error', message: String(error) })).then(
        (heard) => {
          this.heard.push(heard.text);
          if (this.heard.length > HEARD_MAX) this.heard.shift();
          return heard;
        },
      );
    }
    return entry;
  }

  async #transcribe(entry: Entry): Promise<void> {
    const hearing = await entry.hearing;
    const fault = this.#parts.faults.take('transcription', this.#occasion);
    const failure: TranscriptionFailure | null =
      (await transcriptionFault(fault, this.#parts.clock)) ?? entry.failure ?? null;
    const text = hearing?.text ?? '';
    const part = entry.item.content?.[0];
    if (part && !failure) part.transcript = text;
    sendTranscription(this.#connection, entry, text, failure);
  }

  commit(): void {
    const turn = this.#input.commit();
    if (!turn) {
      const message = `Error committing input audio buffer: buffer too small. Expected at least 100ms of audio, but buffer only has ${this.#input.lengthMs.toFixed(2)}ms of audio.`;
      throw new WireError('input_audio_buffer_commit_empty', message);
    }
    this.#committed(turn);
  }

  clear(): void {
    this.#input.clear();
    this.#connection.send({ type: 'input_audio_buffer.cleared' });
  }

  createItem(event: ClientEvent): void {
    const entry = this.#entry(createdItem(event['item'], this.#config.audio.input.format));
    const previous = event['previous_item_id'] ?? undefined;
    if (previous !== undefined && typeof previous !== 'string') throw invalid('previous_item_id', previous, 'a string');
    const before = this.#conversation.insert(entry, previous);
    const userText =
      entry.item.role === 'user' && !entry.audio
        ? entry.item.content?.map((part) => part.text ?? '').join(' ')
        : undefined;
    if (userText !== undefined) this.heard.push(userText);
    this.#sendItem(entry, before);
    if (entry.hearing && this.#config.audio.input.transcription) void this.#transcribe(entry);
  }

  retrieveItem(event: ClientEvent): void {
    const entry = this.#conversation.find(idIn(event));
    if (!entry)
      throw new WireError(
        'item_retrieve_invalid_item_id',
        `Error retrieving item: the item with id '${idIn(event)}' does not exist.`,
        'item_id',
      );
    const { audio, item } = entry;
    if (!audio) return this.#connection.send({ type: 'conversation.item.retrieved', item });
    // The server's view has the sound in it, as long as it is kept.
    const bytes = Buffer.from(bytesOf(audio.pcm, audio.rate, this.#config.audio.input.format)).toString('base64');
    const content = item.content?.map((part) => (part.type === 'input_audio' ? { ...part, audio: bytes } : part));
    this.#connection.send({ type: 'conversation.item.retrieved', item: { ...item, content } });
  }

  truncateItem(event: ClientEvent): void {
    const id = idIn(event);
    const { content_index: index = 0, audio_end_ms: endMs } = event;
    if (endMs === undefined) throw missing('audio_end_ms');
    if (!Number.isInteger(endMs) || (endMs as number) < 0)
      throw invalid('audio_end_ms', endMs, 'an integer of 0 or more');
    this.#conversation.truncate(id, index as number, endMs as number);
    this.#connection.send({
      type: 'conversation.item.truncated',
      item_id: id,
      content_index: index,
      audio_end_ms: endMs,
    });
  }

  deleteItem(event: ClientEvent): void {
    this.#conversation.delete(idIn(event));
    this.#connection.send({ type: 'conversation.item.deleted', item_id: idIn(event) });
  }

  createResponse(event: ClientEvent): void {
    if (this.#config.type === 'transcription')
      throw new WireError('invalid_value', 'A transcription session makes no responses.', 'type');
    this.#responder.create(
      responseSettings(event['response'], this.#config, this.#conversation, (created) => this.#entry(created)),
    );
    this.#idle.cancel();
  }

  cancelResponse(event: ClientEvent): void {
    const id = event['response_id'] ?? undefined;
    if (id !== undefined && typeof id !== 'string') throw invalid('response_id', id, 'a string');
    this.#responder.cancel(id);
  }

  #replied(response: Response): void {
    const timeout = this.#config.audio.input.turn_detection?.idle_timeout_ms;
    if (timeout && !this.#input.speaking) this.#idle.arm(response.playedAtMs, timeout, this.#input.clockMs);
  }

  /** Nobody spoke: an empty turn is committed, and the model prompts again. */
  #idleTimeout(startMs: number): void {
    const turn: CommittedAudio = { itemId: `item_${randomSuffix()}`, pcm: new Int16Array(0), rate: 24_000 };
    this.#connection.send({
      type: 'input_audio_buffer.timeout_triggered',
      audio_start_ms: startMs,
      audio_end_ms: this.#input.clockMs,
      item_id: turn.itemId,
    });
    this.#committed(turn);
    this.#respondByItself(true);
  }
}

const HANDLERS: Record<string, Handler> = {
  'session.update': (session, event) => session.update(event),
  'input_audio_buffer.append': (session, event) => session.append(event),
  'input_audio_buffer.commit': (session) => session.commit(),
  'input_audio_buffer.clear': (session) => session.clear(),
  'output_audio_buffer.clear': () => {
    throw new WireError(
      'invalid_value',
      'output_audio_buffer.clear is for WebRTC and SIP; on WebSocket the client holds the sound.',
      'type',
    );
  },
  'conversation.item.create': (session, event) => session.createItem(event),
  'conversation.item.retrieve': (session, event) => session.retrieveItem(event),
  'conversation.item.truncate': (session, event) => session.truncateItem(event),
  'conversation.item.delete': (session, event) => session.deleteItem(event),
  'response.create': (session, event) => session.createResponse(event),
  'response.cancel': (session, event) => session.cancelResponse(event),
};

const EVENT_NAMES = Object.keys(HANDLERS).map((name) => `'${name}'`);

function idIn(event: ClientEvent): string {
  const id = event['item_id'];
  if (id === undefined) throw missing('item_id');
  if (typeof id !== 'string') throw invalid('item_id', id, 'a string');
  return id;
}

/** Errors found before the event is known to be one carry its id with them. */
const eventIds = new WeakMap<WireError, string>();

function eventIdIn(error: WireError): string | null {
  return eventIds.get(error) ?? null;
}

function readEvent(frame: Buffer, binary: boolean, bytesMax: number): ClientEvent {
  if (binary) throw new WireError('invalid_event', 'Binary frames are not supported; send JSON text frames.');
  if (frame.length > bytesMax)
    throw new WireError('invalid_event', `The event has ${frame.length} bytes; at most ${bytesMax} are accepted.`);
  let event: unknown;
  try {
    event = JSON.parse(frame.toString());
  } catch {
    throw new WireError('invalid_event', 'The event is not valid JSON.');
  }
  if (!isObject(event)) throw new WireError('invalid_event', 'The event must be a JSON object.');
  const error =
    event['type'] === undefined
      ? missing('type')
      : typeof event['type'] !== 'string' || !Object.hasOwn(HANDLERS, event['type'])
        ? new WireError(
            'invalid_value',
            `Invalid value: '${String(event['type'])}'. Supported values are: ${EVENT_NAMES.join(', ')}.`,
            'type',
          )
        : null;
  if (!error) return event as ClientEvent;
  if (typeof event['event_id'] === 'string') eventIds.set(error, event['event_id']);
  throw error;
}
