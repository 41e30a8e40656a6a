// What a case is: a sentence about behaviour, and what proves it.

import type { TesteeCommand } from '../testee.ts';
import type { House } from './house.ts';

export interface Scene {
  house: House;
  /** How the language's sample of this name is started. @throws Error where there is none. */
  sample: (name: string) => TesteeCommand;
  /** Aborted when the time of the case is over. */
  signal: AbortSignal;
}

/** Cases by their names. One that leaves the agent in another state than it found it takes a fresh one. */
export type Cases = Readonly<Record<string, (scene: Scene) => Promise<void>>>;
