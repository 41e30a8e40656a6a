// Giving the audio of a call back: the loudspeaker and the microphone, each whatever befalls the other.

import { ParleyError } from '@parley/core';
import type { CallParts } from './call-parts.ts';

/** Resolves once both were tried, with what failed. It never rejects. */
export async function releaseAudio({ sink, release }: Pick<CallParts, 'sink' | 'release'>): Promise<ParleyError[]> {
  const failed: ParleyError[] = [];
  for (const close of [() => sink.close(), release]) {
    try {
      await close();
    } catch (thrown) {
      failed.push(ParleyError.from(thrown, 'internal'));
    }
  }
  return failed;
}
