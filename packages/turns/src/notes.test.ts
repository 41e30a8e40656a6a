import { expect, test } from 'vitest';
import { type NoteOptions, inExecution } from './notes.ts';

function execution() {
  const notes: [string, unknown][] = [];
  const abort = new AbortController();
  return {
    notes,
    abort,
    context: { signal: abort.signal, note: (text: string, data?: unknown) => void notes.push([text, data]) },
  };
}

const events = [
  { kind: 'reasoning', summary: 'hm', metadata: {} },
  { kind: 'commandExecution', summary: 'npm test', metadata: { exitCode: 0 } },
];

function noted(options?: NoteOptions) {
  const { context, notes } = execution();
  const { onEvent } = inExecution(context, options);
  for (const event of events) onEvent?.(event);
  return notes;
}

test('events of a turn become notes of the execution, thoughts do not', () => {
  expect(noted()).toEqual([['commandExecution: npm test', { exitCode: 0 }]]);
});

test('which events, and how much of them, is for the caller to say', () => {
  expect(noted({ accepts: () => true, summariesOnly: true })).toEqual([
    ['reasoning: hm', undefined],
    ['commandExecution: npm test', undefined],
  ]);
});

test('what is too large for a note is left out of it, and does not end the turn', () => {
  const { context, notes } = execution();
  const changes = Array.from({ length: 100 }, (_, i) => ({ path: `${i}.ts`, diff: 'x'.repeat(16_384) }));
  const metadata = { changes };
  inExecution(context).onEvent?.({ kind: 'fileChange', summary: '0.ts, 1.ts', metadata });
  expect(notes).toEqual([['fileChange: 0.ts, 1.ts', { left_out_bytes: JSON.stringify(metadata).length }]]);
});

test('the cancellation of the execution is that of the turn', () => {
  const { context, abort } = execution();
  expect(inExecution(context).signal).toBe(abort.signal);
});
