import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { EventRecord } from '@parley/core';
import { expect, test } from 'vitest';
import { ParleyClient } from './client.ts';
import { type Answer, FakeControlPlane, sessionResource } from './control-plane.test.fake.ts';
import type { TailOptions } from './tail.ts';

const EVENTS = 'GET /api/v1/sessions/sess_1/events';

function entry(seq: number, type = 'handler.completed'): string {
  const rest = type === 'session.closed' ? { reason: 'done' } : {};
  return `id: ${seq}\nevent: ${type}\ndata: ${JSON.stringify({ seq, at_ms: seq, type, ...rest })}\n\n`;
}

function stream(write: (response: ServerResponse) => void): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    write(response);
  };
}

async function seqs(url: string, options?: TailOptions): Promise<number[]> {
  const seen: number[] = [];
  for await (const event of new ParleyClient({ url }).sessions.tail('sess_1', options)) seen.push(event.seq);
  return seen;
}

test('a log is followed to session.closed, whatever the pieces it comes in', async () => {
  await using peer = await FakeControlPlane.start();
  const text = `: ping\r\n\r\n${entry(1).replaceAll('\n', '\r\n')}id: 2\ndata: {"seq":2,"at_ms":2,\ndata: "type":"speech","text":"Grüße"}\n\n${entry(3, 'session.closed')}${entry(4)}`;
  const bytes = Buffer.from(text);
  peer.route(EVENTS, null, () =>
    stream((response) => {
      void (async () => {
        for (let at = 0; at < bytes.length; at += 7) {
          response.write(bytes.subarray(at, at + 7));
          await new Promise(setImmediate);
        }
      })();
    }),
  );
  const seen: EventRecord[] = [];
  for await (const event of new ParleyClient({ url: peer.url }).sessions.tail('sess_1')) seen.push(event);
  expect(seen.map((event) => event.seq)).toEqual([1, 2, 3]);
  expect(seen[1]).toMatchObject({ text: 'Grüße' });
});

test('a cut connection is taken up again after the last entry, without a gap or a double', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(EVENTS, null, ({ query }) => {
    const after = Number(query.get('after'));
    return stream((response) => {
      // Each connection repeats one entry, brings one, and breaks off in the middle of the next.
      response.write(entry(after) + entry(after + 1, after + 1 === 4 ? 'session.closed' : undefined));
      response.write('id: 99\nevent: half', () => response.destroy());
    });
  });
  expect(await seqs(peer.url)).toEqual([1, 2, 3, 4]);
  expect(peer.asked.map((asked) => asked.query.get('after'))).toEqual(['0', '1', '2', '3']);
});

test('a log that nothing can be added to ends, though its end was not among the entries', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(EVENTS, null, () => stream((response) => response.end()));
  peer.route('GET /api/v1/sessions/sess_1', null, () => ({
    body: sessionResource('sess_1', { status: 'closed', last_seq: 7 }),
  }));
  expect(await seqs(peer.url, { after: 7 })).toEqual([]);
});

test('a session that is not there is an error at once', async () => {
  await using peer = await FakeControlPlane.start();
  await expect(seqs(peer.url)).rejects.toMatchObject({ code: 'not_found', requestId: 'req_fake' });
  expect(peer.asked).toHaveLength(1);
});

test('tries that bring nothing are counted, and the last error is thrown', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(EVENTS, null, () => (response) => void response.destroy());
  await expect(seqs(peer.url, { attemptsMax: 2 })).rejects.toMatchObject({ code: 'unavailable' });
  expect(peer.asked.length).toBe(2);
});

test('a connection that fell silent is given up for a new one', async () => {
  await using peer = await FakeControlPlane.start();
  let connections = 0;
  peer.route(EVENTS, null, () => {
    connections += 1;
    return stream((response) => void response.write(connections === 1 ? entry(1) : entry(2, 'session.closed')));
  });
  expect(await seqs(peer.url, { silenceMs: 50 })).toEqual([1, 2]);
});

test('a reader that has enough closes the connection, and an abort ends the wait', async () => {
  await using peer = await FakeControlPlane.start();
  const closed: Promise<unknown>[] = [];
  peer.route(EVENTS, null, () =>
    stream((response) => {
      closed.push(once(response, 'close'));
      response.write(entry(1));
    }),
  );
  for await (const _ of new ParleyClient({ url: peer.url }).sessions.tail('sess_1')) break;
  await closed[0];
  const abort = new AbortController();
  const tail = new ParleyClient({ url: peer.url }).sessions.tail('sess_1', { signal: abort.signal });
  await tail.next();
  abort.abort();
  await expect(tail.next()).rejects.toMatchObject({ code: 'cancelled' });
  await closed[1];
});
