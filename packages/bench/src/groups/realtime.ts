// The session layer in one process: what a frame costs with us, with the peer on the same tape, and at least. Sockets are
// function calls, so that nothing but the libraries is measured. Our transcripts are live; the peer's are not kept.
//
// Floor of an audio delta: JSON.parse of its text and Buffer.from of its sound. Floor of a send: the base64 alone. Floor of
// what has no sound: JSON.parse of its bytes.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Caller, MakeCaller } from '../realtime/caller.ts';
import { audioDelta, begin, call, end, itemAdded, itemDone, SOUND, transcriptDelta } from '../realtime/frames.ts';
import { ours } from '../realtime/ours.ts';
import { peer } from '../realtime/peer.ts';
import { median, type Metric, type Metrics, round } from '../stats.ts';

const ROUNDS = 6 * Number(process.env['PARLEY_BENCH_RUNS'] ?? 5);
const WARM_ROUNDS = 6;
const ROUND_MS = 8;
/** Items in the conversation. */
const LENGTHS = [10, 100, 1_000, 10_000];
const WARM_CALLS = 3_000;
const CALLS_PER_SESSION = 20;
const CALL_PARTS = 3;
const SWEEP_MS = 30;
const HEAP_NOISE_BYTES = 10_000;
const MAKERS = { ours: ours as MakeCaller, peer: peer as MakeCaller };

export async function realtime(progress: (line: string) => void): Promise<Metrics> {
  const metrics: Metrics = {};
  progress('realtime: an audio delta of 4.8 KB, and sending as much');
  const delta = await race({
    ours: async () => pushing(MAKERS.ours, audioDelta),
    peer: async () => pushing(MAKERS.peer, audioDelta),
    floor: async () => () => {
      const { delta: base64 } = JSON.parse(audioDelta) as { delta: string };
      sink.last = Buffer.from(base64, 'base64');
    },
  });
  metrics['audio_delta_4800'] = delta;
  metrics['audio_delta_over_floor'] = over(delta);
  const send = await race({
    ours: async () => sending(MAKERS.ours),
    peer: async () => sending(MAKERS.peer),
    floor: async () => () => {
      sink.last = SOUND.toString('base64');
    },
  });
  metrics['send_audio_4800'] = send;
  metrics['send_audio_over_floor'] = over(send);
  for (const length of LENGTHS) {
    progress(`realtime: a conversation of ${length} items`);
    metrics[`transcript_delta_${length}`] = await race({
      ours: () => pushing(MAKERS.ours, transcriptDelta, length),
      peer: () => pushing(MAKERS.peer, transcriptDelta, length),
      floor: async () => () => {
        sink.last = JSON.parse(TRANSCRIPT_DELTA.toString());
      },
    });
    metrics[`item_update_${length}`] = await race({
      ours: () => updating(MAKERS.ours, length),
      peer: () => updating(MAKERS.peer, length),
      floor: async () => () => {
        sink.last = JSON.parse(ITEM_DONE.toString());
      },
    });
    metrics[`tool_round_trip_${length}`] = await roundTrips(length);
  }
  progress('realtime: memory');
  metrics['bytes_per_session'] = await memory(500, sessionBytes);
  // The peer makes each call's output part of what it serialises for the next: more calls would take minutes.
  metrics['bytes_per_kept_tool_call_of_10_kb'] = await memory(250, callBytes);
  metrics['bytes_held_after_2000_tool_calls'] = {
    ours: round((await callBytes(MAKERS.ours, 2_000)) * 2_000),
    peer: null,
    floor: null,
    unit: 'bytes',
  };
  return metrics;
}

const ITEM_DONE = Buffer.from(itemDone(500, 'The words of this item in their version 0.'));
const TRANSCRIPT_DELTA = Buffer.from(transcriptDelta);

/** What the floors make, so that it is made. */
const sink: { last: unknown } = { last: null };

type Work = () => void;

/** Microseconds of this thread's time for one operation. Each side in turn, round after round, so that all meet the same weather. */
async function race(sides: {
  ours: () => Promise<Work>;
  peer: () => Promise<Work>;
  floor?: () => Promise<Work>;
}): Promise<Metric> {
  const runners: { name: string; work: Work; count: number; us: number; done: number }[] = [];
  for (const [name, make] of Object.entries(sides)) {
    const work = await make();
    runners.push({ name, work, count: await calibrated(work), us: 0, done: 0 });
  }
  for (let nth = 0; nth < WARM_ROUNDS + ROUNDS; nth++) {
    for (const runner of runners) {
      const began = process.threadCpuUsage();
      for (let n = 0; n < runner.count; n++) runner.work();
      const { user, system } = process.threadCpuUsage(began);
      if (nth >= WARM_ROUNDS) {
        // The system counts in ticks: only the sum of all rounds says anything.
        runner.us += user + system;
        runner.done += runner.count;
      }
      await new Promise<void>((resolve) => void setImmediate(resolve));
    }
    // Nobody always comes after the same one.
    runners.push(runners.shift() as (typeof runners)[number]);
  }
  const of = (name: string): number | null => {
    const runner = runners.find((one) => one.name === name);
    return runner ? round(runner.us / runner.done) : null;
  };
  return { ours: of('ours') as number, peer: of('peer'), floor: of('floor'), unit: 'us' };
}

/** How often a work has to be done for a round of some milliseconds. */
async function calibrated(work: Work): Promise<number> {
  for (let count = 8; ; count *= 2) {
    const began = performance.now();
    for (let n = 0; n < count; n++) work();
    const ms = performance.now() - began;
    await new Promise<void>((resolve) => void setImmediate(resolve));
    if (ms >= ROUND_MS || count >= 8_192) return count;
  }
}

