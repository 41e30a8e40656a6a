// What a call over WebRTC costs that ends here: Opus both ways, an event channel, and a WebSocket to the provider.
// The floor sends packets and frames back as they came, over the same native stack; the peer does so over werift.
//
// CPU is the process alone that holds the calls. Silence is measured where it is heard: from the provider's word that
// the user speaks to the last frame of the answer.

import { closeSessions, startSessions } from '../control.ts';
import { call, type RtcCall, speak } from '../load/rtc.ts';
import { startVoiceUpstream, type VoiceUpstream } from '../load/voice-upstream.ts';
import { median, type Metrics, percentile, round } from '../stats.ts';
import { Subject } from '../subjects/subject.ts';

const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
const CONNECTS = 10;
const CALLS = 20;
const WARM_MS = 1500;
const RUN_MS = 4000;
const INTERRUPTIONS = 5;

interface Figures {
  connect_ms: number[];
  cpu_percent: number;
}

type Name = 'parley' | 'node-datachannel' | 'werift';

export async function webrtc(progress: (line: string) => void): Promise<Metrics> {
  const results: Record<Name, Figures[]> = { parley: [], 'node-datachannel': [], werift: [] };
  const silences: number[] = [];
  for (let run = 1; run <= RUNS; run++) {
    for (const name of ['node-datachannel', 'werift', 'parley'] as const) {
      progress(`webrtc: ${name}, run ${run} of ${RUNS}`);
      results[name].push(await measure(name));
    }
    progress(`webrtc: interruptions, run ${run} of ${RUNS}`);
    silences.push(...(await interruptions()));
  }
  const of = (name: Name) => ({
    connect: results[name].flatMap(({ connect_ms }) => connect_ms),
    cpu: median(results[name].map(({ cpu_percent }) => cpu_percent)),
  });
  const [ours, floor, peer] = [of('parley'), of('node-datachannel'), of('werift')];
  const connect = (p: number) => ({
    ours: round(percentile(ours.connect, p)),
    peer: round(percentile(peer.connect, p)),
    floor: round(percentile(floor.connect, p)),
    unit: 'ms',
  });
  return {
    connect_p50: connect(50),
    connect_p95: connect(95),
    interruption_to_silence_p50: { ours: round(percentile(silences, 50)), peer: null, floor: 20, unit: 'ms' },
    interruption_to_silence_max: { ours: round(Math.max(...silences)), peer: null, floor: 20, unit: 'ms' },
    cpu_per_bridged_call: {
      ours: round(ours.cpu),
      peer: round(peer.cpu),
      floor: round(floor.cpu),
      unit: '% of a core',
    },
  };
}

async function measure(name: Name): Promise<Figures> {
  const upstream = await startVoiceUpstream('echo');
  const world = await worldOf(name, upstream);
  const calls: RtcCall[] = [];
  try {
    // One after the other, the first of them apart: code is compiled for it.
    await world.call();
    for (let n = 0; n < CONNECTS; n++) calls.push(await world.call());
    const connect_ms = calls.map((one) => one.connect_ms);
    while (calls.length < CALLS) calls.push(await world.call());
    const mouth = speak(calls);
    await sleep(WARM_MS);
    const before = await world.subject.used();
    const began_ms = performance.now();
    const heard = packets(calls);
    await sleep(RUN_MS);
    const after = await world.subject.used();
    const ran_ms = performance.now() - began_ms;
    mouth.stop();
    const rate = (packets(calls) - heard) / calls.length / (ran_ms / 1000);
    // Half of what should be heard is no measurement of a call.
    if (rate < 40) throw new Error(`${name}: ${Math.round(rate)} packets a second were heard in a call, expected 50`);
    return { connect_ms, cpu_percent: (after.cpu_us - before.cpu_us) / (ran_ms * 10) / calls.length };
  } finally {
    for (const { peer } of calls) peer.close();
    await world.stop();
    upstream.close();
  }
}

async function interruptions(): Promise<number[]> {
  const upstream = await startVoiceUpstream('story');
  const world = await worldOf('parley', upstream, true);
  const silences: number[] = [];
  try {
    for (let n = 0; n < INTERRUPTIONS; n++) {
      const one = await world.call();
      const mouth = speak([one]);
      await until(() => one.loudAt_ms > 0);
      await sleep(500);
      const spoke_ms = upstream.interrupt();
      await sleep(500);
      silences.push(Math.max(0, one.loudAt_ms - spoke_ms));
      mouth.stop();
      one.peer.close();
    }
  } finally {
    await world.stop();
    upstream.close();
  }
  return silences;
}

interface World {
  subject: Subject;
  call: () => Promise<RtcCall>;
  stop: () => Promise<void>;
}

async function worldOf(name: Name, upstream: VoiceUpstream, ears = false): Promise<World> {
  if (name !== 'parley') {
    const subject = await Subject.start('rtc-echo', { PEER_DRIVER: name });
    const url = `http://127.0.0.1:${subject.port}/`;
    return { subject, call: () => call(url, null, ears), stop: () => subject.stop() };
  }
  const subject = await Subject.start('parley', { UPSTREAM_PORT: String(upstream.port) });
  const agent = await Subject.start('agent', { PARLEY_URL: `http://127.0.0.1:${subject.port}` });
  const started: Parameters<typeof closeSessions>[1][number][] = [];
  return {
    subject,
    async call() {
      const [session] = await startSessions(subject.port, 1, 'bench.call');
      if (!session) throw new Error('no session was started');
      started.push(session);
      const url = `http://127.0.0.1:${subject.port}${session.urls.realtime_offer ?? ''}`;
      return call(url, session.client_token, ears);
    },
    async stop() {
      await closeSessions(subject.port, started);
      await agent.stop();
      await subject.stop();
    },
  };
}

function packets(calls: readonly RtcCall[]): number {
  return calls.reduce((sum, one) => sum + one.packets, 0);
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function until(so: () => boolean): Promise<void> {
  while (!so()) await sleep(5);
}
