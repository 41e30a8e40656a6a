// The examples in the docstrings and in the README are compiled, against the package as it is built.

import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const SRC = import.meta.dirname;
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');

const PREAMBLE = `
import { Agent, agent, reasoner, session, skill, stderrLog } from '@parley/session';
import { AgentLauncher, Runner } from '@parley/session';
import type { Context, RealtimeSession } from '@parley/session';
import { z } from 'zod';
declare const orders: Map<string, string>;
declare const support: Agent;
declare const launcher: AgentLauncher;
declare const context: Context;
declare class Support {}
`;

/** What stands under each `@example` of a file. */
function examplesIn(source: string): string[] {
  return [...source.matchAll(/\/\*\*[\s\S]*?\*\//g)]
    .map(([comment]) => comment.replace(/^\s*\*\/?/gm, '').replace(/\*\/$/, ''))
    .flatMap((comment) => comment.split(/@example\n/).slice(1));
}

test('every public example compiles', async () => {
  const examples: string[] = [];
  for (const file of await readdir(SRC, { recursive: true })) {
    if (!file.endsWith('.ts') || file.includes('.test.')) continue;
    for (const body of examplesIn(await readFile(join(SRC, file), 'utf8'))) {
      examples.push(`${PREAMBLE}\nexport async function example() {\n${body}\n}\n`);
    }
  }
  const readme = await readFile(join(SRC, '..', 'README.md'), 'utf8');
  for (const [, body] of readme.matchAll(/```ts\n([\s\S]*?)```/g)) examples.push(body as string);
  expect(examples.length).toBeGreaterThanOrEqual(6);

  const folder = join(SRC, '..', 'dist', `examples-${process.pid}`);
  await mkdir(folder, { recursive: true });
  try {
    const names = examples.map((_, at) => join(folder, `example-${at}.ts`));
    await Promise.all(examples.map((text, at) => writeFile(names[at] as string, text)));
    const options =
      '--noEmit --ignoreConfig --strict --target es2023 --module nodenext --skipLibCheck --types node'.split(' ');
    const compiled = await promisify(execFile)(process.execPath, [
      TSC,
      ...options,
      '--lib',
      'es2024,esnext.disposable,esnext.decorators',
      ...names,
    ]).catch((error: { stdout: string }) => error);
    expect(compiled.stdout).toBe('');
  } finally {
    await rm(folder, { recursive: true });
  }
});
