// What a testee agent lives in while it is tested: a simulator, a control plane, and the cable that it dials.

import { connectSession, ParleyClient } from '@parley/client';
import type { AgentResource, ExecutionResource } from '@parley/core';
import { type RunningServer, type ServerOptions, startServer } from '@parley/server';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import type { TesteeCommand } from '../testee.ts';
import { AgentProcess } from './agent-process.ts';
import { Cable } from './cable.ts';
import { Conversation, SessionLog } from './conversation.ts';

/** The model calls what the user names, and says what came of it. */
const SCRIPT = parseScript(`
rules:
  - heard: "^echo (.+)$"
    call: { name: echo, arguments: { text: "$1" } }
    then: "It said {{output.text}}."
  - heard: "^both (\\\\w+) (\\\\w+)$"
    call: [{ name: echo, arguments: { text: "$1" } }, { name: echo, arguments: { text: "$2" } }]
    then: "{{outputs.0.text}} and {{outputs.1.text}}."
  - heard: "^fail$"
    call: { name: fail }
    on_error: "Failed: {{error}}"
  - heard: "^refuse$"
    call: { name: refuse }
    on_error: "Failed: {{error}}"
  - heard: "^slow$"
    call: { name: slow }
  - heard: "^where is order (\\\\d+)"
    call: { name: find_order, arguments: { order: "$1" } }
    then: "{{output.spoken_response}}"
otherwise: "You said: {{heard}}"
`);

const POLL_MS = 20;

/** The name under which every testee registers. */
export const AGENT = 'testee';

export interface AgentOptions {
  /** Another program than the testee agent. */
  command?: TesteeCommand;
  /** Where it dials; the cable when it is left out. */
  url?: string;
  key?: string;
}

export class House implements AsyncDisposable {
  readonly simulator: Simulator;
  readonly server: RunningServer;
  readonly cable: Cable;
  readonly client: ParleyClient;
  readonly #command: TesteeCommand;
  readonly #owned: AsyncDisposableStack;
  #agent: AgentProcess | null = null;
  #latest: AgentProcess | null = null;
  #failedStarts = 0;

  private constructor(
    parts: { simulator: Simulator; server: RunningServer; cable: Cable; command: TesteeCommand },
    owned: AsyncDisposableStack,
  ) {
    this.simulator = parts.simulator;
    this.server = parts.server;
    this.cable = parts.cable;
    this.client = new ParleyClient({ url: parts.server.url, retries: 0 });
    this.#command = parts.command;
    this.#owned = owned;
  }

  static async open(command: TesteeCommand): Promise<House> {
    await using opening = new AsyncDisposableStack();
    const simulator = opening.use(await startSimulator({ script: SCRIPT, voice: 'coded' }));
    const server = opening.use(await startHouseServer(simulator));
    const cable = opening.use(await Cable.to(server.url));
    return new House({ simulator, server, cable, command }, opening.move());
  }

  /** Another control plane of the same simulator; whoever starts it ends it. */
  anotherServer(options: ServerOptions = {}): Promise<RunningServer> {
    return startHouseServer(this.simulator, options);
  }

  /** How often in a row its agent was started in vain. */
  get failedStarts(): number {
    return this.#failedStarts;
  }

  /** The agent that was started last: the one to look at when a case failed. */
  get latest(): AgentProcess | null {
    return this.#latest;
  }