function over({ ours: own, peer: other, floor }: Metric): Metric {
  const least = floor ?? 1;
  return { ours: round(own / least), peer: other === null ? null : round(other / least), floor: 1, unit: 'x' };
}

/** One frame over and over, in a conversation of so many items. */
async function pushing(make: MakeCaller, text: string, length = 0): Promise<Work> {
  const caller = await filled(make, length);
  caller.push(caller.frame(begin(1)));
  const frame = caller.frame(text);
  return () => caller.push(frame);
}

async function sending(make: MakeCaller): Promise<Work> {
  const caller = await make();
  return () => caller.sendAudio();
}

async function filled(make: MakeCaller, length: number): Promise<Caller> {
  const caller = await make();
  for (let at = 0; at < length; at++) caller.push(caller.frame(itemAdded(at)));
  if (caller.items() !== length) throw new Error(`${caller.items()} items instead of ${length}`);
  return caller;
}

/** An item in the middle, whose words change each time: a change that changes nothing would be too cheap. */
async function updating(make: MakeCaller, length: number): Promise<Work> {
  const caller = await filled(make, length);
  const at = Math.floor(length / 2);
  const frames = Array.from({ length: 16 }, (_, n) =>
    caller.frame(itemDone(at, `The words of this item in their version ${n}.`)),
  );
  let nth = 0;
  return () => caller.push(frames[(nth += 1) % frames.length]);
}

/**
 * Median of many calls, from the frame that starts one to its output on the socket. Each conversation takes few of them,
 * because a call makes it longer, and what is told first of a process is told slowly: some calls go before. The sides take
 * turns, so that a noisy second of the machine meets both.
 */
async function roundTrips(length: number): Promise<Metric> {
  const calls = { ours: 600, peer: length > 100 ? 60 : 600 };
  const times: Record<keyof typeof calls, number[]> = { ours: [], peer: [] };
  for (let done = 0; done < WARM_CALLS; done += CALLS_PER_SESSION) {
    for (const side of ['ours', 'peer'] as const) await callTimes(side, 10, CALLS_PER_SESSION);
  }
  for (let part = 1; part <= CALL_PARTS; part++) {
    for (const side of ['ours', 'peer'] as const) {
      const enough = (calls[side] * part) / CALL_PARTS;
      while (times[side].length < enough) times[side].push(...(await callTimes(side, length, CALLS_PER_SESSION)));
    }
  }
  return { ours: round(median(times.ours)), peer: round(median(times.peer)), floor: null, unit: 'us' };
}

async function callTimes(side: 'ours' | 'peer', length: number, calls: number): Promise<number[]> {
  const caller = await filled(MAKERS[side], length);
  const times: number[] = [];
  for (let n = 1; n <= calls; n++) {
    caller.push(caller.frame(begin(n)));
    const frames = call(n).map((text) => caller.frame(text));
    const last = frames.pop();
    for (const frame of frames) caller.push(frame);
    const output = caller.output();
    const began = process.hrtime.bigint();
    caller.push(last);
    await output;
    times.push(Number(process.hrtime.bigint() - began) / 1000);
    caller.push(caller.frame(end(n)));
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
  caller.close();
  return times;
}

setFlagsFromString('--expose-gc');
// Code that nobody ran for a few collections would be let go in the middle of a count.
setFlagsFromString('--no-flush-bytecode');
const collect = runInNewContext('gc') as () => void;

/** Bytes in use. What a collection frees is swept beside us: it is collected until nothing more goes. */
async function heap(): Promise<number> {
  for (let last = Infinity; ; ) {
    collect();
    await new Promise<void>((resolve) => void setTimeout(resolve, SWEEP_MS));
    const { heapUsed, external } = process.memoryUsage();
    if (last - heapUsed - external < HEAP_NOISE_BYTES) return heapUsed + external;
    last = heapUsed + external;
  }
}

async function memory(count: number, measure: (make: MakeCaller, count: number) => Promise<number>): Promise<Metric> {
  return {
    ours: round(await measure(MAKERS.ours, count)),
    peer: round(await measure(MAKERS.peer, count)),
    floor: null,
    unit: 'bytes',
  };
}

async function sessionBytes(make: MakeCaller, count: number): Promise<number> {
  const first = await Promise.all(Array.from({ length: 50 }, () => make()));
  const before = await heap();
  const callers: Caller[] = [];
  for (let n = 0; n < count; n++) callers.push(await make());
  const bytes = ((await heap()) - before) / count;
  for (const caller of [...first, ...callers]) caller.close();
  return bytes;
}

/** What is held of a finished call whose output had 10 KB, over more calls than anybody should hold. */
async function callBytes(make: MakeCaller, count: number): Promise<number> {
  // What the first calls of a process leave behind is not the session's.
  await finishedCalls(make, 50);
  const before = await heap();
  const caller = await finishedCalls(make, count);
  const bytes = ((await heap()) - before) / count;
  caller.close();
  return bytes;
}

async function finishedCalls(make: MakeCaller, count: number): Promise<Caller> {
  const caller = await make({ outputBytes: 10 * 1024 });
  for (let n = 1; n <= count; n++) {
    caller.push(caller.frame(begin(n)));
    const output = caller.output();
    for (const text of call(n)) caller.push(caller.frame(text));
    await output;
    caller.push(caller.frame(end(n)));
    await new Promise<void>((resolve) => void setImmediate(resolve));
  }
  return caller;
}
