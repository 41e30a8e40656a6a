// What a turn costs besides the model: conversations side by side, each turn after turn, with a provider on loopback that answers at
// once. Ours is one app-server for all of them; the peer is Codex's own SDK, with the same binary; the floor is the bare
// request that a turn makes of the provider.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Codex } from '@openai/codex-sdk';
import { findCodex, startCodex } from '@parley/codex';
import { watchPeak } from '../load/processes.ts';
import { median, medians, type Metrics, round } from '../stats.ts';
import { Subject } from '../subjects/subject.ts';

const CONVERSATIONS = [1, 10, 25];
const RUNS = Number(process.env['PARLEY_BENCH_RUNS'] ?? 3);
/** Of each conversation; the first one also begins it and is not measured. */
const TURNS = 5;
const PROMPT = 'Say done.';

/** Runs one turn of one conversation. */
type Turn = () => Promise<void>;
type Figures = Record<string, number>;

interface Contender {
  conversation(): Promise<Turn>;
  close(): Promise<void>;
}

export async function turns(progress: (line: string) => void): Promise<Metrics> {
  const contenders = { floor, peer: sdk, ours: parley } as const;
  const results: Record<keyof typeof contenders, Figures[]> = { floor: [], peer: [], ours: [] };
  for (let run = 1; run <= RUNS; run++) {
    for (const [name, open] of Object.entries(contenders) as [keyof typeof contenders, typeof floor][]) {
      const figures: Figures = {};
      for (const count of CONVERSATIONS) {
        progress(`turns: ${name}, ${count} conversations, run ${run} of ${RUNS}`);
        Object.assign(figures, await measure(open, count));
      }
      results[name].push(figures);
    }
  }
  const [bare, peer, ours] = [medians(results.floor), medians(results.peer), medians(results.ours)];
  const metrics: Metrics = {};
  for (const count of CONVERSATIONS) {
    const of = (figures: Figures, what: string): number => figures[`${what}_${count}`] as number;
    metrics[`turns_per_s_${count}`] = {
      ours: round(of(ours, 'rate')),
      peer: round(of(peer, 'rate')),
      floor: round(of(bare, 'rate')),
      unit: '1/s',
    };
    const added = (figures: Figures): number => round(of(figures, 'latency') - of(bare, 'latency'));
    metrics[`added_per_turn_p50_${count}`] = { ours: added(ours), peer: added(peer), floor: 0, unit: 'ms' };
    metrics[`memory_peak_${count}`] = {
      ours: round(of(ours, 'memory') / 1024 / 1024),
      peer: round(of(peer, 'memory') / 1024 / 1024),
      floor: null,
      unit: 'MiB of all Codex processes',
    };
  }
  return metrics;
}

async function measure(open: (url: string, folder: string) => Promise<Contender>, count: number): Promise<Figures> {
  const provider = await Subject.start('responses');
  const folder = await mkdtemp(join(tmpdir(), 'parley-bench-turns-'));
  let contender: Contender | undefined;
  try {
    const opened = (contender = await open(`http://127.0.0.1:${provider.port}/v1`, folder));
    const memory = watchPeak(findCodex().path);
    const conversations = await Promise.all(Array.from({ length: count }, () => opened.conversation()));
    await Promise.all(conversations.map((turn) => turn()));
    const latencies: number[] = [];
    const begin = performance.now();
    await Promise.all(
      conversations.map(async (turn) => {
        for (let i = 1; i < TURNS; i++) {
          const start = performance.now();
          await turn();
          latencies.push(performance.now() - start);
        }
      }),
    );
    const seconds = (performance.now() - begin) / 1000;
    return {
      [`rate_${count}`]: latencies.length / seconds,
      [`latency_${count}`]: median(latencies),
      [`memory_${count}`]: memory.stop(),
    };
  } finally {
    await contender?.close();
    await provider.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function parley(baseUrl: string, workingDirectory: string): Promise<Contender> {
  const factory = await startCodex({ providers: [{ id: 'mock', baseUrl, key: 'sk-none' }], model: 'mock-model' });
  return {
    conversation: async () => {
      const runner = await factory.runner({ workingDirectory });
      return async () => answered((await runner.turn(PROMPT)).assistantText);
    },
    close: () => factory.close(),
  };
}

async function sdk(baseUrl: string, workingDirectory: string): Promise<Contender> {
  const home = await mkdtemp(join(tmpdir(), 'parley-bench-codex-home-'));
  const provider = {
    name: 'mock',
    base_url: baseUrl,
    wire_api: 'responses',
    env_key: 'MOCK_API_KEY',
    supports_websockets: false,
  };
  const codex = new Codex({
    codexPathOverride: findCodex().path,
    env: {
      PATH: process.env['PATH'] ?? '',
      HOME: process.env['HOME'] ?? '',
      CODEX_HOME: home,
      MOCK_API_KEY: 'sk-none',
    },
    // What ours switches off is off here too.
    config: {
      model_provider: 'mock',
      model_providers: { mock: provider },
      check_for_update_on_startup: false,
      analytics: { enabled: false },
      features: { plugins: false, apps: false, goals: false, multi_agent: false },
    },
  });
  return {
    conversation: async () => {
      const thread = codex.startThread({
        workingDirectory,
        model: 'mock-model',
        sandboxMode: 'read-only',
        skipGitRepoCheck: true,
      });
      return async () => answered((await thread.run(PROMPT)).finalResponse);
    },
    close: () => rm(home, { recursive: true, force: true }),
  };
}

/** A request of the size that Codex makes, and its answer. */
async function floor(baseUrl: string): Promise<Contender> {
  const content = [{ type: 'input_text', text: PROMPT }];
  const instructions = 'x'.repeat(40_000);
  const body = JSON.stringify({
    model: 'mock-model',
    instructions,
    input: [{ type: 'message', role: 'user', content }],
  });
  const headers = { 'content-type': 'application/json' };
  const turn = async (): Promise<void> => {
    const response = await fetch(`${baseUrl}/responses`, { method: 'POST', headers, body });
    const text = await response.text();
    if (!text.includes('response.completed')) throw new Error(`the provider answered ${text.slice(0, 200)}`);
  };
  return { conversation: async () => turn, close: async () => {} };
}

function answered(text: string): void {
  if (text !== 'done') throw new Error(`the answer was '${text}'`);
}
