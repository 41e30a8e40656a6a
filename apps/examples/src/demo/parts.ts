// The parts of the demonstration: a simulator and a control plane here, the example agent in a process of its own.

import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ParleyClient } from '@parley/client';
import { ParleyError } from '@parley/core';
import { type RunningServer, startServer } from '@parley/server';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';

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

export interface Parts {
  simulator: Simulator;
  server: RunningServer;
  client: ParleyClient;
  agent: ChildProcess;
  /** Drains and stops all of them, the agent first. */
  stop: () => Promise<void>;
}

export interface PartsOptions {
  port: number;
  data: string;
  progress: (line: string) => void;
}

/** Starts everything, or stops what it started and throws. */
export async function startParts({ port, data, progress }: PartsOptions): Promise<Parts> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).reverse()) await one();
  };
  try {
    const simulator = await startSimulator({ script: parseScript(SCRIPT) });
    stops.push(() => simulator.close());
    progress(`simulator      ${simulator.wsUrl}`);

    const server = await startServer({
      port,
      data,
      log_level: 'error',
      drain_ms: 3000,
      providers: { simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' } },
    });
    stops.push(() => server.close());
    progress(`control plane  ${server.url}`);

    const client = new ParleyClient({ url: server.url });
    const agent = fork(fileURLToPath(new URL('../support.js', import.meta.url)), {
      env: { ...process.env, PARLEY_URL: server.url },
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
    });
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
    return { simulator, server, client, agent, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function agentReady(client: ParleyClient, agent: ChildProcess, complaint: () => string): Promise<void> {
  const deadline = performance.now() + AGENT_READY_MS;
  while (performance.now() < deadline) {
    if (agent.exitCode !== null) break;
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
