// What a handle of the provider stands for.

import type { ModelConnection } from '@parley/providers';
import { expect, test } from 'vitest';
import { Resumption } from './resumption.ts';

function giving(handle: string | undefined): ModelConnection {
  return { resumeHandle: handle } as ModelConnection;
}

test('what was there before a handle is in it, and what came after is not', () => {
  const resumption = new Resumption();
  resumption.came('u1', true);
  resumption.answers();
  resumption.came('a1', false);
  resumption.look(giving('h1'));
  expect([...resumption.since]).toEqual([]);
  resumption.came('u2', true);
  resumption.look(giving('h1'));
  resumption.answers();
  resumption.came('a2', false);
  expect([...resumption.since]).toEqual(['u2', 'a2']);
  resumption.look(giving('h2'));
  expect([...resumption.since]).toEqual([]);
  expect(resumption.handle).toEqual({ value: 'h2' });
});

test('what was sent since the model began to answer may not be in the handle of that answer', () => {
  const resumption = new Resumption();
  resumption.came('u1', true);
  resumption.answers();
  resumption.came('a1', false);
  resumption.came('u2', true);
  resumption.look(giving('h1'));
  expect([...resumption.since]).toEqual(['u2']);
  resumption.gone('u2');
  expect([...resumption.since]).toEqual([]);
});

test('a handle that is refused is not offered again, and one that came meanwhile is', () => {
  const resumption = new Resumption();
  resumption.look(giving(undefined));
  expect(resumption.handle).toBeNull();
  resumption.look(giving('h1'));
  const first = resumption.handle;
  resumption.look(giving('h2'));
  if (first) resumption.refused(first);
  expect(resumption.handle).toEqual({ value: 'h2' });
  if (resumption.handle) resumption.refused(resumption.handle);
  expect(resumption.handle).toBeNull();
  // The connection before a renewal is still there, and still has it.
  resumption.look(giving('h2'));
  expect(resumption.handle).toBeNull();
  resumption.look(giving('h3'));
  expect(resumption.handle).toEqual({ value: 'h3' });
});
