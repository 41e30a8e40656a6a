// The samples of the README and of the docstrings compile against the package as it is built, and those of the README run.

import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { parseScript, startSimulator } from '@parley/simulator';
import { afterAll, beforeAll, expect, test } from 'vitest';

const SRC = import.meta.dirname;
const FOLDER = join(SRC, '..', 'dist', `samples-${process.pid}`);
const TSC = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
const run = promisify(execFile);

const PREAMBLE = `
import { RealtimeAgent, RealtimeRunner, RealtimeSession, PlaybackTracker, TelephonyMarks, backgroundResult,
  defineToolInputGuardrail, handoff, hostedMcpTool, mcpServer, replayPlan, tool } from '@parley/realtime';
import { ScriptedModel, VirtualTime, recordTape } from '@parley/realtime/testing';
import { z } from 'zod';
declare const agent: RealtimeAgent, billing: RealtimeAgent, runner: RealtimeRunner, session: RealtimeSession;
declare const fetchWeather: (city: string, signal: AbortSignal) => Promise<string>;
declare const notes: { add(note: unknown): Promise<void> };
declare const player: { play(data: Uint8Array, heard: () => void): void };
declare const carrier: { send(event: object): void; on(type: string, listener: (mark: { name: string }) => void): void };
declare const key: string, transport: object;
declare const writeFile: (path: string, text: string) => Promise<void>;
declare class Client { constructor(info: object); connect(transport: object): Promise<void>;
  listTools(): Promise<{ tools: { name: string; inputSchema: Record<string, unknown> }[] }>;
  callTool(params: object): Promise<Record<string, unknown>>; }
`;

beforeAll(() => mkdir(FOLDER, { recursive: true }));
afterAll(() => rm(FOLDER, { recursive: true }));

async function readme(): Promise<string[]> {
  const text = await readFile(join(SRC, '..', 'README.md'), 'utf8');
  return [...text.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, body]) => body as string);
}

async function docstrings(): Promise<string[]> {
  const samples: string[] = [];
  for (const file of await readdir(SRC, { recursive: true })) {
    if (!file.endsWith('.ts') || file.includes('.test.')) continue;
    const source = await readFile(join(SRC, file), 'utf8');
    for (const [comment] of source.matchAll(/\/\*\*[\s\S]*?\*\//g)) {
      const body = comment
        .replace(/\*\/$/, '')
        .replace(/^\s*\*\s?\/?/gm, '')
        .split(/@example\n/)[1];
      if (body !== undefined) samples.push(body);
    }
  }
  return samples;
}

test('every sample compiles', async () => {
  const inReadme = await readme();
  const inDocs = await docstrings();
  expect(inReadme.length).toBe(2);
  expect(inDocs.length).toBeGreaterThanOrEqual(12);
  const texts = [
    ...inReadme,
    ...inDocs.map((body) =>
      body.includes('execute: async (note)')
        ? `${PREAMBLE}\nexport const options = {\n${body.replace('async (note)', 'async (note: unknown)')}\n};`
        : `${PREAMBLE}\nexport async function sample() {\n${body.replaceAll('…', '')}\n}\n`,
    ),
  ];
  const names = texts.map((_, at) => join(FOLDER, `sample-${at}.ts`));
  await Promise.all(texts.map((text, at) => writeFile(names[at] as string, text)));
  const flags = '--noEmit --ignoreConfig --strict --target es2023 --module nodenext --skipLibCheck --types node'.split(
    ' ',
  );
  const compiled = await run(process.execPath, [TSC, ...flags, '--lib', 'es2024,esnext.disposable', ...names]).catch(
    (error: { stdout: string }) => error,
  );
  expect(compiled.stdout).toBe('');
});

test('the samples of the README run: against the simulator, and by the test kit', async () => {
  await using simulator = await startSimulator({
    script: parseScript(`
rules:
  - heard: weather in (\\w+)
    call: { name: weather, arguments: { city: "$1" } }
    then: "{{output}}"
`),
  });
  const [first, second] = (await readme()) as [string, string];
  const talk = join(FOLDER, 'talk.ts');
  const local = `{ modelConfig: { baseUrl: '${simulator.url}/v1', apiKey: 'any' } }`;
  const ends = '\nprocess.stderr.write(JSON.stringify(session.history.map((item) => item.type)));\n';
  await writeFile(talk, first.replace('.run()', `.run(${local})`) + ends);
  const talked = await run(process.execPath, [talk], { encoding: 'buffer', maxBuffer: 64 * 1024 * 1024 });
  expect(JSON.parse(talked.stderr.toString())).toEqual(['message', 'function_call', 'message']);
  // Sound came out, in whole samples.
  expect(talked.stdout.length).toBeGreaterThan(4_800);
  expect(talked.stdout.length % 2).toBe(0);

  const tested = join(FOLDER, 'tested.ts');
  const asserts =
    '\nconsole.log(JSON.stringify([scripted.connections.length, session.history.length]));\nawait session.close();\n';
  await writeFile(tested, second + asserts);
  const { stdout } = await run(process.execPath, [tested]);
  expect(JSON.parse(stdout)).toEqual([2, 2]);
});
