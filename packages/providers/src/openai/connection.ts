// One session with OpenAI Realtime: each frame goes to the client first, then, when it is structural, to the events.

import { type ErrorObject, type ModelCommand, type ModelEvent, newId } from '@parley/core';
import { audioBytes, type Clock, type FrameClose, type FrameSocket, frameType } from '@parley/transport';
import type { CallControl } from './call-control.ts';
import type { ModelClosed, ModelConnection, ModelOwner, ModelSessionOptions } from '../port.ts';
import { ClientView, HIDDEN_TYPES, publicSession } from './client-view.ts';
import { commandFrame } from './commands.ts';
import type { Dialect } from './dialect.ts';
import { closeError, isRecoverable, providerError, type Redact } from './errors.ts';
import { Media } from './media.ts';
import { Responses } from './responses.ts';
import { CALL_ENDED } from './sideband.ts';
import { ToldCalls } from './told-calls.ts';
import { ToolCalls } from './tool-calls.ts';
import { Turns } from './turns.ts';
import { decoded, encoded, listIn, numberIn, objectIn, textIn, type Wire, type WireFrame } from './wire.ts';

/** Commands whose refusal could still come. */
const SENT_MAX = 256;
const AUDIO_DELTA = 'response.output_audio.delta';

/** Frames that say something of the session; all others pass unread. */
const STRUCTURAL: ReadonlySet<string> = new Set([
  'error',
  'session.created',
  'session.updated',
  'output_audio_buffer.stopped',
  'input_audio_buffer.speech_started',
  'input_audio_buffer.speech_stopped',
  'input_audio_buffer.committed',
  'input_audio_buffer.cleared',
  'conversation.item.added',
  'conversation.item.created',
  'conversation.item.done',
  'conversation.item.retrieved',
  'conversation.item.deleted',
  'conversation.item.truncated',
  'conversation.item.input_audio_transcription.completed',
  'conversation.item.input_audio_transcription.failed',
  'response.created',
  'response.done',
  'response.output_item.added',
  'response.output_item.done',
  'response.output_audio_transcript.done',
  'response.output_text.done',
]);

const SMALL_BYTES = 1024;

type OwnerListener = Parameters<ModelOwner['onFrame']>[0];

export interface ConnectionOptions {
  socket: FrameSocket;
  /** The session as the provider confirmed it. */
  session: Wire;
  responder: ModelSessionOptions['responder'];
  clock: Clock;
  redact: Redact;
  dialect: Dialect;
  /** The newest handle of the provider, where it has handles. */
  resumeHandle?: (() => string | undefined) | undefined;
  /** Registers who is told that the provider is about to end the connection. */
  onGoingAway?: ((listener: (ms: number) => void) => void) | undefined;
  /** Set where the media of the session are a call between its client and the provider. */
  call?: CallControl;
}

