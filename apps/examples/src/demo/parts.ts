// The parts of the demonstration: a simulator and a control plane here, the example agent in a process of its own.

import { type ChildProcess, fork } from 'node:child_process';
import { extname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ParleyClient } from '@parley/client';
import { ParleyError } from '@parley/core';
import { optionsFromEnv, type RunningServer, startServer } from '@parley/server';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { COUNTERPARTS } from './counterparts.ts';
import type { AgentLanguage } from './languages.ts';
import type { Transport } from './options.ts';

/** What the simulated model says. A real model needs no script; the agent and the rest stay as they are. */
const SCRIPT = `
rules:
  - heard: "order (?:number )?(\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "{{output.spoken_response}}"
  - heard: "hello|good (?:morning|day|evening)"
    say: "Hello. Which order do you ask about?"
otherwise: "You said: {{heard}}"
`;

const AGENT = 'support';
const AGENT_READY_MS = 15_000;
const AGENT_STOP_MS = 5_000;
const DRAIN_MS = 3_000;

export interface Parts {
  simulator: Simulator;
  server: RunningServer;
  client: ParleyClient;
  agent: ChildProcess;
  /** Resolves with the reason when one of them cannot go on. */
  broken: Promise<Error>;
  /** Drains and stops all of them, the agent first. */
  stop: () => Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface PartsOptions {
  port: number;
  data: string;
  /** The key that the control plane asks for; without one it takes everybody on this machine. */
  key?: string;
  /** The language of the example agent. Default `typescript`. */
  language?: AgentLanguage;
  /** Of the sessions that the example agent declares. Default `websocket`. */
  transport?: Transport;
  /** Of the same sessions; the simulator plays it. Default `simulator`. */
  provider?: string;
  progress: (line: string) => void;
}

/** Starts everything, or stops what it started and throws. */
export async function startParts({
  port,
  data,
  key,
  language,
  transport,
  provider = 'simulator',
  progress,
}: PartsOptions): Promise<Parts> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const simulator = await startSimulator({ script: parseScript(SCRIPT) });
    stops.push(() => simulator.close());
    progress(`simulator      ${simulator.wsUrl}`);

    const { providers, ice_servers, rtc_host, rtc_ports } = optionsFromEnv(process.env);
    const server = await startServer({
      port,
      data,
      log_level: 'error',
      drain_ms: DRAIN_MS,
      keys: key === undefined ? [] : [key],
      ice_servers,
      rtc_host,
      rtc_ports,
      // Real models that the environment has keys for can be called as well.
      providers: {
        ...providers,
        simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' },
        [provider]: { base_url: `${simulator.url}${COUNTERPARTS[provider]}`, key: 'simulator' },
      },
    }).catch(explain);
    stops.push(() => server.close());
    progress(`control plane  ${server.url}`);

    const client = new ParleyClient({ url: server.url, key });
    // Built or not, the agent stands beside this file.
    const agent = fork(
      fileURLToPath(new URL(`./agent${extname(import.meta.url)}`, import.meta.url)),
      [language ?? 'typescript'],
      {
        env: {
          ...process.env,
          PARLEY_URL: server.url,
          PARLEY_KEY: key ?? '',
          PARLEY_EXAMPLE_PROVIDER: provider,
          PARLEY_EXAMPLE_TRANSPORT: transport ?? 'websocket',
        },
        // What the agent prints is no part of the conversation, nor of the one line of --json.
        stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      },
    );
    let complaint = '';
    agent.stderr?.on('data', (chunk: Buffer) => {
      complaint = (complaint + chunk.toString()).slice(-4000);
    });
    stops.push(() => stopAgent(agent));
    await agentReady(client, agent, () => complaint);
    const { sessions, functions } = await client.agents.get(AGENT);
    progress(
      `agent          ${AGENT}: ${sessions.map(({ name }) => name).join(', ')} · ${functions.map(({ name }) => name).join(', ')}`,
    );
    let stopping = false;
    const agentEnded = new Promise<Error>((resolve) => {
      agent.once('exit', (code, signal) => {
        const said = complaint.trim() || 'it said nothing';
        if (!stopping)
          resolve(new ParleyError('unavailable', `the example agent ended with ${code ?? signal}: ${said}`));
      });
    });
    const stopAll = (): Promise<void> => {
      stopping = true;
      return stop();
    };
    const broken = Promise.race([server.failed, agentEnded]);
    return { simulator, server, client, agent, broken, stop: stopAll, [Symbol.asyncDispose]: stopAll };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Nearly always the demonstration is up already, in another terminal. */
function explain(caught: unknown): never {
  const error = ParleyError.from(caught, 'internal');
  if (error.code !== 'failed_precondition' && error.code !== 'already_exists') throw error;
  const hint = 'Is it up already, in another terminal? One more beside it: npm start -- --port 0 --data .parley/second';
  throw new ParleyError(error.code, `${error.message}\n${hint}`, { cause: caught });
}

async function agentReady(client: ParleyClient, agent: ChildProcess, complaint: () => string): Promise<void> {
  const deadline = performance.now() + AGENT_READY_MS;
  while (performance.now() < deadline) {
    if (agent.exitCode !== null || agent.signalCode !== null) break;
    const agents = await client.agents.list();
    if (agents.some((one) => one.agent === AGENT && one.status === 'connected')) return;
    await delay(20);
  }
  throw new ParleyError('unavailable', `the example agent did not come up: ${complaint() || 'it said nothing'}`);
}

function stopAgent(agent: ChildProcess): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return Promise.resolve();
  return new Promise((resolve) => {
    const force = setTimeout(() => agent.kill('SIGKILL'), AGENT_STOP_MS);
    agent.once('exit', () => {
      clearTimeout(force);
      resolve();
    });
    agent.kill('SIGTERM');
  });
}
