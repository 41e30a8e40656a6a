import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { ManualClock } from './clock.ts';
import type { FrameClose, FrameSocket } from './frame-socket.ts';
import { Link, type LinkOptions, type LinkPeer } from './link.ts';
import type { LinkConnection } from './link-connection.ts';
import { wsPair } from './test-support/ws-pair.ts';

/** The agent's end of a connection, with the other end's hands on it. */
class Wire implements FrameSocket {
  readonly id = 'wire';
  readonly sent: string[] = [];
  open = true;
  bufferedBytes = 0;
  #frame: (frame: Buffer) => void = () => undefined;
  #drain: () => void = () => undefined;
  #close: (close: FrameClose) => void = () => undefined;

  send(frame: Buffer | string): void {
    this.sent.push(frame.toString());
  }
  pause(): void {}
  resume(): void {}
  onFrame(listener: (frame: Buffer) => void): void {
    this.#frame = listener;
  }
  onDrain(listener: () => void): void {
    this.#drain = listener;
  }
  onClose(listener: (close: FrameClose) => void): void {
    this.#close = listener;
  }
  close(code = 1000, reason = ''): void {
    this.end(code, reason);
  }
  terminate(): void {
    this.end(1006);
  }

  says(frame: unknown): void {
    this.#frame(Buffer.from(frame === '{' ? frame : JSON.stringify(frame)));
  }
  reads(): void {
    this.bufferedBytes = 0;
    this.#drain();
  }
  end(code: number, reason = ''): void {
    if (!this.open) return;
    this.open = false;
    this.#close({ code, reason });
  }
}

/** What a dial comes to. */
type Answer = (socket: FrameSocket | ParleyError) => void;

