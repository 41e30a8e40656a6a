// Requests over keep-alive connections, one at a time on each. Written for its cost: the usual load tools take more of a
// core for a request than the server does, and there are two cores.

import { connect, type Socket } from 'node:net';
import { percentile } from '../stats.ts';
import { delay } from './fleet.ts';

export interface Load {
  /** Answered requests a second. */
  rate: number;
  p50_us: number;
  p99_us: number;
}

const LENGTH = /\r\ncontent-length: *(\d+)/i;

/** POSTs a body to a path over `connections` for `run_ms`, after `warm_ms`. Throws at the first answer that is not 2xx. */
export async function loadHttp(
  port: number,
  path: string,
  connections: number,
  warm_ms: number,
  run_ms: number,
  body = '{}',
): Promise<Load> {
  const request = Buffer.from(
    `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1:${port}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
  const latencies: number[] = [];
  let measuring = false;
  let over = false;
  const failed = Promise.withResolvers<never>();
  const sockets: Socket[] = [];
  for (let i = 0; i < connections; i++) {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true });
    sockets.push(socket);
    let begin = 0;
    let answer: Buffer = Buffer.alloc(0);
    const send = (): void => {
      begin = performance.now();
      socket.write(request);
    };
    socket.on('connect', send);
    socket.on('error', (error) => failed.reject(error));
    socket.on('data', (chunk: Buffer) => {
      answer = answer.length === 0 ? chunk : Buffer.concat([answer, chunk]);
      const end = answer.indexOf('\r\n\r\n');
      if (end < 0) return;
      const head = answer.toString('latin1', 0, end);
      const length = Number(LENGTH.exec(head)?.[1] ?? Number.NaN);
      if (head.charCodeAt(9) !== 0x32 || Number.isNaN(length))
        failed.reject(new Error(`${path} answered ${answer.toString().slice(0, 500)}`));
      if (answer.length < end + 4 + length) return;
      answer = answer.subarray(end + 4 + length);
      if (measuring) latencies.push(performance.now() - begin);
      if (!over) send();
    });
  }
  const run = async (): Promise<number> => {
    await delay(warm_ms);
    measuring = true;
    const start = performance.now();
    await delay(run_ms);
    measuring = false;
    return performance.now() - start;
  };
  try {
    const elapsed_ms = await Promise.race([run(), failed.promise]);
    return {
      rate: (latencies.length / elapsed_ms) * 1000,
      p50_us: percentile(latencies, 50) * 1000,
      p99_us: percentile(latencies, 99) * 1000,
    };
  } finally {
    over = true;
    for (const socket of sockets) socket.destroy();
  }
}
