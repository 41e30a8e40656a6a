// How a serving process is told to leave: by a signal of the machine, or by whoever runs it inside of a program.
//
// P1  The first word begins the drain in the turn in which it comes, whatever else is being waited for.
// P2  The second ends the sessions now, and the third the process, whatever still runs.

/** What follows each word. */
export interface LeavingSteps {
  drain(): void;
  stop(): void;
}

/** What a shell reports of a program that a signal ended. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

type Signal = keyof typeof EXIT_CODES;

const SIGNALS = Object.keys(EXIT_CODES) as Signal[];

export class Leaving implements Disposable {
  readonly #steps: LeavingSteps;
  readonly #told = Promise.withResolvers<void>();
  readonly #abort: AbortSignal | undefined;
  readonly #signalled: readonly (() => void)[];
  #words = 0;

  constructor(steps: LeavingSteps, abort?: AbortSignal) {
    this.#steps = steps;
    this.#abort = abort;
    this.#signalled = SIGNALS.map((signal) => () => this.#hear(EXIT_CODES[signal]));
    for (const [at, signal] of SIGNALS.entries()) process.on(signal, this.#signalled[at] as () => void);
    abort?.addEventListener('abort', this.leave, { once: true });
    if (abort?.aborted) this.leave();
  }

  /** Resolves with the first word. */
  get told(): Promise<void> {
    return this.#told.promise;
  }

  get leaving(): boolean {
    return this.#words > 0;
  }

  /** The same word, from this program itself. */
  readonly leave = (): void => this.#hear(1);

  [Symbol.dispose](): void {
    for (const [at, signal] of SIGNALS.entries()) process.off(signal, this.#signalled[at] as () => void);
    this.#abort?.removeEventListener('abort', this.leave);
  }

  #hear(exitCode: number): void {
    this.#words += 1;
    if (this.#words === 1) {
      this.#told.resolve();
      this.#steps.drain();
    } else if (this.#words === 2) this.#steps.stop();
    else process.exit(exitCode);
  }
}
