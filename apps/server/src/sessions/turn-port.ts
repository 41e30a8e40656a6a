// The place of a session where whole turns come in, each in one request and answered in the same one. Sessions of
// `audio_turns` have it whatever their provider is; who streams joins them over a socket instead.
//
// P1  One turn at a time: a second one is refused, and the first goes on.
// P2  A turn that nobody waits for any more ends the answer at the provider.
// P3  The same idempotency key and turn again is the same answer, as long as it is remembered.

import { type ClientEventName, newId, ParleyError, type SessionResource, TIMES } from '@parley/core';
import type { ModelMedia } from '@parley/providers';
import { BYTES_PER_MS, type TurnInput } from '../sound/turn-input.ts';
import type { ClientPort } from './client-port.ts';
import type { SessionLog } from './log.ts';
import { type Claim, Repeats } from './repeats.ts';
import { Turn, type TurnListener, type TurnResult } from './turn.ts';

export interface TurnPortOptions {
  session: SessionResource;
  allowed: readonly ClientEventName[];
  log: SessionLog;
  client: ClientPort;
  /** Stops the answer that is being generated. */
  cancel: () => void;
  now: () => number;
}

export interface TakeTurn {
  /** Aborted when nobody waits for the answer any more. */
  signal: AbortSignal;
  timeout_ms?: number | undefined;
  listener?: TurnListener | undefined;
  /** Of an `Idempotency-Key`. */
  claim?: Claim | undefined;
}

/** Answers that are kept for a request that is repeated. Each may hold a few megabytes of sound. */
const KEPT_MAX = 2;

export class TurnPort {
  readonly #options: TurnPortOptions;
  readonly #repeats = new Repeats(KEPT_MAX);
  #running: Turn | null = null;

  constructor(options: TurnPortOptions) {
    this.#options = options;
  }

  /**
   * Takes a turn and resolves with the answer to it.
   * @throws ParleyError `failed_precondition`, `permission_denied`, `aborted` (another turn is being answered),
   * `already_exists` (the key was used for another turn), `deadline_exceeded`, `cancelled`, and what the provider failed with.
   */
  take(input: TurnInput, how: TakeTurn): Promise<TurnResult> {
    this.#check(input);
    return this.#repeats.once(how.claim, () => this.#take(input, how));
  }

  /** Ends the turn that is being answered, where the log cannot tell it. */
  fail(error: ParleyError): void {
    this.#running?.fail(error);
  }

  #check({ source }: TurnInput): void {
    const { session, allowed, log } = this.#options;
    if (session.transport !== 'audio_turns') {
      const message = `session ${session.session_id} is declared with transport '${session.transport}'; a turn in one request needs 'audio_turns'`;
      throw new ParleyError('failed_precondition', message, { details: { transport: session.transport } });
    }
    const { phase } = log.state;
    if (phase === 'closing' || phase === 'closed') {
      throw new ParleyError('failed_precondition', `session ${session.session_id} is ${phase}`);
    }
    if (!allowed.includes(source)) {
      const list = [...allowed].sort().join(', ') || 'none';
      throw new ParleyError('permission_denied', `a turn needs '${source}' in client_events. Allowed: ${list}.`);
    }
  }

  async #take(input: TurnInput, { signal, listener, timeout_ms = TIMES.turn_ms }: TakeTurn): Promise<TurnResult> {
    if (this.#running) {
      throw new ParleyError('aborted', 'another turn of this session is being answered; wait for its answer', {
        details: { item_id: this.#running.item_id },
      });
    }
    const { log, client, now } = this.#options;
    const turn = new Turn(newId('item'), now, listener);
    this.#running = turn;
    const aborted = (): void => turn.fail(new ParleyError('cancelled', 'nobody waits for the answer any more'));
    signal.addEventListener('abort', aborted, { once: true });
    const late = setTimeout(() => {
      turn.fail(new ParleyError('deadline_exceeded', `the turn was not answered within ${timeout_ms} ms`));
    }, timeout_ms);
    const stop = [log.subscribe((record, json) => turn.record(record, json, log.state))];
    try {
      const media = await this.#media(turn, input, stop);
      stop.push(client.listen((frame, kind) => turn.frame(frame, kind)));
      if (media) this.#send(media, turn, input);
      if (signal.aborted) aborted();
      return await turn.result;
    } catch (error) {
      // Also when no answer is known of: it may have begun in this moment. There is nothing to cancel otherwise.
      if (log.state.phase === 'live') this.#options.cancel();
      throw error;
    } finally {
      clearTimeout(late);
      signal.removeEventListener('abort', aborted);
      for (const one of stop) one();
      this.#running = null;
    }
  }

  /** Tells the log of the turn, and waits for the way to the model. Null when the turn is over before that. */
  async #media({ item_id, result }: Turn, input: TurnInput, stop: (() => void)[]): Promise<ModelMedia | null> {
    const { log, client } = this.#options;
    const audio = input.source === 'audio' ? { audio_ms: Math.round(input.pcm.length / BYTES_PER_MS) } : {};
    await log.append({ type: 'turn.requested', item_id, source: input.source, ...audio });
    const connected = new Promise<ModelMedia>((resolve) => {
      const look = (): void => {
        if (log.state.phase === 'live' && client.media) resolve(client.media);
      };
      stop.push(log.subscribe(look));
      look();
    });
    // A model that cannot be had ends the session, and with it the turn.
    return Promise.race([connected, result.then(() => null)]);
  }

  /** Puts the turn into the conversation; the model answers it by itself where no handler does. */
  #send(media: ModelMedia, { item_id }: Turn, input: TurnInput): void {
    const part =
      input.source === 'text'
        ? { type: 'input_text', text: input.text }
        : { type: 'input_audio', audio: input.pcm.toString('base64') };
    const item = { id: item_id, type: 'message', role: 'user', content: [part] };
    media.send(Buffer.from(JSON.stringify({ type: 'conversation.item.create', event_id: newId('event'), item })));
    if (this.#options.session.responder === 'model') {
      media.send(Buffer.from(JSON.stringify({ type: 'response.create', event_id: newId('event') })));
    }
  }
}
