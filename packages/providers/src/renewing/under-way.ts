// What is under way over one connection: the user speaks, turns wait for their words, answers are generated or were
// asked for, tools run. When nothing is, another connection may take over unnoticed; when the connection is cut, this
// says what ends with it and what has to be asked for again.

import type { ModelCommand, ModelEvent } from '@parley/core';
import type { Words } from './words.ts';

interface Answering {
  say_id: string | undefined;
  /** Sound that had come before it. */
  began_ms: number;
}

export class UnderWay {
  readonly #calls = new Set<string>();
  readonly #turns = new Set<string>();
  readonly #answers = new Map<string, Answering>();
  /** Answers that were asked for and have not begun, by the name of the request. */
  readonly #asked = new Map<string, ModelCommand>();
  #speaking: { item_id: string | undefined } | null = null;

  get nothing(): boolean {
    return (
      this.#speaking === null &&
      this.#turns.size === 0 &&
      this.#answers.size === 0 &&
      this.#calls.size === 0 &&
      this.#asked.size === 0
    );
  }

  /** Tools that have no output yet. */
  get calls(): ReadonlySet<string> {
    return this.#calls;
  }

  /** Turns without words, and answers that are being generated. */
  get ids(): string[] {
    return [...this.#turns, ...this.#answers.keys()];
  }

  /** What was asked for and has not begun. */
  get asked(): readonly ModelCommand[] {
    return [...this.#asked.values()];
  }

  /** @param replied_ms sound that came over the connection so far. */
  event(event: ModelEvent, replied_ms: () => number): void {
    switch (event.type) {
      case 'speech.started':
        this.#speaking = { item_id: event.item_id };
        break;
      case 'speech.stopped':
        this.#speaking = null;
        break;
      case 'turn.started':
        this.#turns.add(event.turn_id);
        break;
      case 'turn.completed':
        this.#speaking = null;
        this.#turns.delete(event.turn_id);
        break;
      case 'response.started':
        this.#asked.delete(event.say_id ?? 'respond');
        this.#answers.set(event.response_id, { say_id: event.say_id, began_ms: replied_ms() });
        break;
      case 'response.completed':
        this.#answers.delete(event.response_id);
        break;
      case 'tool.called':
        this.#calls.add(event.call_id);
        break;
      case 'provider.failed':
        if (event.command_id !== undefined) this.#asked.delete(event.command_id);
        break;
      default:
    }
  }

  command(command: ModelCommand): void {
    if (command.type === 'respond') this.#asked.set('respond', command);
    else if (command.type === 'say') this.#asked.set(command.say_id, command);
    else if (command.type === 'tool_output') this.#calls.delete(command.call_id);
  }

  /**
   * The connection is gone, and with it all that was under way but the tools, which run on. How it ends, for whoever
   * followed it. Words that were begun to be spoken are not asked for again; an answer that was begun is.
   * @param words of the answers, as far as they came.
   * @param asked_by_client whether a client waits for an answer that it asked for itself.
   */
  broken(sounds: { heard_ms: number; replied_ms: number }, words: Words, asked_by_client: boolean): ModelEvent[] {
    const endings: ModelEvent[] = [];
    if (this.#speaking) {
      const { item_id } = this.#speaking;
      endings.push({
        type: 'speech.stopped',
        audio_ms: sounds.heard_ms,
        ...(item_id === undefined ? {} : { item_id }),
      });
    }
    let respond = asked_by_client;
    for (const [response_id, { say_id, began_ms }] of this.#answers) {
      endings.push({
        type: 'response.completed',
        response_id,
        status: 'incomplete',
        reason: 'connection_lost',
        audio_ms: Math.max(0, sounds.replied_ms - began_ms),
        ...words.of(response_id),
      });
      respond ||= say_id === undefined;
    }
    // An answer that called tools goes on with their outputs.
    if (respond && this.#calls.size === 0) this.#asked.set('respond', { type: 'respond' });
    this.#speaking = null;
    this.#turns.clear();
    this.#answers.clear();
    return endings;
  }
}
