// The floor of a bridged call, and with PEER_DRIVER=werift its peer: one exchange of descriptions over HTTP, and every
// packet and every frame sent back as it came. Nothing is decoded.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type MediaDriver, openMediaPeer } from '@parley/media';
import { ready } from './subject.ts';

const driver = (process.env['PEER_DRIVER'] ?? 'node-datachannel') as MediaDriver;
const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    void answer(Buffer.concat(chunks).toString()).then((sdp) => {
      response.writeHead(201, { 'content-type': 'application/sdp' }).end(sdp);
    });
  });
});

async function answer(offer: string): Promise<string> {
  const peer = await openMediaPeer({ driver });
  peer.onAudio(({ payload, timestamp, marker }) => void peer.sendAudio(payload, timestamp, marker));
  peer.onChannel((channel) => channel.onFrame((frame) => channel.send(frame)));
  return peer.answer(offer);
}

server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
