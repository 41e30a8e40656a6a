// Answers that the client of a call gives to the tools of the model. Clients that run tools themselves answer every call,
// if only to say that they have no such tool, and ask for the model's reply at once. The server answers it too, so theirs is
// taken out, and a reply that stands on it alone is stopped, where it is not complete already.

import { objectIn, textIn, type Wire } from './wire.ts';

/** Calls that are remembered. */
const CALLS_MAX = 1024;

export class ClientAnswers {
  /** Calls that the client answered, and those that the server did. */
  readonly #theirs = new Set<string>();
  readonly #ours = new Set<string>();
  /** The call that was answered last, whose request for a reply is on its way. */
  #hasty: string | null = null;
  /** The reply that is being stopped. */
  #stopping: string | undefined;

  /** The client's answer to a call. False for a second one: nobody does that who does not mean to. */
  took(call_id: string): boolean {
    if (this.#theirs.has(call_id)) return false;
    remember(this.#theirs, call_id);
    this.#hasty = call_id;
    return true;
  }

  /** The server's answer goes out: a reply that begins from now on has it before it. */
  answered(call_id: string): void {
    remember(this.#ours, call_id);
  }

  /** A reply begins: its id, when the client asked for it and it has nothing to stand on but the client's answer. */
  asked(response: Wire): string | undefined {
    const call_id = this.#hasty;
    this.#hasty = null;
    if (call_id === null || this.#ours.has(call_id)) return undefined;
    if (textIn(objectIn(response, 'metadata'), 'parley_request') !== undefined) return undefined;
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
    this.#hasty = null;
  }
}

function remember(calls: Set<string>, call_id: string): void {
  if (calls.size >= CALLS_MAX) {
    const [oldest] = calls;
    if (oldest !== undefined) calls.delete(oldest);
  }
  calls.add(call_id);
}
