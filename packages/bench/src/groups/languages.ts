// What an agent costs in each language, registered to a real server over a real link: the memory of what it declares, one
// execution by itself, and as many as one agent can run.
// The server takes frames of 64 MiB from agents here, because 50,000 sessions are registered in one.
//
// An execution is one of the whole house: HTTP in, on disk, over the link, run, back, on disk, answered. The floor is one
// round trip over a bare WebSocket in Node, so what is above it is everything that Parley adds.

import { LANGUAGES } from '../languages.ts';
import { loadEcho } from '../load/echo.ts';
import { type Load, loadHttp } from '../load/http.ts';
import { median, medians, type Metrics, round } from '../stats.ts';
import { Program, type ProgramCommand } from '../subjects/program.ts';
import { Subject } from '../subjects/subject.ts';

const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
const COUNTS = [1_000, 50_000];
const WARM_MS = 1_500;
const RUN_MS = 4_000;
/** Executions at once when throughput is measured. */
const CONCURRENCY = 64;
const PATH = '/api/v1/execute/bench.echo';
const BODY = '{"input":{"text":"hello"}}';

type Progress = (line: string) => void;

export async function languages(progress: Progress): Promise<Metrics> {
  progress('languages: floor');
  const floor = await runs(async () => {
    const echo = await Subject.start('ws-echo');
    try {
      const alone = await loadEcho(echo.port, 1, WARM_MS, RUN_MS);
      return figures(alone, await loadEcho(echo.port, CONCURRENCY, WARM_MS, RUN_MS));
    } finally {
      await echo.stop();
    }
  });
  const metrics: Metrics = {};
  for (const [language, prepare] of Object.entries(LANGUAGES)) {
    const prepared = prepare();
    if ('missing' in prepared) {
      progress(`languages: skipped ${language}: ${prepared.missing}`);
      continue;
    }
    const { command } = prepared;
    for (const kind of ['function', 'session'] as const) {
      const memory = await memoryOf(command, kind, (line) => progress(`languages: ${language}, ${line}`));
      for (const [count, bytes] of memory) {
        metrics[`${language}_memory_per_${kind}_${count}`] = {
          ours: round(bytes),
          peer: null,
          floor: null,
          unit: 'bytes',
        };
      }
    }
    progress(`languages: ${language}, executions`);
    const ours = await runs(() => executions(command));
    const metric = (name: string, unit: string): void => {
      const [mine, least] = [ours[name] as number, floor[name] as number];
      metrics[`${language}_${name}`] = { ours: round(mine), peer: null, floor: round(least), unit };
    };
    metric('dispatch_p50', 'us');
    metric('dispatch_p99', 'us');
    metric('executions_per_s', '1/s');
  }
  return metrics;
}

/** What one entry holds, by how many there are: the difference to a fresh process that declares none. */
async function memoryOf(
  command: ProgramCommand,
  kind: 'function' | 'session',
  progress: Progress,
): Promise<[count: number, bytes: number][]> {
  const measured: number[][] = COUNTS.map(() => []);
  for (let run = 1; run <= RUNS; run++) {
    progress(`memory of ${kind}s, run ${run} of ${RUNS}`);
    const none = await rssWith(command, kind, 0);
    for (const [i, count] of COUNTS.entries()) {
      measured[i]?.push(((await rssWith(command, kind, count)) - none) / count);
    }
  }
  return COUNTS.map((count, i) => [count, median(measured[i] as number[])]);
}

async function rssWith(command: ProgramCommand, kind: 'function' | 'session', count: number): Promise<number> {
  const [functions, sessions] = kind === 'function' ? [count, 0] : [0, count];
  return withAgent(command, functions, sessions, async (_, program) => program.rssBytes());
}

async function executions(command: ProgramCommand): Promise<Record<string, number>> {
  return withAgent(command, 0, 0, async (port) => {
    const alone = await loadHttp(port, PATH, 1, WARM_MS, RUN_MS, BODY);
    return figures(alone, await loadHttp(port, PATH, CONCURRENCY, WARM_MS, RUN_MS, BODY));
  });
}

function figures(alone: Load, together: Load): Record<string, number> {
  return { dispatch_p50: alone.p50_us, dispatch_p99: alone.p99_us, executions_per_s: together.rate };
}

/** A fresh server and a fresh agent that has registered with it, for as long as `use` takes. */
async function withAgent<T>(
  command: ProgramCommand,
  functions: number,
  sessions: number,
  use: (port: number, program: Program) => Promise<T>,
): Promise<T> {
  const server = await Subject.start('parley');
  try {
    const env = { PARLEY_URL: `http://127.0.0.1:${server.port}` };
    await using program = await Program.start(command, {
      ...env,
      FUNCTIONS: String(functions),
      SESSIONS: String(sessions),
    });
    return await use(server.port, program);
  } finally {
    await server.stop();
  }
}

async function runs(measure: () => Promise<Record<string, number>>): Promise<Record<string, number>> {
  const all: Record<string, number>[] = [];
  for (let run = 0; run < RUNS; run++) all.push(await measure());
  return medians(all);
}