  /** The agent, which is started unless it runs, registered and with every function. */
  async agentUp(signal: AbortSignal): Promise<AgentProcess> {
    if (this.#agent?.gone !== false) this.#agent = this.spawn();
    this.#failedStarts += 1;
    await this.registered(signal, this.#agent);
    this.#failedStarts = 0;
    return this.#agent;
  }

  /** Waits until an agent is registered. @throws Error when it ended instead. */
  registered(
    signal: AbortSignal,
    agent: AgentProcess,
    client: ParleyClient = this.client,
    name = AGENT,
  ): Promise<void> {
    return until(signal, 'the agent to register', async () => {
      if (agent.gone) throw new Error(`the agent ended with ${await agent.exited}`);
      return (await this.listed(client, name))?.status === 'connected';
    });
  }

  /** A process that no case before had a hand in. */
  async freshAgent(signal: AbortSignal): Promise<AgentProcess> {
    await this.endAgent(signal);
    return this.agentUp(signal);
  }

  /** Kills the agent, and waits until the control plane has noticed. */
  async endAgent(signal: AbortSignal): Promise<void> {
    this.cable.restore();
    this.cable.plugInto(this.server.url);
    await this.#agent?.[Symbol.asyncDispose]();
    this.#agent = null;
    await until(signal, 'the agent to be gone', async () => ((await this.listed())?.links.length ?? 0) === 0);
  }

  /** A further agent; whoever starts it ends it. */
  spawn(options: AgentOptions = {}): AgentProcess {
    this.#latest = new AgentProcess(options.command ?? this.#command, {
      PARLEY_URL: options.url ?? this.cable.url,
      PARLEY_KEY: options.key ?? '',
    });
    return this.#latest;
  }

  /** The agent as the control plane shows it; null before it ever registered. */
  async listed(client: ParleyClient = this.client, name = AGENT): Promise<AgentResource | null> {
    return (await client.agents.list()).find(({ agent }) => agent === name) ?? null;
  }

  /** Starts a session and joins it; both end with the house at the latest. */
  call(session: string, metadata?: Record<string, unknown>): Promise<Conversation> {
    return this.callTarget(`${AGENT}.${session}`, metadata);
  }

  async callTarget(target: string, metadata?: Record<string, unknown>): Promise<Conversation> {
    const started = await this.client.sessions.start(target, metadata ? { metadata } : {});
    const socket = await connectSession({
      url: this.server.url,
      sessionId: started.session_id,
      token: started.client_token,
    });
    this.#owned.defer(() => socket.close());
    return new Conversation(this.client, started, socket);
  }

  logOf(session_id: string): SessionLog {
    return new SessionLog(this.client, session_id);
  }

  /** Waits until this function runs in a workflow. Returns the id of its execution. */
  async child(signal: AbortSignal, workflow_id: string, target: string): Promise<string> {
    let id = '';
    await until(signal, `${target} in the workflow`, async () => {
      const { nodes } = await this.client.workflows.dag(workflow_id);
      id = nodes.find((node) => node.target === target)?.execution_id ?? '';
      return id !== '';
    });
    return id;
  }

  /** Waits for a note on an execution. */
  note(signal: AbortSignal, execution_id: string, text: string): Promise<unknown> {
    return until(signal, `the note '${text}'`, async () =>
      notesOf(await this.client.executions.get(execution_id)).includes(text),
    );
  }

  /** How many runs of `slow` in the agent's process saw that they were cancelled. */
  async cancelled(): Promise<number> {
    const { output } = await this.client.executions.execute(`${AGENT}.seen`, {});
    return (output as { cancelled: number }).cancelled;
  }

  /** Starts `slow` by `starts`, cancels it by `cancels`, and proves that the ledger and the work itself agree. */
  async slowCancelled(
    signal: AbortSignal,
    starts: () => Promise<string>,
    cancels: (execution_id: string) => Promise<unknown>,
    status = 'cancelled',
  ): Promise<void> {
    const before = await this.cancelled();
    const execution_id = await starts();
    await this.note(signal, execution_id, 'started');
    await cancels(execution_id);
    const ended = await this.client.executions.wait(execution_id, { signal });
    if (ended.status !== status) throw new Error(`expected ${status}, got ${ended.status}`);
    await until(signal, 'the work itself to stop', async () => (await this.cancelled()) === before + 1);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent?.[Symbol.asyncDispose]();
    await this.#owned.disposeAsync();
  }
}

export function notesOf(execution: ExecutionResource): string[] {
  return (execution.notes ?? []).map((note) => String(note['text']));
}

/** Asks again until it holds. @throws Error that says what was waited for. */
export async function until(signal: AbortSignal, what: string, holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) {
    if (signal.aborted) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

function startHouseServer(simulator: Simulator, options: ServerOptions = {}): Promise<RunningServer> {
  return startServer({
    port: 0,
    data: ':memory:',
    log_level: 'silent',
    providers: { simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' } },
    ...options,
  });
}
