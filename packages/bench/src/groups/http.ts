// Durable starts and durable executions, over HTTP with keep-alive connections, on a database on disk.

import autocannon from 'autocannon';
import { type Metrics, medians, round } from '../stats.ts';
import { Subject } from '../subjects/subject.ts';

const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
const SECONDS = 4;

interface Load {
  rate: number;
  p99_us: number;
}

async function load(port: number, path: string, connections: number): Promise<Load> {
  const options = {
    url: `http://127.0.0.1:${port}${path}`,
    method: 'POST' as const,
    headers: { 'content-type': 'application/json' },
    body: '{}',
    connections,
  };
  await autocannon({ ...options, duration: 1 });
  const result = await autocannon({ ...options, duration: SECONDS });
  if (result.non2xx > 0 || result.errors > 0)
    throw new Error(`${path}: ${result.non2xx} refused, ${result.errors} failed`);
  return { rate: result['2xx'] / result.duration, p99_us: result.latency.p99 * 1000 };
}

/** Session starts: a start is one unit on disk (claim, session, root execution, first event). */
export async function starts(progress: (line: string) => void): Promise<Metrics> {
  const [ours, floor] = await compare(progress, 'starts', '/api/v1/sessions/bench.voice/start', 100);
  return {
    starts_per_s: { ours: round(ours.rate), peer: null, floor: round(floor.rate), unit: '1/s' },
    start_p99: { ours: round(ours.p99_us), peer: null, floor: round(floor.p99_us), unit: 'us' },
  };
}

/** Executions from HTTP through an agent link in another process and back, each on disk before it is dispatched and before it is answered. */
export async function executions(progress: (line: string) => void): Promise<Metrics> {
  const [ours, floor] = await compare(progress, 'executions', '/api/v1/execute/bench.echo', 200);
  return {
    executions_per_s: { ours: round(ours.rate), peer: null, floor: round(floor.rate), unit: '1/s' },
    execution_p99: { ours: round(ours.p99_us), peer: null, floor: round(floor.p99_us), unit: 'us' },
  };
}

async function compare(
  progress: (line: string) => void,
  name: string,
  path: string,
  connections: number,
): Promise<[Load, Load]> {
  const ours: Load[] = [];
  const floor: Load[] = [];
  for (let run = 1; run <= RUNS; run++) {
    progress(`${name}: floor, run ${run} of ${RUNS}`);
    const http = await Subject.start('http');
    floor.push(await load(http.port, path, connections));
    await http.stop();
    progress(`${name}: parley, run ${run} of ${RUNS}`);
    const server = await Subject.start('parley');
    const agent = await Subject.start('agent', { PARLEY_URL: `http://127.0.0.1:${server.port}` });
    ours.push(await load(server.port, path, connections));
    await agent.stop();
    await server.stop();
  }
  return [medians(ours as never), medians(floor as never)] as never;
}
