import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { run, type RunOptions } from './run.ts';
import { type Case, difference, readVectors } from './vectors.ts';

function folder(files: Record<string, string>): string {
  const root = mkdtempSync(join(tmpdir(), 'parley-vectors-'));
  onTestFinished(() => rmSync(root, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

function cases(count: number): Case[] {
  return Array.from({ length: count }, (_, i) => ({
    id: `echo/numbers: ${i}`,
    op: 'echo',
    input: String(i),
    matches: (answer) => difference({ value: i }, answer),
  }));
}

/** A testee whose answer to each request is this expression of `id` and `input`; it may do anything else instead. */
function testee(answer: string): { command: string; args: string[] } {
  const program = `require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, input } = JSON.parse(line);
    const write = (text) => process.stdout.write(text + '\\n');
    ${answer};
  });`;
  return { command: process.execPath, args: ['-e', program] };
}

const GOOD = 'write(JSON.stringify({ id, value: input }))';

function options(more: Partial<RunOptions> = {}): RunOptions {
  return { unsupported: [], timeout_ms: 10_000, restarts_max: 5, report: () => {}, ...more };
}

test('a testee that answers right passes', async () => {
  expect(await run(cases(3), testee(GOOD), options())).toEqual({ passed: 3, unsupported: 0, failures: [] });
});

test('a wrong answer is a failure that shows both', async () => {
  const tally = await run(cases(2), testee('write(JSON.stringify({ id, value: 0 }))'), options());
  expect(tally).toMatchObject({ passed: 1, failures: ['echo/numbers: 1\n    expected {"value":1}, got {"value":0}'] });
});

test('a testee that crashes fails one case and is started again', async () => {
  const tally = await run(cases(3), testee(`if (input === 1) process.exit(3); ${GOOD}`), options());
  expect(tally).toMatchObject({ passed: 2, failures: ['echo/numbers: 1\n    the testee ended with 3'] });
});

test('a testee that hangs is a failure after its time', async () => {
  const tally = await run(cases(2), testee(`if (input === 0) return; ${GOOD}`), options({ timeout_ms: 1_000 }));
  expect(tally).toMatchObject({ passed: 1, failures: ['echo/numbers: 0\n    no answer within 1000 ms'] });
});

test.each([
  ['no JSON', `write('Hello')`],
  ['a list', `write('[]')`],
  ['another id', `write('{"id":99,"value":0}')`],
])('rubbish is a failure: %s', async (_, answer) => {
  const tally = await run(cases(1), testee(answer), options());
  expect(tally.failures[0]).toContain('expected one line of JSON with id 1, got');
});

test('a testee that fails too often is given up', async () => {
  const tally = await run(cases(9), testee('process.exit(1)'), options({ restarts_max: 2 }));
  expect(tally.failures).toHaveLength(9);
  expect(tally.failures.filter((one) => one.includes('not asked'))).toHaveLength(6);
});

test('a testee that does not exist is a failure', async () => {
  const tally = await run(cases(1), { command: 'no-such-testee', args: [] }, options({ restarts_max: 0 }));
  expect(tally.failures[0]).toContain('the testee did not start');
});

test('what a language declares it does not do is counted and not asked', async () => {
  const tally = await run(
    cases(1),
    testee('process.exit(1)'),
    options({ unsupported: [{ cases: 'echo/', reason: 'deaf' }] }),
  );
  expect(tally).toEqual({ passed: 0, unsupported: 1, failures: [] });
});

test('input_json goes to the testee as it stands', () => {
  const file = { about: 'x', op: 'echo', cases: [{ name: 'a', input_json: '500.0', value: 500 }] };
  const [only] = readVectors(folder({ 'numbers/a.json': JSON.stringify(file) }));
  expect(only).toMatchObject({ id: 'numbers/a: a', op: 'echo', input: '500.0' });
  expect(only?.matches({ value: 500 })).toBeNull();
  expect(only?.matches({ error: { code: 'internal', message: 'x' } })).toContain('expected {"value":500}');
});

test('a session goes on after another, and every line of both is compared', () => {
  const line = (type: string) => JSON.stringify({ at_ms: 1, event: { type }, effects: [] });
  const root = folder({
    'sessions/_start.jsonl': `{"about":"start"}\n${line('a')}\n`,
    'sessions/more.jsonl': `{"about":"more","after":"_start.jsonl"}\n${line('b')}\n{"state":{"turns":1}}\n`,
  });
  const all = readVectors(root);
  expect(all.map((one) => one.id)).toEqual(['sessions/more']);
  const answer = (second: object, state: object, replayed = true) => ({
    value: {
      lines: [
        { records: [{ type: 'a', seq: 1, at_ms: 1 }], effects: [] },
        { records: [{ type: 'b', seq: 2, at_ms: 1, ...second }], effects: [] },
      ],
      state,
      replayed,
    },
  });
  expect(all[0]?.matches(answer({}, { turns: 1 }))).toBeNull();
  expect(all[0]?.matches(answer({ seq: 3 }, { turns: 1 }))).toContain('event 2');
  expect(all[0]?.matches(answer({}, { turns: 2 }))).toContain('state.turns');
  expect(all[0]?.matches(answer({}, { turns: 1 }, false))).toContain('replay');
});

test('keys that objects inherit are compared like any other', () => {
  expect(difference(JSON.parse('{"__proto__":{}}'), {})).not.toBeNull();
  expect(difference(JSON.parse('{"__proto__":{"a":1}}'), JSON.parse('{"__proto__":{"a":1}}'))).toBeNull();
  expect(difference([], {})).not.toBeNull();
  expect(difference({ a: 1, b: 2 }, { b: 2, a: 1 })).toBeNull();
});
