// The provider of the relay benches: speaks just enough of OpenAI Realtime to be connected to, then answers every audio
// frame with one audio frame.

import { createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { acceptKey, DELTA, FrameCounter, readHeaders, textFrame, APPEND } from './wire.ts';

const SESSION = {
  id: 'sess_bench',
  object: 'realtime.session',
  type: 'realtime',
  model: 'bench',
  output_modalities: ['audio'],
  audio: {
    input: { format: { type: 'audio/pcm', rate: 24000 } },
    output: { format: { type: 'audio/pcm', rate: 24000 }, voice: 'marin' },
  },
};
const CREATED = textFrame(JSON.stringify({ type: 'session.created', event_id: 'event_1', session: SESSION }), false);
const UPDATED = textFrame(JSON.stringify({ type: 'session.updated', event_id: 'event_2', session: SESSION }), false);
const REPLY = textFrame(DELTA, false);
const APPEND_BYTES = Buffer.byteLength(APPEND);

export interface Upstream {
  port: number;
  close(): void;
}

export async function startUpstream(): Promise<Upstream> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    serve(socket).catch(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

async function serve(socket: Socket): Promise<void> {
  const { headers, rest } = await readHeaders(socket);
  const protocol = /sec-websocket-protocol:.*\brealtime\b/i.test(headers) ? 'sec-websocket-protocol: realtime\r\n' : '';
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n${protocol}sec-websocket-accept: ${acceptKey(headers)}\r\n\r\n`,
  );
  socket.write(CREATED);
  const counter = new FrameCounter((bytes, opcode) => {
    // Everything that is not audio here is a session.update.
    if (opcode === 1) socket.write(bytes === APPEND_BYTES ? REPLY : UPDATED);
  });
  socket.on('error', () => socket.destroy());
  socket.on('data', (chunk: Buffer) => {
    // One write for all frames of one read, as a busy server would.
    socket.cork();
    counter.feed(chunk);
    socket.uncork();
  });
  if (rest.length > 0) counter.feed(rest);
}
