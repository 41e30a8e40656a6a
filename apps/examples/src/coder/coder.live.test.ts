// A spoken call, a real control plane, the real Codex, and a provider on loopback that knows one trick.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParleyClient } from '@parley/client';
import { findCodex, startCodex } from '@parley/codex';
import { promptsOf, startScriptedProvider } from '@parley/codex/testing';
import { startServer } from '@parley/server';
import { startSimulator } from '@parley/simulator';
import { decodeSpeech, encodeSpeech, readWav } from '@parley/simulator/speech';
import { expect, test } from 'vitest';
import { converse } from '../demo/conversation.ts';
import { coderAgent } from './agent.ts';

/** What the model makes of the words of the caller. */
const mend = [
  { call: 'exec_command', input: { cmd: 'sed -i s/Firday/Friday/ shop.txt && cat shop.txt', yield_time_ms: 5000 } },
  { text: 'The shop now says Friday.' },
];

function missing(): string | null {
  try {
    findCodex();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

test('what a caller says is done by Codex, spoken back, and noted in the workflow', async ({ skip }) => {
  const why = missing();
  skip(why !== null, why ?? '');
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'parley-coder-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'shop.txt'), 'Your order ships on Firday.\n');
  const heard: string[] = [];
  const provider = stack.use(await startScriptedProvider({ stepsOf: (prompt) => (heard.push(prompt), mend) }));
  const factory = stack.use(
    await startCodex({ providers: [{ id: 'scripted', baseUrl: provider.url, key: 'sk-none' }], model: 'scripted' }),
  );
  const simulator = stack.use(await startSimulator());
  const server = stack.use(
    await startServer({
      port: 0,
      data: ':memory:',
      log_level: 'silent',
      providers: { simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' } },
    }),
  );
  const agent = coderAgent(factory, folder).start({ url: server.url });
  stack.defer(() => agent.stop());
  await agent.ready;
  const client = new ParleyClient({ url: server.url });

  const { report, workflow } = await converse({
    client,
    url: server.url,
    target: 'coder.desk',
    audio: await encodeSpeech('The shop says Firday. Please mend it.'),
    directory: folder,
    listener: { said: () => undefined, tool: () => undefined },
    signal: AbortSignal.timeout(60_000),
  });

  expect(await readFile(join(folder, 'shop.txt'), 'utf8')).toBe('Your order ships on Friday.\n');
  expect(promptsOf(provider.requests[0]!.body)).toEqual(['The shop says Firday. Please mend it.']);
  const reply = readWav(await readFile(report.reply_wav));
  expect(await decodeSpeech(reply.samples, reply.sampleRate)).toContain('The shop now says Friday.');
  expect(workflow.nodes.map(({ target, kind, status }) => [target, kind, status])).toEqual([
    ['coder.desk', 'session', 'succeeded'],
    ['coder.fix', 'reasoner', 'succeeded'],
  ]);
  const fix = await client.executions.get(workflow.nodes[1]!.execution_id);
  expect(fix.output).toMatchObject({ spoken_response: 'The shop now says Friday.' });
  expect(fix.notes).toMatchObject([
    { text: expect.stringMatching(/^commandExecution: .*sed -i/) as string, data: { exitCode: 0 } },
    { text: 'agentMessage: The shop now says Friday.' },
  ]);
});
