// What the user says, piece by piece on its way to the socket: gated, measured and counted. Over WebRTC the microphone
// travels by itself, and only its gate and its loudness are here.

import { ParleyError } from '@parley/core';
import { levelOf } from '../pcm.ts';
import type { SessionSocket } from '../session-socket.ts';
import type { TrackMicrophone } from './audio.ts';
import { type GateState, MicrophoneGate } from './microphone-gate.ts';
import type { Tally } from './tally.ts';

export interface UserAudioParts {
  microphone: TrackMicrophone | undefined;
  gated: boolean;
  tally: Tally;
  /** The microphone was opened or closed. */
  changed: (state: GateState) => void;
}

export class UserAudio {
  readonly gate: MicrophoneGate;
  readonly #microphone: TrackMicrophone | undefined;
  readonly #tally: Tally;
  #level = 0;

  constructor({ microphone, gated, tally, changed }: UserAudioParts) {
    this.#microphone = microphone;
    this.#tally = tally;
    this.gate = new MicrophoneGate(gated, (state) => {
      microphone?.listen(state.open);
      changed(state);
    });
  }

  /** Takes a piece of what the microphone heard. */
  hear(pcm: Int16Array, line: SessionSocket): void {
    // Between two turns a microphone that has to be pressed is not heard at all.
    if (this.gate.shut) return;
    const heard = this.gate.muted ? new Int16Array(pcm.length) : pcm;
    this.#level = levelOf(heard);
    try {
      if (line.appendAudio(heard)) this.#tally.sent(pcm.length);
      else this.#tally.dropped(pcm.length);
    } catch (thrown) {
      // Between a cut and its close event a socket takes nothing; the microphone does not wait for it.
      this.#tally.dropped(pcm.length);
      if (ParleyError.from(thrown).code !== 'failed_precondition') throw thrown;
    }
  }

  /** Whether it travels by itself. */
  get travels(): boolean {
    return this.#microphone !== undefined;
  }

  /** How loud it was since it was last asked, 0 to 1. */
  takeLevel(): number {
    const level = this.#microphone?.level ?? this.#level;
    this.#level = 0;
    return level;
  }
}
