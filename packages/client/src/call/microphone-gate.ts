// Whether the microphone is heard: mute and push-to-talk in one place.

export interface GateState {
  open: boolean;
  muted: boolean;
  pressed: boolean;
}

export class MicrophoneGate {
  /** A live microphone; a program's own source says by itself when it speaks. */
  readonly #live: boolean;
  readonly #changed: (state: GateState) => void;
  #pushToTalk = false;
  #muted = false;
  #pressed = false;

  constructor(live: boolean, changed: (state: GateState) => void) {
    this.#live = live;
    this.#changed = changed;
  }

  get muted(): boolean {
    return this.#muted;
  }

  get pressed(): boolean {
    return this.#pressed;
  }

  /** It has to be pressed, and is not: between two turns there is nothing to hear, not even silence. */
  get shut(): boolean {
    return this.#live && this.#pushToTalk && !this.#pressed;
  }

  /** Whether the session has no turn detection, as its provider last told. */
  set pushToTalk(value: boolean) {
    if (value === this.#pushToTalk) return;
    this.#pushToTalk = value;
    this.#tell();
  }

  mute(muted: boolean): void {
    this.#muted = muted;
    this.#tell();
  }

  press(): void {
    this.#pressed = true;
    this.#muted = false;
    this.#tell();
  }

  release(): void {
    this.#pressed = false;
    // Where turns are found by themselves, a button that is let go is a mute button.
    if (!this.#pushToTalk) this.#muted = true;
    this.#tell();
  }

  #tell(): void {
    this.#changed({ open: !this.#muted && !this.shut, muted: this.#muted, pressed: this.#pressed });
  }
}
