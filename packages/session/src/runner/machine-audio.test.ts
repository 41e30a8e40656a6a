import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { foundProgram, microphone, openPlayer } from './machine-audio.ts';

/** A program of the test's own, in the place of a recorder or a player. */
function script(text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'parley-')), 'program');
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
  return path;
}

test('a recorder is heard sample by sample, however its bytes are cut', async () => {
  // Three bytes, a pause, and three bytes: the second sample comes in two halves.
  const program = script("printf '\\001\\000\\002'; sleep 0.1; printf '\\000\\003\\000'; exec sleep 60");
  const abort = new AbortController();
  const heard: number[] = [];
  for await (const pcm of microphone({ program, args: [] }, abort.signal)) {
    heard.push(...pcm);
    if (heard.length === 3) abort.abort();
  }
  expect(heard).toEqual([1, 2, 3]);
});

test('a recorder that cannot record says why', async () => {
  const program = script('echo "no such device" >&2; exit 3');
  const source = microphone({ program, args: [] }, new AbortController().signal);
  await expect(source.next()).rejects.toMatchObject({
    code: 'failed_precondition',
    message: `${program} ended with 3: no such device`,
  });
});

test('a recorder that is not there is told, and nothing waits for it', async () => {
  const source = microphone({ program: '/nowhere/recorder', args: [] }, new AbortController().signal);
  await expect(source.next()).rejects.toMatchObject({ code: 'failed_precondition' });
});

test('a player is given what is heard', async () => {
  const out = join(mkdtempSync(join(tmpdir(), 'parley-')), 'out.raw');
  let told: (why: string) => void = () => {};
  const failed = new Promise<string>((resolve) => (told = resolve));
  const player = openPlayer({ program: script(`head -c 4 > ${out}; echo done >&2; exit 1`), args: [] }, told);
  player.play(Int16Array.of(258, -2));
  expect(await failed).toMatch(/ended with 1: done$/);
  expect([...readFileSync(out)]).toEqual([2, 1, 254, 255]);
  player.play(Int16Array.of(1));
  player.close();
});

test('programs are found as the shell finds them', () => {
  expect(foundProgram('sh')).toMatch(/\/sh$/);
  expect(foundProgram('no-such-program-here')).toBeNull();
});
