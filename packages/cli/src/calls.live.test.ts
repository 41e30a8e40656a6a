// The command against a real control plane, a real agent and the simulator, all in this process.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PacedSink, ParleyClient, startCall } from '@parley/client';
import { startServer } from '@parley/server';
import { Agent, stderrLog } from '@parley/session';
import { startSimulator } from '@parley/simulator';
import { decodeSpeech, encodeSpeech, readWav, writeWav } from '@parley/simulator/speech';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parley, type Ran } from './command.test.fake.ts';

interface World extends AsyncDisposable {
  url: string;
}

const ORDER = { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] };

let world: World | undefined;

/** One shop: it knows order 42, and answers on the telephone. */
async function openShop(): Promise<World> {
  const stack = new AsyncDisposableStack();
  const simulator = stack.use(await startSimulator());
  const server = stack.use(
    await startServer({
      port: 0,
      data: ':memory:',
      log_level: 'silent',
      providers: { simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' } },
    }),
  );
  const agent = new Agent('shop');
  agent.skill('ship_day', { input: ORDER }, (input) => {
    const { order } = input as { order: string };
    if (order === '42') return { day: 'Friday' };
    throw new Error(`no order ${order}`);
  });
  agent.session('desk', { provider: 'simulator', transport: 'websocket', tools: ['ship_day'] }, async (session) => {
    for await (const turn of session) {
      const [order] = /\d+/.exec(turn.text) ?? [];
      const { day } = (await session.call('shop.ship_day', { order })) as { day: string };
      await session.say(`It ships on ${day}.`);
    }
  });
  agent.session('echo', { provider: 'simulator', transport: 'websocket' });
  agent.session('call', { provider: 'simulator', transport: 'webrtc', media: 'bridge' });
  agent.session('turns', { provider: 'simulator', transport: 'audio_turns', tools: ['ship_day'] });
  const handle = agent.start({ url: server.url, log: stderrLog('error') });
  stack.defer(() => handle.stop());
  await handle.ready;
  return { url: server.url, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

beforeAll(async () => {
  world = await openShop();
}, 60_000);

afterAll(async () => world?.[Symbol.asyncDispose]());

function run(...args: string[]): Promise<Ran> {
  return parley(args, { env: { PARLEY_URL: world?.url ?? '' } });
}

interface Line {
  type: string;
  [field: string]: unknown;
}

function lines(text: string): Line[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

test('a session is started, its tool called, its log read, and it is closed', async () => {
  const started = await run('session', 'start', 'shop.desk', '--metadata', '{"from":"test"}');
  expect(started).toMatchObject({ code: 0, stderr: '' });
  const id = started.stdout.trim();
  expect(id).toMatch(/^sess_/);

  expect(await run('session', 'tool', id, 'ship_day', '--in', '{"order":"42"}')).toEqual({
    code: 0,
    stdout: '{"day":"Friday"}\n',
    stderr: '',
  });
  const failed = await run('session', 'tool', id, 'ship_day', '--in', '{"order":"1"}');
  expect(failed).toMatchObject({ code: 1, stdout: '' });
  expect(failed.stderr).toContain('no order 1');
  const refused = await run('session', 'tool', id, 'open_safe');
  expect(refused.code).toBe(3);
  expect(refused.stderr).toMatch(/^parley: permission_denied: /);

  expect((await run('session', 'close', id, '--reason', 'enough')).stdout).toBe(`${id}  closed\n`);
  const log = lines((await run('session', 'tail', id, '--json')).stdout);
  expect(log.map((entry) => entry['seq'])).toEqual(log.map((_, i) => i + 1));
  expect(log.filter(({ type }) => type === 'tool.completed')).toHaveLength(2);
  expect(log.at(-1)).toMatchObject({ type: 'session.closed', reason: 'enough' });
  const rest = await run('session', 'tail', id, '--json', '--no-follow', '--after', String(log.length - 1));
  expect(lines(rest.stdout)).toEqual(log.slice(-1));

  const shown = JSON.parse((await run('session', 'show', id, '--json')).stdout) as Line;
  expect(shown).toMatchObject({ session_id: id, status: 'closed', metadata: { from: 'test' } });
  const tree = await run('session', 'workflows', id);
  expect(tree.stdout).toMatch(/^shop\.desk +.*\n {2}shop\.ship_day +succeeded .*\n {2}shop\.ship_day +failed /);
  const listed = lines(
    (await run('session', 'list', '--json', '--all', '--limit', '1', '--target', 'shop.desk')).stdout,
  );
  expect(listed.some((one) => one['session_id'] === id)).toBe(true);
}, 30_000);

test('what is wrong with a start is told, and is exit code 2', async () => {
  for (const [args, code] of [
    [['shop.nothing'], 'not_found'],
    [['shop'], 'invalid_argument'],
    [['shop.desk', '--transport', 'webrtc'], ''],
  ] as const) {
    const ran = await run('session', 'start', ...args);
    expect({ args, code: ran.code, stdout: ran.stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(ran.stderr).toMatch(new RegExp(`^parley: ${code}`));
  }
}, 30_000);

test('a function is executed, now or later', async () => {
  const now = await run('execute', 'shop.ship_day', '--in', '{"order":"42"}', '--json');
  expect(JSON.parse(now.stdout)).toMatchObject({ status: 'succeeded', output: { day: 'Friday' } });
  const later = await run('execute', 'shop.ship_day', '--in', '{"order":"42"}', '--async');
  expect(later.stdout).toMatch(/^exec_\w+\n$/);
  const failed = await run('execute', 'shop.ship_day', '--in', '{"order":"7"}');
  expect(failed.code).toBe(1);
}, 30_000);

test('talk says each text after the answer to the one before', async () => {
  const ran = await run('session', 'talk', 'shop.desk', '--text', 'Order 42?', '--text', 'And 42?');
  expect(ran.code).toBe(0);
  const both = 'you: Order 42?\nagent: It ships on Friday.\nyou: And 42?\nagent: It ships on Friday.\n';
  expect(ran.stdout).toBe(both);
}, 40_000);

test('talk says a WAV file, and keeps the words of the answer as sound', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-'));
  const question = join(folder, 'question.wav');
  const answer = join(folder, 'answer.wav');
  writeFileSync(question, writeWav(await encodeSpeech('Where is order 42?', { sampleRate: 48_000 }), 48_000));
  const ran = await run('session', 'talk', 'shop.desk', '--audio', question, '--out', answer, '--json');
  expect({ code: ran.code, stderr: ran.stderr }).toMatchObject({ code: 0 });
  const said = lines(ran.stdout);
  expect(said.filter(({ type }) => type === 'transcript').map(({ track, text }) => [track, text])).toEqual([
    ['user', 'Where is order 42?'],
    ['agent', 'It ships on Friday.'],
  ]);
  expect(said.at(-1)).toMatchObject({ type: 'end', reason: 'hung_up', interruptions: 0 });
  const { samples, sampleRate } = readWav(readFileSync(answer));
  expect(await decodeSpeech(samples, sampleRate)).toBe('It ships on Friday.');
}, 60_000);

test('a caller who speaks over an answer is heard, and the log has what was heard of the answer', async () => {
  const { sessions } = new ParleyClient({ url: world?.url });
  const { session_id, client_token } = await sessions.start('shop.echo');
  let interrupt: () => void = () => {};
  const answering = new Promise<void>((resolve) => (interrupt = resolve));
  async function* caller() {
    yield await encodeSpeech('Please tell me a long story about a walnut desk.', { sampleRate: 24_000 });
    yield new Int16Array(24_000);
    await answering;
    yield await encodeSpeech('Stop it.', { sampleRate: 24_000 });
  }
  const sink = new PacedSink({ onHeard: () => interrupt() });
  const audio = { source: caller(), sink };
  const call = await startCall({ url: world?.url ?? '', sessionId: session_id, token: client_token, audio });
  const cut = await new Promise<{ itemId: string; playedMs: number }>((resolve) => call.on('interruption', resolve));
  await call.quiet({ forMs: 1000 });
  const end = await call.hangUp('enough');
  expect(end).toMatchObject({ reason: 'enough', error: null, stats: { interruptions: 1, droppedAudioMs: 0 } });
  const log = [];
  for await (const event of sessions.tail(session_id)) log.push(event);
  expect(log.filter(({ type }) => type === 'item.truncated')).toMatchObject([
    { item_id: cut.itemId, audio_ms: Math.floor(cut.playedMs) },
  ]);
  expect(log.filter(({ type }) => type === 'provider.failed' || type === 'client.rejected')).toEqual([]);
  const heard = log.filter((event) => event.type === 'turn.completed').map((event) => event.text);
  expect(heard).toEqual(['Please tell me a long story about a walnut desk.', 'Stop it.']);
}, 40_000);

test('talk without a file that is there costs no session', async () => {
  const before = lines((await run('session', 'list', '--json', '--all')).stdout).length;
  expect(await run('session', 'talk', 'shop.desk', '--audio', '/nowhere.wav')).toMatchObject({ code: 2, stdout: '' });
  expect(lines((await run('session', 'list', '--json', '--all')).stdout)).toHaveLength(before);
}, 30_000);

test('doctor of a machine where everything is there is content', async () => {
  const ran = await run('doctor');
  expect(ran.code).toBe(0);
  expect(ran.stdout).toMatch(/^ok +server .*\nok +agents +shop\nok +providers +simulator$/m);
  expect(ran.stdout).toMatch(/^note +xai +not set up: the control plane needs XAI_API_KEY \(or XAI_API_KEY_FILE\)$/m);
});

const OFFER = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  't=0 0',
  'a=group:BUNDLE 0 1',
  `a=fingerprint:sha-256 ${Array.from({ length: 32 }, () => 'AB').join(':')}`,
  'a=ice-ufrag:abcd',
  'a=ice-pwd:abcdefghijklmnopqrstuvwx',
  'a=setup:actpass',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'c=IN IP4 0.0.0.0',
  'a=mid:0',
  'a=sendrecv',
  'a=rtcp-mux',
  'a=rtpmap:111 opus/48000/2',
  'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
  'c=IN IP4 0.0.0.0',
  'a=mid:1',
  'a=sctp-port:5000',
].join('\n');

test('an offer is given inline, in a file or on stdin, and its answer is SDP or JSON', async () => {
  const started = await run('session', 'start', 'shop.call');
  const id = started.stdout.trim();
  const file = join(mkdtempSync(join(tmpdir(), 'parley-offer-')), 'offer.sdp');
  writeFileSync(file, `${OFFER}\n`);
  for (const [sdp, stdin] of [[OFFER], [`@${file}`], ['-', OFFER]] as const) {
    const env = { PARLEY_URL: world?.url ?? '' };
    const ran = await parley(['session', 'offer', id, '--sdp', sdp], stdin === undefined ? { env } : { env, stdin });
    expect(ran).toMatchObject({ code: 0, stderr: '' });
    expect(ran.stdout).toMatch(/^v=0\r\n[\s\S]*a=setup:(?:active|passive)\r\n/);
  }
  const json = await run('session', 'offer', id, '--sdp', `@${file}`, '--json');
  expect(JSON.parse(json.stdout)).toEqual({ answer_sdp: expect.stringMatching(/^v=0\r\n/) as string });
  const bad = await run('session', 'offer', id, '--sdp', 'hello');
  expect(bad).toMatchObject({ code: 2, stdout: '' });
  expect(bad.stderr).toContain('invalid_argument');
  const missing = await run('session', 'offer', id, '--sdp', '@/nowhere/offer.sdp');
  expect(missing).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('--sdp file /nowhere/offer.sdp') as string,
  });
}, 60_000);

test('one turn in one request: sound in, words out, and the sound of the answer in a file', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-turn-'));
  const question = join(folder, 'question.wav');
  const reply = join(folder, 'reply.wav');
  writeFileSync(question, writeWav(await encodeSpeech('good evening'), 24_000));
  const { stdout: id } = await run('session', 'start', 'shop.turns');
  const turn = await run('session', 'turn', id.trim(), '--audio', question, '--out', reply);
  expect(turn).toMatchObject({ code: 0, stdout: 'you    good evening\nagent  You said: good evening\n' });
  const { samples, sampleRate } = readWav(readFileSync(reply));
  expect(await decodeSpeech(samples, sampleRate)).toBe('You said: good evening');
  const json = await run('session', 'turn', id.trim(), '--text', 'and again', '--json');
  expect(JSON.parse(json.stdout)).toMatchObject({ user_text: 'and again', audio: { format: 'wav' } });
  for (const args of [[], ['--text', 'a', '--audio', question], ['--audio', join(folder, 'none.wav')]]) {
    expect(await run('session', 'turn', id.trim(), ...args)).toMatchObject({ code: 2, stdout: '' });
  }
});
