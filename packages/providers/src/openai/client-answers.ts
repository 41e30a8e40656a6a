// Answers that the client of a call gives to the tools of the model. Clients that run tools themselves answer every call,
// if only to say that they have no such tool, and ask for the model's reply at once. The server answers it too, so theirs is
// taken out, and the reply that stands on it is stopped before it is heard.

import { objectIn, textIn, type Wire } from './wire.ts';

/** Calls that are remembered. */
const CALLS_MAX = 1024;

export class ClientAnswers {
  readonly #answered = new Set<string>();
  /** Its request for a reply is on its way. */
  #hasty = false;
  /** The reply that is being stopped. */
  #stopping: string | undefined;

  /** The client's answer to a call. False for a second one: nobody does that who does not mean to. */
  took(call_id: string): boolean {
    if (this.#answered.has(call_id)) return false;
    if (this.#answered.size >= CALLS_MAX) {
      const [oldest] = this.#answered;
      if (oldest !== undefined) this.#answered.delete(oldest);
    }
    this.#answered.add(call_id);
    this.#hasty = true;
    return true;
  }

  /** A reply begins: its id, when the client asked for it because of its answer. */
  asked(response: Wire): string | undefined {
    const hasty = this.#hasty;
    this.#hasty = false;
    if (!hasty || textIn(objectIn(response, 'metadata'), 'parley_request') !== undefined) return undefined;
    this.#stopping = textIn(response, 'id');
    return this.#stopping;
  }

  /** The server asks for a reply: it may begin the moment that the other one ends, and is not to be cut for it. */
  asking(): void {
    this.#stopping = undefined;
  }

  /** A reply is over. True when it was stopped in the middle: then what there is of its sound is not to be heard. */
  cut(response: Wire): boolean {
    if (this.#stopping === undefined || textIn(response, 'id') !== this.#stopping) return false;
    this.#stopping = undefined;
    return response['status'] === 'cancelled';
  }

  /** The user said something: what comes next answers that. */
  heardUser(): void {
    this.#hasty = false;
  }
}
