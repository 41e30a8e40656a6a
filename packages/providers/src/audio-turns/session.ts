// The other end of a memory socket: a session that speaks OpenAI Realtime (GA) and is performed by streamed chat
// completions. Whatever stands on that protocol (the adapter's events, clients, handlers) works with it as it is.

import { newId, randomSuffix, type TurnDetection } from '@parley/core';
import type { FvadModule } from '@echogarden/fvad-wasm';
import type { Clock, FrameSocket } from '@parley/transport';
import { decoded, objectIn, textIn, type Wire, type WireFrame } from '../openai/wire.ts';
import { Answers } from './answers.ts';
import type { ChatListener } from './chat.ts';
import { Failure } from './failure.ts';
import { History, type HistoryItem } from './history.ts';
import { itemOf, wireOf } from './items.ts';
import type { TurnsLimits } from './limits.ts';
import { COMMIT_MS_MIN, type Heard, Listening, type SpokenTurn } from './listening.ts';
import { BYTES_PER_MS, samplesOf } from './pcm.ts';
import { Refusal } from './refusal.ts';
import { patch, sessionOnWire, type TurnsSession } from './session-config.ts';
import { Transcripts } from './transcripts.ts';

export interface SessionParts {
  socket: FrameSocket;
  session: TurnsSession;
  module: FvadModule;
  clock: Clock;
  limits: TurnsLimits;
  /** One completion; `response` is what a `response.create` asks for. */
  body: (response: Wire, messages: Wire[], modality: 'audio' | 'text') => Wire;
  stream: (request: Wire, signal: AbortSignal, on: ChatListener) => Promise<void>;
  transcribe: (pcm: Buffer, signal: AbortSignal) => Promise<string>;
}

const IDLE_PROMPT = 'The user has said nothing for a while. Ask briefly whether they are still there.';

/** Performs the session until its socket closes. */
export class Session {
  readonly #parts: SessionParts;
  readonly #history: History;
  readonly #listening: Listening;
  readonly #answers: Answers;
  readonly #transcripts: Transcripts;
  #events = 0;
  #idle: { cancel(): void } | null = null;
  #drained: (() => void)[] = [];

