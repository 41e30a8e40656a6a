// What a relay adds to a frame and what a frame costs it. Every call is full duplex: a frame of 20 ms goes up, and one
// comes back. CPU is the relay's process alone; a frame is counted in each direction.

import { type Address, Fleet } from '../load/fleet.ts';
import { startUpstream } from '../load/upstream.ts';
import { type Metrics, medians, percentile, round } from '../stats.ts';
import { Subject } from '../subjects/subject.ts';
import { closeSessions, startSessions } from '../control.ts';

const PACED = [50, 200, 500];
const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
const WARM_MS = 1000;
const RUN_MS = 3000;
const SATURATED_CALLS = 200;
const WINDOW = 4;

type Name = 'direct' | 'splice' | 'ws-pipe' | 'parley';
type Figures = Record<string, number>;

export async function relay(progress: (line: string) => void): Promise<Metrics> {
  const results: Record<Name, Figures[]> = { direct: [], splice: [], 'ws-pipe': [], parley: [] };
  // The subjects take turns, so that a noisy minute of the machine meets all of them.
  for (let run = 1; run <= RUNS; run++) {
    for (const name of ['direct', 'splice', 'ws-pipe', 'parley'] as const) {
      progress(`relay: ${name}, run ${run} of ${RUNS}`);
      results[name].push(await measure(name));
    }
  }
  const [direct, splice, pipe, ours] = (['direct', 'splice', 'ws-pipe', 'parley'] as const).map((name) =>
    medians(results[name]),
  ) as [Figures, Figures, Figures, Figures];
  const metrics: Metrics = {
    frames_per_s_saturated: {
      ours: round(ours['saturated'] as number),
      peer: round(pipe['saturated'] as number),
      floor: round(splice['saturated'] as number),
      unit: 'frames per CPU second',
    },
  };
  for (const calls of PACED) {
    for (const p of [50, 95, 99]) {
      const name = `p${p}_${calls}`;
      const added = (one: Figures): number => round((one[name] as number) - (direct[name] as number));
      metrics[`added_${name}`] = { ours: added(ours), peer: added(pipe), floor: added(splice), unit: 'us' };
    }
    const cpu = `cpu_${calls}`;
    metrics[`cpu_per_frame_${calls}`] = {
      ours: round(ours[cpu] as number),
      peer: round(pipe[cpu] as number),
      floor: round(splice[cpu] as number),
      unit: 'us',
    };
  }
  return metrics;
}

async function measure(name: Name): Promise<Figures> {
  const upstream = await startUpstream();
  const env = { UPSTREAM_PORT: String(upstream.port) };
  const subject = name === 'direct' ? null : await Subject.start(name, env);
  const agent =
    subject && name === 'parley'
      ? await Subject.start('agent', { PARLEY_URL: `http://127.0.0.1:${subject.port}` })
      : null;
  const figures: Figures = {};
  try {
    for (const calls of PACED) {
      const { addresses, end } = await addressesOf(name, subject?.port ?? upstream.port, calls);
      const fleet = await Fleet.open(addresses);
      let before = 0;
      let frames = 0;
      const rtts = await fleet.pace(WARM_MS, RUN_MS, async () => {
        before = subject ? (await subject.used()).cpu_us : 0;
        frames = fleet.sent + fleet.received;
      });
      const cpu = subject ? (await subject.used()).cpu_us - before : 0;
      figures[`cpu_${calls}`] = cpu / (fleet.sent + fleet.received - frames);
      for (const p of [50, 95, 99]) figures[`p${p}_${calls}`] = percentile(rtts, p) * 1000;
      fleet.close();
      await end();
    }
    if (subject) figures['saturated'] = await saturated(name, subject);
  } finally {
    await agent?.stop();
    await subject?.stop();
    upstream.close();
  }
  return figures;
}

async function saturated(name: Name, subject: Subject): Promise<number> {
  const { addresses, end } = await addressesOf(name, subject.port, SATURATED_CALLS);
  const fleet = await Fleet.open(addresses);
  let before = 0;
  let frames = 0;
  await fleet.saturate(WINDOW, WARM_MS, RUN_MS, async () => {
    before = (await subject.used()).cpu_us;
    frames = fleet.sent + fleet.received;
  });
  const cpu = (await subject.used()).cpu_us - before;
  const moved = fleet.sent + fleet.received - frames;
  await fleet.settle();
  fleet.close();
  await end();
  return moved / (cpu / 1e6);
}

async function addressesOf(
  name: Name,
  port: number,
  calls: number,
): Promise<{ addresses: Address[]; end: () => Promise<void> }> {
  if (name !== 'parley')
    return { addresses: Array.from({ length: calls }, () => ({ port, path: '/v1/realtime' })), end: async () => {} };
  const sessions = await startSessions(port, calls);
  return {
    addresses: sessions.map(({ session_id, client_token }) => ({
      port,
      path: `/api/v1/sessions/${session_id}/realtime`,
      protocols: `realtime, parley.token.${client_token}`,
    })),
    end: async () => closeSessions(port, sessions),
  };
}
