// The floor: the upgrade is done by the two ends, and this only moves bytes.

import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { ready } from './subject.ts';

const upstreamPort = Number(process.env['UPSTREAM_PORT']);
const server = createServer({ noDelay: true }, (client) => {
  const upstream = connect({ port: upstreamPort, host: '127.0.0.1', noDelay: true });
  client.pipe(upstream);
  upstream.pipe(client);
  client.on('error', () => upstream.destroy());
  upstream.on('error', () => client.destroy());
  client.on('close', () => upstream.destroy());
});
server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
