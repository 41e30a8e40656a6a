// Starts of agents for calls, in one process: one after the other, in a burst, and until the first sound of an answer.
// Each start makes an agent and holds a call of its own; the floor is the same work without a launcher around it.

import { Agent, AgentLauncher } from '@parley/session';
import { startSimulator } from '@parley/simulator';
import { memorySocketPair } from '@parley/transport';
import { median, type Metrics, percentile, round } from '../stats.ts';

const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
const STARTS = 2_000;
const BURST = 200;
const CALLS = 20;

interface Timed {
  rate: number;
  p99_ms: number;
}

export async function launcher(progress: (line: string) => void): Promise<Metrics> {
  const simulator = await startSimulator({ voice: 'coded', pace: Number.POSITIVE_INFINITY });
  // Where calls that are held in this process find their model.
  process.env['PARLEY_SIMULATOR_URL'] = `${simulator.url}/v1`;
  const ours: Timed[] = [];
  const floor: Timed[] = [];
  const bursts: Timed[] = [];
  const sounds: number[] = [];
  try {
    for (let run = 1; run <= RUNS; run += 1) {
      progress(`launcher: run ${run} of ${RUNS}`);
      floor.push(await inTurn(STARTS, bare));
      const turns = newLauncher();
      ours.push(await inTurn(STARTS, async () => launchedAndClosed(turns)));
      await turns.stop();
      const burst = newLauncher();
      bursts.push(await atOnce(BURST, async () => (await burst.launch()).active));
      await burst.stop();
      for (let call = 0; call < CALLS; call += 1) sounds.push(await firstSound());
    }
  } finally {
    delete process.env['PARLEY_SIMULATOR_URL'];
    await simulator.close();
  }
  const middle = (runs: Timed[], of: (run: Timed) => number): number => round(median(runs.map(of)));
  const rate = (run: Timed): number => run.rate;
  const p99 = (run: Timed): number => run.p99_ms;
  return {
    starts_per_s: { ours: middle(ours, rate), peer: null, floor: middle(floor, rate), unit: '1/s' },
    start_p99: { ours: middle(ours, p99), peer: null, floor: middle(floor, p99), unit: 'ms' },
    burst_starts_per_s: { ours: middle(bursts, rate), peer: null, floor: null, unit: '1/s' },
    burst_start_p99: { ours: middle(bursts, p99), peer: null, floor: null, unit: 'ms' },
    first_audio_p50: { ours: round(median(sounds)), peer: null, floor: null, unit: 'ms' },
    first_audio_p99: { ours: round(percentile(sounds, 99)), peer: null, floor: null, unit: 'ms' },
  };
}

const QUIET = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

function desk(): Agent {
  return new Agent('desk').session('voice', { provider: 'simulator', transport: 'websocket' });
}

function newLauncher(greets = false): AgentLauncher {
  return new AgentLauncher({
    createAgent: desk,
    joinCall: async (agent, callType, callId) => {
      await using _call = await agent.join(agent.createCall(callType, callId));
      if (greets) await agent.simpleResponse('Greet the caller.');
      await agent.finish();
    },
    maxConcurrentSessions: 10_000,
    log: QUIET,
  });
}

/** An agent in a call, and out of it again, with nobody who counts, limits or watches. */
async function bare(): Promise<() => Promise<void>> {
  const agent = desk();
  const joined = await agent.join(agent.createCall('default', 'call'));
  return () => joined.leave();
}

async function launchedAndClosed(all: AgentLauncher): Promise<() => Promise<void>> {
  const session = await all.launch();
  await session.active;
  return () => session.close();
}

/** One after the other. What a start left behind is ended outside of the time that is measured. */
async function inTurn(count: number, start: () => Promise<() => Promise<void>>): Promise<Timed> {
  const took: number[] = [];
  for (let at = 0; at < count; at += 1) {
    const began = performance.now();
    const end = await start();
    took.push(performance.now() - began);
    await end();
  }
  const total = took.reduce((sum, ms) => sum + ms, 0);
  return { rate: (count * 1000) / total, p99_ms: percentile(took, 99) };
}

async function atOnce(count: number, start: () => Promise<unknown>): Promise<Timed> {
  const began = performance.now();
  const took = await Promise.all(
    Array.from({ length: count }, async () => {
      await start();
      return performance.now() - began;
    }),
  );
  return { rate: (count * 1000) / (performance.now() - began), p99_ms: percentile(took, 99) };
}

/** From the start to the first sound of the agent at its client. */
async function firstSound(): Promise<number> {
  const all = newLauncher(true);
  const began = performance.now();
  const session = await all.launch();
  await session.active;
  const [client, place] = memorySocketPair();
  const sound = new Promise<number>((resolve) => {
    client.onFrame((frame) => {
      if (frame.includes('"response.output_audio.delta"')) resolve(performance.now() - began);
    });
  });
  all.attach(session.id, place);
  const ms = await sound;
  await all.stop();
  return ms;
}
