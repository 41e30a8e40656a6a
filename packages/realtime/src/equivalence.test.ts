// The same tapes through this package and through @openai/agents-realtime: where the two differ, they are meant to.

import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { playOurs } from './test-support/equivalence/ours.ts';
import { playPeer } from './test-support/equivalence/peer.ts';
import type { Aspect } from './test-support/equivalence/tape.ts';
import { TAPES } from './test-support/equivalence/tapes.ts';

const ASPECTS: readonly Aspect[] = ['frames', 'outputs', 'history', 'audio', 'events', 'thrown'];

test('there are at least thirty tapes, each of its own', () => {
  expect(new Set(TAPES.map(({ name }) => name)).size).toBeGreaterThanOrEqual(30);
});

test.for(TAPES)('$name', async (tape) => {
  const ours = await playOurs(tape);
  const peer = await playPeer(tape);
  const differing = ASPECTS.filter((aspect) => !isDeepStrictEqual(ours[aspect], peer[aspect]));
  const shown = differing.map(
    (aspect) => `${aspect}: ours ${JSON.stringify(ours[aspect])}, peer ${JSON.stringify(peer[aspect])}`,
  );
  const expected = Object.keys(tape.differences).toSorted();
  // What differs is shown where it was not expected to.
  const told = isDeepStrictEqual(differing.toSorted(), expected) ? [] : shown;
  expect({ differing: differing.toSorted(), told }).toEqual({ differing: expected, told: [] });
  expect(ours.thrown).toEqual([]);
});
