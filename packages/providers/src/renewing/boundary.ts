// Whether a conversation is between two turns: nobody speaks, nothing is generated, no tool runs, nothing was asked for.

import type { ModelCommand, ModelEvent } from '@parley/core';

export class Boundary {
  #speaking = false;
  readonly #turns = new Set<string>();
  readonly #responses = new Set<string>();
  readonly #calls = new Set<string>();
  /** Answers that were asked for and have not begun, by the name of the request. */
  readonly #asked = new Set<string>();

  get reached(): boolean {
    return (
      !this.#speaking &&
      this.#turns.size === 0 &&
      this.#responses.size === 0 &&
      this.#calls.size === 0 &&
      this.#asked.size === 0
    );
  }

  event(event: ModelEvent): void {
    switch (event.type) {
      case 'speech.started':
        this.#speaking = true;
        break;
      case 'speech.stopped':
        this.#speaking = false;
        break;
      case 'turn.started':
        this.#turns.add(event.turn_id);
        break;
      case 'turn.completed':
        this.#speaking = false;
        this.#turns.delete(event.turn_id);
        break;
      case 'response.started':
        this.#asked.delete(event.say_id ?? 'respond');
        this.#responses.add(event.response_id);
        break;
      case 'response.completed':
        this.#responses.delete(event.response_id);
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
    if (command.type === 'respond') this.#asked.add('respond');
    else if (command.type === 'say') this.#asked.add(command.say_id);
    else if (command.type === 'tool_output') this.#calls.delete(command.call_id);
  }
}
