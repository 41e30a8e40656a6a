// Durable starts and durable executions, over HTTP with keep-alive connections, on a database on disk.

import { type Load, loadHttp } from '../load/http.ts';
import { median, type Metrics, round } from '../stats.ts';
import { Subject } from '../subjects/subject.ts';

const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
const WARM_MS = 1500;
const RUN_MS = 4000;

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
    floor.push(await loadHttp(http.port, path, connections, WARM_MS, RUN_MS));
    await http.stop();
    progress(`${name}: parley, run ${run} of ${RUNS}`);
    const server = await Subject.start('parley');
    const agent = await Subject.start('agent', { PARLEY_URL: `http://127.0.0.1:${server.port}` });
    ours.push(await loadHttp(server.port, path, connections, WARM_MS, RUN_MS));
    await agent.stop();
    await server.stop();
  }
  const middle = (runs: Load[]): Load => ({
    rate: median(runs.map(({ rate }) => rate)),
    p50_us: median(runs.map(({ p50_us }) => p50_us)),
    p99_us: median(runs.map(({ p99_us }) => p99_us)),
  });
  return [middle(ours), middle(floor)];
}
