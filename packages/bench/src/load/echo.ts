// Round trips over one WebSocket, `in_flight` of them at a time.

import { once } from 'node:events';
import { WebSocket } from 'ws';
import { percentile } from '../stats.ts';
import { delay } from './fleet.ts';
import type { Load } from './http.ts';

/** Of the size of an `execution.dispatch`. */
const FRAME = JSON.stringify({
  type: 'execution.dispatch',
  execution_id: 'exec_',
  input: {},
  padding: 'x'.repeat(256),
});

export async function loadEcho(port: number, in_flight: number, warm_ms: number, run_ms: number): Promise<Load> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
  await once(socket, 'open');
  const latencies: number[] = [];
  // Answers come in the order of the questions.
  const begun: number[] = [];
  let measuring = false;
  const send = (): void => {
    begun.push(performance.now());
    socket.send(FRAME);
  };
  socket.on('message', () => {
    const begin = begun.shift() as number;
    if (measuring) latencies.push(performance.now() - begin);
    send();
  });
  for (let i = 0; i < in_flight; i++) send();
  await delay(warm_ms);
  measuring = true;
  const start = performance.now();
  await delay(run_ms);
  const elapsed_ms = performance.now() - start;
  socket.terminate();
  return {
    rate: (latencies.length / elapsed_ms) * 1000,
    p50_us: percentile(latencies, 50) * 1000,
    p99_us: percentile(latencies, 99) * 1000,
  };
}