export class OpenAIConnection implements ModelConnection {
  provider_session_id: string | undefined;
  readonly media: Media;
  readonly owner: ModelOwner;
  readonly closed: Promise<ModelClosed>;
  readonly #options: ConnectionOptions;
  readonly #view = new ClientView();
  readonly #turns: Turns;
  readonly #responses: Responses;
  readonly #calls: ToolCalls;
  /** Set where the provider takes no items of calls that it did not make. */
  readonly #told: ToldCalls | null;
  /** Commands by the id of their frame. */
  readonly #sent = new Map<string, string>();
  /** Items that this side added: they are no turns of the user. */
  readonly #ownItems = new Set<string>();
  #listener: ((event: ModelEvent) => void) | null = null;
  #owner: OwnerListener | null = null;
  /** Frames that came with the last one of the handshake. */
  #early: Buffer[] | null = [];
  #lastError: ErrorObject | undefined;
  #closing: string | null = null;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    const { socket, session, clock, redact, call, dialect } = options;
    this.#told = dialect.callsAre === 'text' ? new ToldCalls() : null;
    this.provider_session_id = textIn(session, 'id');
    const greeting = encoded({ type: 'session.created', event_id: 'event_0', session: publicSession(session) });
    this.media = new Media(socket, session, greeting, (error) => {
      this.#emit({ type: 'provider.failed', error, command_id: 'client' });
    });
    const emit = (event: ModelEvent): void => {
      if (call && event.type === 'response.completed') this.media.told({ reply_audio_ms: event.audio_ms });
      this.#emit(event);
    };
    this.owner = {
      session,
      onFrame: (listener) => {
        this.#owner = listener;
      },
      send: (event) => this.#out(event),
      sendAudio: (audio) => this.media.sendAudio(audio),
    };
    const input = objectIn(objectIn(session, 'audio'), 'input');
    const transcribes = typeof input['transcription'] === 'object' && input['transcription'] !== null;
    const sent_ms = (): number | undefined => (call ? undefined : this.media.userAudioMs);
    this.#turns = new Turns({ emit, clock, transcribes: () => transcribes, sent_ms });
    const bytesPerMs = (): number => this.media.replyBytesPerMs;
    this.#responses = new Responses({ emit, clock, redact, bytesPerMs, plays: call !== undefined });
    this.#calls = new ToolCalls(emit);
    call?.listen({
      emit,
      back: () => {
        this.#responses.uncertain();
        this.#turns.uncertain();
      },
    });
    const { promise, resolve } = Promise.withResolvers<ModelClosed>();
    this.closed = promise;
    socket.onClose((close) => {
      this.#release();
      this.#turns.stop();
      this.#responses.stop();
      this.#listener = null;
      this.#owner = null;
      resolve(this.#ending(close));
    });
    // What stands in the same packet as the end of the handshake is kept; the rest waits in the peer.
    socket.pause();
    socket.onFrame((frame) => this.#received(frame));
  }

  send(command: ModelCommand, event_id?: string): void {
    const { call, responder, dialect } = this.#options;
    if (command.type === 'restore') {
      // Without another way to the provider nobody can have changed anything.
      if (call) this.#restore(call);
      return;
    }
    const { frame, command_id, creates, item_id } = commandFrame(command, responder, dialect, event_id);
    if (command.type === 'update') call?.asked(frame.event_id, objectIn(frame, 'session'));
    this.#remember(frame.event_id, command_id);
    if (item_id !== undefined) {
      if (this.#ownItems.size >= SENT_MAX) forgetOldest(this.#ownItems);
      this.#ownItems.add(item_id);
    }
    if (creates) call?.asking();
    if (creates && this.#options.socket.open) this.#responses.asked(frame.event_id, command_id);
    this.#out(frame);
  }

  #out(frame: Wire): void {
    const { socket } = this.#options;
    const told = this.#told?.out(frame);
    if (!told) return socket.send(encoded(frame));
    const { answer } = told;
    // After whoever sends it, as an answer that has come over a wire.
    if (answer) queueMicrotask(() => this.#received(encoded(answer)));
    if (told.frame) socket.send(encoded(told.frame));
  }

  get resumeHandle(): string | undefined {
    return this.#options.resumeHandle?.();
  }

  onGoingAway(listener: (ms: number) => void): void {
    this.#options.onGoingAway?.(listener);
  }

  #remember(event_id: string, command_id: string): void {
    if (this.#sent.size >= SENT_MAX) forgetOldest(this.#sent);
    this.#sent.set(event_id, command_id);
  }

  #restore(call: CallControl): void {
    const event_id = newId('event');
    this.#remember(event_id, 'restore');
    this.#options.socket.send(encoded({ type: 'session.update', event_id, session: call.restoring(event_id) }));
  }

  onEvent(listener: (event: ModelEvent) => void): void {
    this.#listener = listener;
    // In the next microtask, so that whoever sets a listener of media in this turn misses nothing either.
    queueMicrotask(() => this.#release());
  }

  close(reason = 'closed'): void {
    this.#closing ??= reason;
    this.#options.socket.close(1000, reason);
  }

  #ending(close: FrameClose): ModelClosed {
    if (this.#closing !== null) return { code: 1000, reason: this.#closing, recoverable: false };
    const { redact, call } = this.#options;
    if (close.reason === CALL_ENDED && !this.#lastError) return { code: 1000, reason: CALL_ENDED, recoverable: true };
    const failure = call?.sideband.failure;
    if (failure) return { code: 1006, reason: redact(failure.message), recoverable: true, error: failure.toObject() };
    const error = closeError(close, this.#lastError, redact);
    const recoverable = isRecoverable(close, this.#lastError);
    return { code: close.code, reason: redact(close.reason), recoverable, error: { ...error, retryable: recoverable } };
  }

  #release(): void {
    const early = this.#early;
    if (!early) return;
    this.#early = null;
    for (const frame of early) this.#received(frame);
    this.#options.socket.resume();
  }

  #emit(event: ModelEvent): void {
    this.#listener?.(event);
  }

  #received(frame: Buffer): void {
    if (this.#early) {
      this.#early.push(frame);
      return;
    }
    this.media.came();
    // Whoever owns the session has nearly every frame but sound parsed, and sound comes in long frames.
    const whole = this.#owner !== null && frame.length <= SMALL_BYTES ? decoded(frame) : null;
    const type = whole ? whole.type : frameType(frame);
    if (type === AUDIO_DELTA) {
      const bytes = audioBytes(frame);
      this.#responses.audio(bytes, frame);
      if (this.#owner) {
        this.media.replied(bytes);
        this.#owner(type, frame, null);
      } else this.media.deliverAudio(frame, bytes);
      return;
    }
    if (this.#owner) {
      const structural = type !== null && STRUCTURAL.has(type);
      const event = whole ?? (structural ? decoded(frame) : null);
      const told = structural && event ? this.#told?.in(event) : undefined;
      if (!told || told[0] === event) return this.#own(type, frame, event, structural);
      for (const one of told) this.#own(one.type, encoded(one), one, true);
      return;
    }
    if (type === null || HIDDEN_TYPES.has(type)) return;
    const event = STRUCTURAL.has(type) ? decoded(frame) : null;
    if (this.#options.call) {
      // The client has a connection of its own.
      if (event) this.#step(event);
      return;
    }
    const told = event ? this.#told?.in(event) : undefined;
    if (told && told[0] !== event) {
      // Items of calls, which no client is shown.
      for (const one of told) this.#view.of(frame, one);
      return;
    }
    if (!event) {
      this.media.deliver(frame);
      return;
    }
    const ours = type === 'error' && this.#sent.has(textIn(objectIn(event, 'error'), 'event_id') ?? '');
    // The refusal of a command of ours is not the client's; strict clients end the call at any error.
    const shown = ours ? null : this.#view.of(frame, event);
    if (shown) this.media.deliver(shown);
    this.#step(event);
  }

  #own(type: string | null, frame: Buffer, event: WireFrame | null, structural: boolean): void {
    this.#owner?.(type, frame, event);
    if (event && structural) this.#step(event);
  }

  #step(event: WireFrame): void {
    // Only an error that nothing followed is why a connection ended.
    if (event.type !== 'error') this.#lastError = undefined;
    switch (event.type) {
      case 'error':
        return this.#refused(objectIn(event, 'error'));
      case 'session.created':
      case 'session.updated': {
        const session = objectIn(event, 'session');
        this.provider_session_id ??= textIn(session, 'id');
        if (event.type === 'session.created') return this.#options.call?.saw(session);
        return this.#options.call?.confirmed(session);
      }
      case 'output_audio_buffer.stopped':
        return this.#responses.played(textIn(event, 'response_id'));
      case 'input_audio_buffer.speech_started':
        return this.#turns.speechStarted(event);
      case 'input_audio_buffer.speech_stopped':
        if (this.#options.call) this.media.told({ user_audio_ms: numberIn(event, 'audio_end_ms') ?? 0 });
        return this.#turns.speechStopped(event);
      case 'input_audio_buffer.committed':
        this.#options.call?.heardUser();
        return this.#turns.committed(event);
      case 'input_audio_buffer.cleared':
        return this.#turns.cleared();
      case 'conversation.item.added':
        return this.#itemAdded(event);
      case 'conversation.item.input_audio_transcription.completed':
        return this.#turns.transcribed(event, textIn(event, 'transcript') ?? '');
      case 'conversation.item.input_audio_transcription.failed':
        return this.#turns.transcriptionFailed(event);
      case 'conversation.item.truncated': {
        const item_id = textIn(event, 'item_id');
        if (item_id !== undefined) {
          this.#emit({ type: 'item.truncated', item_id, audio_ms: numberIn(event, 'audio_end_ms') ?? 0 });
        }
        return;
      }
      case 'response.created':
        this.#options.call?.replying(objectIn(event, 'response'));
        return this.#responses.created(objectIn(event, 'response'));
      case 'response.output_item.added':
        return this.#responses.heardOf(textIn(event, 'response_id'));
      case 'response.output_audio_transcript.done':
        return this.#responses.spoken(event, textIn(event, 'transcript') ?? '');
      case 'response.output_text.done':
        return this.#responses.spoken(event, textIn(event, 'text') ?? '');
      case 'response.output_item.done':
        return this.#calls.done(objectIn(event, 'item'), textIn(event, 'response_id'));
      case 'response.done': {
        const response = objectIn(event, 'response');
        this.#options.call?.replied(response);
        // A call whose own frame was lost still stands here.
        for (const item of listIn(response, 'output')) this.#calls.done(item, textIn(response, 'id'));
        return this.#responses.done(response);
      }
      default:
    }
  }

  #itemAdded(event: WireFrame): void {
    const item = objectIn(event, 'item');
    if (this.#ownItems.has(textIn(item, 'id') ?? '')) return;
    this.#options.call?.foreignItem(item, (call_id) => this.#calls.made(call_id));
    this.#turns.itemAdded(event);
  }

  #refused(wire: Wire): void {
    const error = providerError(wire, this.#options.redact);
    const provider_code = textIn(wire, 'code') ?? textIn(wire, 'type');
    const event_id = textIn(wire, 'event_id');
    if (event_id !== undefined && this.#options.call?.refused(event_id, error)) return;
    const create = this.#responses.refused(event_id, provider_code);
    const sent = event_id === undefined ? undefined : this.#sent.get(event_id);
    if (event_id !== undefined) this.#sent.delete(event_id);
    // The answer was over a moment before it was cancelled: what was wanted is so.
    if (provider_code === 'response_cancel_not_active') return;
    if (event_id === undefined) this.#lastError = error;
    // Never without a name: an unnamed failure would be taken for that of the answer that is waited for.
    const command_id = create ?? sent ?? (event_id === undefined ? 'unknown' : 'client');
    this.#emit({
      type: 'provider.failed',
      error,
      command_id,
      ...(provider_code === undefined ? {} : { provider_code }),
    });
  }
}

function forgetOldest(kept: Map<string, unknown> | Set<string>): void {
  const [oldest] = kept.keys();
  if (oldest !== undefined) kept.delete(oldest);
}