  constructor(parts: SessionParts) {
    const { socket, session, module, limits, clock } = parts;
    this.#parts = parts;
    this.#history = new History({
      items_max: limits.history_items_max,
      chars_max: limits.history_chars_max,
      audio_bytes_max: limits.history_audio_bytes_max,
    });
    this.#listening = new Listening(module, session.turn_detection, limits.turn_ms_max);
    this.#answers = new Answers({
      clock,
      limits,
      history: this.#history,
      conversation_id: `conv_${randomSuffix()}`,
      session,
      body: parts.body,
      stream: parts.stream,
      send: (frame) => this.#send(frame),
      sendAudio: (ids, base64) => socket.send(`${ids}"event_id":"event_${(this.#events += 1)}","delta":"${base64}"}`),
      room: () => this.#room(),
      ended: (audio_ms, elapsed_ms) => this.#answered(audio_ms, elapsed_ms),
      fatal: (failure) => this.#fatal(failure),
    });
    this.#transcripts = new Transcripts({
      clock,
      limits,
      transcribe: parts.transcribe,
      written: (item_id, text, ms) => this.#written(item_id, text, ms),
      failed: (item_id, failure) => this.#unwritten(item_id, failure),
    });
    socket.onDrain(() => this.#wake());
    socket.onClose(() => this.#end());
    socket.onFrame((frame) => this.#received(frame));
    this.#send({ type: 'session.created', session: sessionOnWire(session) });
  }

  get #detection(): TurnDetection | null {
    return this.#parts.session.turn_detection;
  }

  #received(frame: Buffer): void {
    const event = decoded(frame);
    if (!event) return;
    try {
      this.#dispatch(event);
    } catch (caught) {
      const refusal = caught instanceof Refusal ? caught : new Refusal('server_error', Failure.of(caught).message);
      this.#send(refusal.frame(event));
    }
  }

  #dispatch(event: WireFrame): void {
    switch (event.type) {
      case 'input_audio_buffer.append':
        return this.#append(event);
      case 'input_audio_buffer.commit':
        return this.#commitByHand();
      case 'input_audio_buffer.clear':
        this.#listening.clear();
        return this.#send({ type: 'input_audio_buffer.cleared' });
      case 'conversation.item.create':
        return this.#create(event);
      case 'conversation.item.retrieve':
        return this.#send({
          type: 'conversation.item.retrieved',
          item: wireOf(this.#item(event, 'item_retrieve_invalid_item_id')),
        });
      case 'conversation.item.delete': {
        const { id } = this.#item(event, 'item_delete_invalid_item_id');
        this.#history.delete(id);
        return this.#send({ type: 'conversation.item.deleted', item_id: id });
      }
      case 'conversation.item.truncate':
        return this.#truncate(event);
      case 'response.create':
        this.#idle?.cancel();
        return this.#answers.create(objectIn(event, 'response'));
      case 'response.cancel':
        return this.#answers.cancel(textIn(event, 'response_id'));
      case 'session.update':
        patch(this.#parts.session, objectIn(event, 'session'));
        this.#listening.configure(this.#detection);
        return this.#send({ type: 'session.updated', session: sessionOnWire(this.#parts.session) });
      default:
        throw new Refusal('invalid_value', `'${event.type.slice(0, 64)}' is not known here`, 'type');
    }
  }

  #append(event: WireFrame): void {
    const pcm = samplesOf(textIn(event, 'audio') ?? '');
    if (pcm === null) throw new Refusal('invalid_value', 'audio must be base64 of 16-bit samples', 'audio');
    const heard = this.#listening.append(pcm);
    if (heard === null) return;
    if (heard === 'full') {
      const { turn_ms_max } = this.#parts.limits;
      throw new Refusal(
        'input_audio_buffer_full',
        `the buffer is at its limit of ${turn_ms_max} ms; commit or clear it`,
      );
    }
    for (const one of heard) this.#heard(one);
  }

  #heard(heard: Heard): void {
    const { item_id, audio_ms } = heard;
    if (heard.kind === 'started') {
      this.#idle?.cancel();
      this.#send({ type: 'input_audio_buffer.speech_started', audio_start_ms: audio_ms, item_id });
      if (this.#detection?.interrupt_response !== false) this.#answers.interrupt();
      return;
    }
    this.#send({ type: 'input_audio_buffer.speech_stopped', audio_end_ms: audio_ms, item_id });
    this.#commit(heard.turn);
    if (this.#detection?.create_response !== false) this.#answers.respond();
  }

  #commitByHand(): void {
    const turn = this.#listening.commit();
    if (turn) return this.#commit(turn);
    const has = this.#listening.waitingMs.toFixed(0);
    throw new Refusal(
      'input_audio_buffer_commit_empty',
      `a turn needs at least ${COMMIT_MS_MIN} ms of audio; the buffer has ${has} ms`,
    );
  }

  #commit({ item_id, pcm }: SpokenTurn): void {
    this.#add({ kind: 'user', id: item_id, text: '', pcm });
  }

  /** A message of the user whose sound came as a whole is a turn that was committed. */
  #add(item: HistoryItem, previous?: string | null): void {
    if (!this.#history.add(item, previous)) {
      throw new Refusal(
        'item_create_invalid_previous_item_id',
        'there is no such item to stand behind',
        'previous_item_id',
      );
    }
    const previous_item_id = this.#history.before(item.id);
    const pcm = item.kind === 'user' ? item.pcm : null;
    if (pcm) this.#send({ type: 'input_audio_buffer.committed', previous_item_id, item_id: item.id });
    const wire = wireOf(item);
    this.#send({ type: 'conversation.item.added', previous_item_id, item: wire });
    this.#send({ type: 'conversation.item.done', previous_item_id, item: wire });
    if (pcm && this.#parts.session.transcription_model !== null) this.#transcripts.begin(item.id, pcm);
  }

  #create(event: WireFrame): void {
    const item = itemOf(event['item'], 'item');
    if (this.#history.find(item.id)) {
      throw new Refusal('item_create_invalid_item_id', `there is an item '${item.id.slice(0, 64)}' already`, 'item.id');
    }
    if (item.kind === 'user' && item.pcm && item.pcm.length > this.#parts.limits.turn_ms_max * BYTES_PER_MS) {
      throw new Refusal(
        'invalid_value',
        `a turn may have at most ${this.#parts.limits.turn_ms_max} ms of audio`,
        'item',
      );
    }
    const previous = textIn(event, 'previous_item_id');
    this.#add(item, previous === 'root' ? null : previous);
  }

  #item(event: WireFrame, code: string): HistoryItem {
    const id = textIn(event, 'item_id') ?? '';
    const item = this.#history.find(id);
    if (item) return item;
    throw new Refusal(code, `there is no item '${id.slice(0, 64)}'`, 'item_id');
  }

  #truncate(event: WireFrame): void {
    const item = this.#item(event, 'item_truncate_invalid_item_id');
    const audio_end_ms = event['audio_end_ms'];
    if (item.kind !== 'assistant') throw new Refusal('invalid_value', 'only answers can be truncated', 'item_id');
    if (typeof audio_end_ms !== 'number' || !(audio_end_ms >= 0 && audio_end_ms <= item.audio_ms)) {
      throw new Refusal('invalid_value', `audio_end_ms must be from 0 to ${item.audio_ms}`, 'audio_end_ms');
    }
    this.#history.truncate(item, audio_end_ms);
    this.#send({ type: 'conversation.item.truncated', item_id: item.id, content_index: 0, audio_end_ms });
  }

  #written(item_id: string, transcript: string, ms: number): void {
    this.#history.written(item_id, transcript);
    const usage = { type: 'duration', seconds: ms / 1000 };
    const type = 'conversation.item.input_audio_transcription.completed';
    this.#send({ type, item_id, content_index: 0, transcript, usage });
  }

  #unwritten(item_id: string, { wire }: Failure): void {
    const { type: kind, code, message } = wire;
    const type = 'conversation.item.input_audio_transcription.failed';
    this.#send({ type, item_id, content_index: 0, error: { type: kind, code, message, param: null } });
  }

  /** An answer is over; it is heard to its end before the user can be idle. */
  #answered(audio_ms: number, elapsed_ms: number): void {
    const detection = this.#detection;
    const timeout_ms = detection?.type === 'server_vad' ? detection.idle_timeout_ms : undefined;
    if (timeout_ms === undefined || this.#listening.speaking) return;
    const audio_start_ms = this.#listening.clockMs;
    this.#idle?.cancel();
    this.#idle = this.#parts.clock.after(Math.max(0, audio_ms - elapsed_ms) + timeout_ms, () => {
      const item_id = newId('item');
      const audio_end_ms = this.#listening.clockMs;
      this.#send({ type: 'input_audio_buffer.timeout_triggered', audio_start_ms, audio_end_ms, item_id });
      this.#add({ kind: 'system', id: item_id, text: IDLE_PROMPT });
      this.#answers.respond();
    });
  }

  /** No request of this session can succeed: it ends as a refused key ends one of the real protocol. */
  #fatal({ wire }: Failure): void {
    const { type, code, message } = wire;
    this.#send({ type: 'error', error: { type, code, message, param: null, event_id: null } });
    this.#parts.socket.close(3000, `invalid_request_error.${code ?? type}`.slice(0, 120));
  }

  #send(frame: WireFrame): void {
    this.#parts.socket.send(JSON.stringify({ ...frame, event_id: `event_${(this.#events += 1)}` }));
  }

  #room(): Promise<void> {
    const { socket, limits } = this.#parts;
    if (!socket.open || socket.bufferedBytes < limits.unread_bytes_max) return Promise.resolve();
    return new Promise((resolve) => this.#drained.push(resolve));
  }

  #wake(): void {
    for (const go of this.#drained.splice(0)) go();
  }

  #end(): void {
    this.#idle?.cancel();
    this.#answers.stop();
    this.#transcripts.stop();
    this.#listening.free();
    this.#wake();
  }
}
