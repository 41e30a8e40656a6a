// The user's turns: from the first sound, or from a text, to the words that were said.
//
// A transcript comes whenever it comes, often after the answer began, and sometimes not at all. A turn waits for it a
// stated time and then completes without words.

import { type ModelEvent, newId } from '@parley/core';
import type { Clock } from '@parley/transport';
import { listIn, numberIn, objectIn, textIn, type Wire, type WireFrame } from './wire.ts';

const TRANSCRIPT_MS = 10_000;
/** Turns that are open at a time; an older one completes without words. */
const OPEN_MAX = 64;

interface Turn {
  turn_id: string;
  item_id: string;
  start_ms: number | undefined;
  end_ms: number | undefined;
  timer: { cancel(): void } | null;
}

export interface TurnsOptions {
  emit: (event: ModelEvent) => void;
  clock: Clock;
  /** Whether the provider writes down what the user says. */
  transcribes: () => boolean;
  /** Milliseconds of sound that were sent so far; undefined where it does not come this way. */
  sent_ms: () => number | undefined;
}

export class Turns {
  readonly #options: TurnsOptions;
  readonly #open = new Map<string, Turn>();
  /** Where the sound of the next committed turn begins, when nobody detects speech. */
  #committed_ms = 0;
  #speaking = false;

  constructor(options: TurnsOptions) {
    this.#options = options;
  }

  speechStarted(event: WireFrame): void {
    this.#speaking = true;
    const item_id = textIn(event, 'item_id');
    const audio_ms = numberIn(event, 'audio_start_ms') ?? 0;
    this.#options.emit({ type: 'speech.started', audio_ms, ...(item_id === undefined ? {} : { item_id }) });
    // Speech that goes on within the silence window keeps its item, and its turn.
    if (item_id !== undefined && !this.#open.has(item_id)) this.#start(item_id, audio_ms);
  }

  speechStopped(event: WireFrame): void {
    this.#speaking = false;
    const item_id = textIn(event, 'item_id');
    const audio_ms = numberIn(event, 'audio_end_ms') ?? 0;
    const turn = item_id === undefined ? undefined : this.#open.get(item_id);
    if (turn) turn.end_ms = audio_ms;
    this.#options.emit({ type: 'speech.stopped', audio_ms, ...(item_id === undefined ? {} : { item_id }) });
  }

  committed(event: WireFrame): void {
    const item_id = textIn(event, 'item_id');
    if (item_id === undefined) return;
    const sent_ms = this.#options.sent_ms();
    const turn = this.#open.get(item_id) ?? this.#start(item_id, undefined);
    if (turn.start_ms === undefined && sent_ms !== undefined) {
      turn.start_ms = this.#committed_ms;
      turn.end_ms = sent_ms;
    }
    this.#committed_ms = sent_ms ?? 0;
    if (!this.#options.transcribes()) return this.#complete(turn, '');
    turn.timer ??= this.#options.clock.after(TRANSCRIPT_MS, () => this.#complete(turn, ''));
  }

  cleared(): void {
    this.#committed_ms = this.#options.sent_ms() ?? 0;
  }

  transcribed(event: WireFrame, text: string): void {
    const item_id = textIn(event, 'item_id');
    if (item_id === undefined) return;
    this.#options.emit({ type: 'transcript.completed', track: 'user', item_id, text });
    const turn = this.#open.get(item_id);
    if (turn) this.#complete(turn, text);
  }

  transcriptionFailed(event: WireFrame): void {
    const turn = this.#open.get(textIn(event, 'item_id') ?? '');
    if (turn) this.#complete(turn, '');
  }

  /** A client put a text of the user into the conversation. */
  itemAdded(event: WireFrame): void {
    const item = objectIn(event, 'item');
    const item_id = textIn(item, 'id');
    if (item_id === undefined || item['type'] !== 'message' || item['role'] !== 'user') return;
    const texts = typedTexts(item);
    if (texts.length === 0 || this.#open.has(item_id)) return;
    const turn = { turn_id: newId('turn'), item_id, source: 'text' } as const;
    this.#options.emit({ type: 'turn.started', ...turn });
    this.#options.emit({ type: 'turn.completed', ...turn, text: texts.join('\n') });
  }

  /** Events may have been missed: a user who fell silent would be waited for without end. */
  uncertain(): void {
    if (!this.#speaking) return;
    this.#speaking = false;
    this.#options.emit({ type: 'speech.stopped', audio_ms: this.#options.sent_ms() ?? 0 });
  }

  stop(): void {
    for (const { timer } of this.#open.values()) timer?.cancel();
    this.#open.clear();
  }

  #start(item_id: string, start_ms: number | undefined): Turn {
    if (this.#open.size >= OPEN_MAX) {
      const [oldest] = this.#open.values();
      if (oldest) this.#complete(oldest, '');
    }
    const turn: Turn = { turn_id: newId('turn'), item_id, start_ms, end_ms: undefined, timer: null };
    this.#open.set(item_id, turn);
    this.#options.emit({ type: 'turn.started', turn_id: turn.turn_id, item_id, source: 'audio' });
    return turn;
  }

  #complete(turn: Turn, text: string): void {
    turn.timer?.cancel();
    this.#open.delete(turn.item_id);
    const { turn_id, item_id, start_ms, end_ms } = turn;
    const audio_ms = start_ms === undefined || end_ms === undefined ? undefined : Math.max(0, end_ms - start_ms);
    this.#options.emit({
      type: 'turn.completed',
      turn_id,
      item_id,
      source: 'audio',
      text,
      ...(audio_ms === undefined ? {} : { audio_ms }),
    });
  }
}

function typedTexts(item: Wire): string[] {
  return listIn(item, 'content')
    .filter((part) => part['type'] === 'input_text')
    .map((part) => textIn(part, 'text') ?? '');
}
