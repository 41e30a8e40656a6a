// What the server writes about itself tells who and how long, and never what was said, nor what opens a door.

import { join } from 'node:path';
import type { StartResponse } from '@parley/core';
import { Agent } from '@parley/session';
import { startSimulator } from '@parley/simulator';
import { expect, test, vi } from 'vitest';
import { Client } from './support/client.ts';
import { temporary } from './support/directory.ts';
import { SCRIPT, TEXT } from './support/house.ts';
import { ServerProcess } from './support/server-process.ts';

// Processes are started here, on machines that may be busy.
vi.setConfig({ testTimeout: 60_000 });

const KEY = 'a-key-that-nobody-may-read';

test('no line holds words, inputs, outputs, keys or tokens, at any level', async () => {
  await using directory = await temporary();
  await using simulator = await startSimulator({ script: SCRIPT, voice: 'coded' });
  const env = {
    PARLEY_KEY: KEY,
    PARLEY_LOG_LEVEL: 'debug',
    PARLEY_SIMULATOR_KEY: 'key-of-the-provider',
    PARLEY_ICE_SERVERS: '[{"urls":["turn:127.0.0.1:9"],"secret":"secret-of-the-relay"}]',
  };
  await using server = await ServerProcess.start(join(directory.path, 'data'), simulator.url, env);
  const api = server.api.as(KEY);
  const quiet = (): void => undefined;
  const agent = new Agent('support', { log: { debug: quiet, info: quiet, warn: quiet, error: quiet } });
  agent.skill('find_order', {}, () => ({ day: 'Monday-of-the-output' }));
  agent.skill('broken', {}, () => {
    throw new Error('words-of-the-failure');
  });
  agent.session('call', { ...TEXT, transport: 'webrtc', media: 'bridge' });
  agent.session('voice', { ...TEXT, instructions: 'words-of-the-instructions', tools: ['find_order', 'broken'] });
  const handle = agent.start({ url: server.url, key: KEY });
  await handle.ready;

  const session = await api.post<StartResponse>('/api/v1/sessions/support.voice/start', {
    metadata: { note: 'of-the-caller' },
  });
  const call = await api.post<StartResponse>('/api/v1/sessions/support.call/start', {});
  const credential = call.ice_servers?.[0]?.credential as string;
  expect(credential).toMatch(/^.{27}=$/);
  await api.refused('POST', call.urls.realtime_offer as string, { sdp: 'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n' });
  await using client = await Client.join(server.url, session);
  client.ask('order 4711');
  expect(await client.answer()).toContain('Monday-of-the-output');
  client.send({ type: 'session.update', session: { instructions: 'words-of-the-attacker' } });
  await client.next('error');
  await api.post(`/api/v1/sessions/${session.session_id}/tools/broken`, { input: { secret: 'input-of-the-client' } });
  await api.post(`/api/v1/sessions/${session.session_id}/say`, { text: 'words-to-be-spoken' });
  await api.refused('POST', '/api/v1/sessions/support.voice/start', '{"half-a-body');
  await api.as('a-wrong-key-of-somebody').refused('GET', '/api/v1/sessions');
  for (const { session_id } of [call, session]) await api.post(`/api/v1/sessions/${session_id}/close`);
  await api.until(session.session_id, 'session.closed');
  await Promise.all([handle.stop(), handle.stop()]);
  server.signal('SIGTERM');
  await server.exited;

  // It does write, as lines of JSON, and it names the session.
  const lines = server.log.trim().split('\n');
  for (const line of lines) expect(JSON.parse(line)).toMatchObject({ msg: expect.any(String) });
  expect(server.log).toContain(session.session_id);
  for (const secret of [
    KEY,
    session.client_token,
    'key-of-the-provider',
    'secret-of-the-relay',
    credential,
    'a-wrong-key',
    '4711',
    'Monday-of-the-output',
    'of-the-failure',
    'of-the-instructions',
    'of-the-attacker',
    'of-the-caller',
    'of-the-client',
    'to-be-spoken',
    'half-a-body',
  ]) {
    expect(server.log).not.toContain(secret);
  }
});