function rig(options: Partial<LinkOptions> = {}, hello = 'hello') {
  const clock = new ManualClock();
  const log: string[] = [];
  const dials: Answer[] = [];
  const waiting: ((answer: Answer) => void)[] = [];
  const peer: LinkPeer = {
    hello: () => hello,
    welcome(frame) {
      if (frame === 'refused') throw new ParleyError('permission_denied', 'not you');
      return frame === 'welcome' ? { heartbeatMs: 1_000, leaseMs: 3_000, frameBytesMax: 1 } : null;
    },
    heartbeat: () => 'beat',
    up: () => void log.push('up'),
    frame: (frame) => void log.push(`frame ${JSON.stringify(frame)}`),
    writable: () => void log.push('writable'),
    down: (_, close) => void log.push(`down ${close.code}`),
    retrying: (error, delayMs) => void log.push(`retry ${error.code} in ${delayMs}`),
  };
  const link = new Link(peer, {
    clock,
    backoff: { random: () => 1 },
    dial: () =>
      new Promise((resolve, reject) => {
        const answer: Answer = (socket) => (socket instanceof ParleyError ? reject(socket) : resolve(socket));
        const asked = waiting.shift();
        if (asked) asked(answer);
        else dials.push(answer);
      }),
    ...options,
  });
  const dialled = (): Promise<Answer> => {
    const answer = dials.shift();
    return answer ? Promise.resolve(answer) : new Promise((resolve) => waiting.push(resolve));
  };
  /** Answers the next dial with a connection that says hello. */
  const accept = async (): Promise<Wire> => {
    const wire = new Wire();
    (await dialled())(wire);
    await until(() => wire.sent.length > 0);
    return wire;
  };
  return { clock, log, link, dialled, accept };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('a link that cannot be had is tried again, each time later, and a refusal to wait is kept', async () => {
  const { clock, log, link, dialled } = rig();
  const run = link.run();
  const down = new ParleyError('unavailable', 'nobody there');
  (await dialled())(down);
  await until(() => log.length === 1);
  clock.advance(249);
  expect(clock.waiting).toEqual([1]);
  clock.advance(1);
  (await dialled())(down);
  await until(() => log.length === 2);
  clock.advance(500);
  (await dialled())(new ParleyError('resource_exhausted', 'later', { retry_after_ms: 7_000 }));
  await until(() => log.length === 3);
  expect(log).toEqual(['retry unavailable in 250', 'retry unavailable in 500', 'retry resource_exhausted in 7000']);
  link.stop();
  await run;
});

test('a peer that accepts and drops is not redialled faster for it', async () => {
  const { clock, log, link, accept } = rig();
  const run = link.run();
  for (const delay of [250, 500]) {
    const wire = await accept();
    wire.says('welcome');
    clock.advance(500);
    wire.end(1006);
    await until(() => clock.waiting.length > 0);
    expect(log.splice(0)).toEqual(['up', 'down 1006', `retry unavailable in ${delay}`]);
    clock.advance(delay);
  }
  const wire = await accept();
  wire.says('welcome');
  for (let beats = 0; beats < 5; beats += 1) {
    clock.advance(1_000);
    wire.says('alive');
  }
  wire.end(1012);
  await until(() => log.includes('down 1012'));
  expect(log).toContain('retry unavailable in 250');
  link.stop();
  await run;
});

test('a refusal for good ends the link: at the upgrade, in the welcome, by a close code', async () => {
  const upgrade = rig();
  const first = upgrade.link.run();
  (await upgrade.dialled())(new ParleyError('unauthenticated', 'no such key'));
  await expect(first).rejects.toMatchObject({ code: 'unauthenticated' });

  const welcome = rig();
  const second = welcome.link.run();
  (await welcome.accept()).says('refused');
  await expect(second).rejects.toMatchObject({ code: 'permission_denied', message: 'not you' });

  const later = rig();
  const third = later.link.run();
  const wire = await later.accept();
  wire.says('welcome');
  wire.end(4503, 'a frame was wrong');
  await expect(third).rejects.toMatchObject({ code: 'invalid_argument', message: 'a frame was wrong' });
});

test('a hello that is too large for the peer ends the link with its size', async () => {
  const pair = await wsPair({ maxFrameBytes: 1_000 });
  const { log, link, dialled } = rig({}, 'é'.repeat(600));
  pair.server.onFrame(() => void log.push('taken'));
  const run = link.run();
  (await dialled())(pair.client);
  await expect(run).rejects.toMatchObject({
    code: 'resource_exhausted',
    retryable: false,
    message: expect.stringMatching(/^the peer does not take a first frame of 1200 bytes: /),
    details: { close_code: 1009 },
  });
  expect(log).not.toContainEqual(expect.stringMatching(/^(taken|up|retry)/));
  await pair.dispose();
});

test('a frame that is too large after the welcome brings the link back', async () => {
  const { clock, log, link, accept } = rig();
  const run = link.run();
  const wire = await accept();
  wire.says('welcome');
  wire.end(1009);
  await until(() => clock.waiting.length > 0);
  expect(log).toEqual(['up', 'down 1009', 'retry unavailable in 250']);
  link.stop();
  await run;
});

test('a close that invites back is followed by another dial', async () => {
  const { clock, log, link, accept } = rig();
  const run = link.run();
  const wire = await accept();
  wire.says('welcome');
  wire.end(4014, 'draining');
  await until(() => clock.waiting.length > 0);
  expect(log).toEqual(['up', 'down 4014', 'retry unavailable in 250']);
  clock.advance(250);
  (await accept()).says('welcome');
  expect(log.at(-1)).toBe('up');
  link.stop();
  await run;
});

test('heartbeats go out, and silence past the lease cuts the connection', async () => {
  const { clock, log, link, accept } = rig();
  const run = link.run();
  const wire = await accept();
  wire.says('welcome');
  clock.advance(1_000);
  wire.says('alive');
  clock.advance(3_000);
  expect(wire.sent).toEqual(['hello', 'beat', 'beat', 'beat', 'beat']);
  expect(wire.open).toBe(true);
  clock.advance(1_000);
  expect(log).toContain('down 1006');
  link.stop();
  await run;
});

test('a peer that says nothing after hello is given up', async () => {
  const { clock, log, link, accept } = rig({ welcomeMs: 2_000 });
  const run = link.run();
  const wire = await accept();
  clock.advance(2_000);
  expect(wire.open).toBe(false);
  await until(() => log.length > 0);
  expect(log).toEqual(['retry unavailable in 250']);
  link.stop();
  await run;
});

test('replace opens the next connection before the last one goes', async () => {
  const { clock, log, link, accept } = rig();
  const run = link.run();
  const old = await accept();
  old.says('welcome');
  const before = link.current as LinkConnection;
  link.replace();
  await until(() => clock.waiting.includes(250));
  clock.advance(250);
  const next = await accept();
  expect(link.current).toBe(before);
  next.says('welcome');
  expect(link.current).not.toBe(before);
  expect([...link.retiring]).toEqual([before]);
  old.says('late news');
  expect(log).toEqual(['up', 'up', 'frame "late news"']);
  link.retire(before);
  expect(old.open).toBe(false);
  expect(link.retiring.size).toBe(0);
  link.stop();
  await run;
  expect(next.open).toBe(false);
});

test('a peer that closes the last connection for good while the next one registers does not end the link', async () => {
  const { clock, link, accept } = rig();
  const run = link.run();
  const old = await accept();
  old.says('welcome');
  link.replace();
  await until(() => clock.waiting.includes(250));
  clock.advance(250);
  const next = await accept();
  old.end(4510, 'registered again');
  next.says('welcome');
  expect(link.current?.up).toBe(true);
  link.stop();
  await run;
});

test('a peer that does not read is not sent more, and is told of when it reads again', async () => {
  const { log, link, accept } = rig({ bufferedBytesMax: 10 });
  const run = link.run();
  const wire = await accept();
  wire.says('welcome');
  wire.bufferedBytes = 11;
  expect(link.current?.send('x')).toBe(false);
  wire.reads();
  expect(link.current?.send('x')).toBe(true);
  expect(log).toEqual(['up', 'writable']);
  link.stop();
  await run;
});

test('a frame that is not JSON ends the connection', async () => {
  const { log, link, accept } = rig();
  const run = link.run();
  const wire = await accept();
  wire.says('welcome');
  wire.says('"welcome"');
  wire.says('{');
  expect(log).toContain('down 1007');
  link.stop();
  await run;
});
