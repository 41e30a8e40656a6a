// Push-to-talk: the button that opens the microphone, and ends the turn where the session does not find its end.

import { ParleyError } from '@parley/core';
import type { CallLine } from './call-parts.ts';
import type { MicrophoneGate } from './microphone-gate.ts';

/** Over WebRTC the last words may still travel when the end of the turn, on another way, has arrived. */
const LAST_WORDS_MS = 150;

/** What the button does to its call. */
export interface Talked {
  /** Whether the user says where a turn ends. */
  readonly pushToTalk: boolean;
  interrupt(): void;
  endTurn(): void;
  report(error: ParleyError): void;
}

export interface TalkButtonParts {
  call: Talked;
  gate: MicrophoneGate;
  line: () => CallLine;
  /** Nobody listens any more. */
  over: () => boolean;
}

export class TalkButton {
  readonly #parts: TalkButtonParts;
  /** The turn that is about to end. */
  #ending: ReturnType<typeof setTimeout> | undefined;

  constructor(parts: TalkButtonParts) {
    this.#parts = parts;
  }

  press(): void {
    const { call, gate, line, over } = this.#parts;
    if (over() || gate.pressed) return;
    call.interrupt();
    // Pressed again while its last words travel: they belong to the turn that goes on.
    const goesOn = this.#ending !== undefined;
    clearTimeout(this.#ending);
    this.#ending = undefined;
    if (call.pushToTalk && !goesOn) line().clearInput();
    gate.press();
  }

  release(): void {
    const { call, gate, line, over } = this.#parts;
    if (over() || !gate.pressed) return;
    gate.release();
    if (!call.pushToTalk) return;
    if (line().path === 'websocket') return call.endTurn();
    this.#ending = setTimeout(() => {
      this.#ending = undefined;
      if (over()) return;
      try {
        call.endTurn();
      } catch (thrown) {
        // The connection was cut in between.
        call.report(ParleyError.from(thrown));
      }
    }, LAST_WORDS_MS);
  }
}
