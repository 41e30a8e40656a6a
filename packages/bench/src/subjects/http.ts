// The floor of the HTTP benches: bare node:http that reads a body and answers one of the size of ours.

import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ready } from './subject.ts';

const answer = JSON.stringify({ session_id: 'sess_0', filler: 'x'.repeat(700) });
const server = createServer((request, response) => {
  request.resume();
  request.on('end', () => {
    response.writeHead(201, { 'content-type': 'application/json', 'content-length': answer.length });
    response.end(answer);
  });
});
server.listen(0, '127.0.0.1', () => ready((server.address() as AddressInfo).port));
