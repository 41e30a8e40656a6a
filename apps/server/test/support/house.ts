// The whole house on this machine: a simulator, a control plane whose database is in memory, and agents. What has to be
// on disk is tested with a process (crash.test.ts, drain.test.ts).

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StartResponse } from '@parley/core';
import { Agent, type AgentHandle, type AgentOptions, type Log, type SessionOptions } from '@parley/session';
import { parseScript, type Simulator, type SimulatorOptions, startSimulator } from '@parley/simulator';
import { type RunningServer, type ServerOptions, startServer } from '../../src/index.ts';
import { Api } from './api.ts';
import { Client } from './client.ts';

/** What the model does in these tests: it calls what the user names. */
export const SCRIPT = parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: find_order, arguments: { order: "$1" } }
    then: "Order $1 ships on {{output.day}}."
    on_error: "Failed: {{error}}"
  - heard: "both (\\\\d+) (\\\\d+)"
    call: [{ name: find_order, arguments: { order: "$1" } }, { name: find_order, arguments: { order: "$2" } }]
    then: "{{outputs.0.day}} and {{outputs.1.day}}."
  - heard: "slow"
    call: { name: slow, arguments: {} }
    then: "It took its time."
    on_error: "Failed: {{error}}"
otherwise: "You said: {{heard}}"
`);

/** A session that the model answers in words only, so that nothing is waited for that would have to be heard. */
export const TEXT: SessionOptions = { provider: 'simulator', transport: 'websocket', modalities: ['text'] };

const quiet = (): void => undefined;
const SILENT: Log = { debug: quiet, info: quiet, warn: quiet, error: quiet };

/** Short times, so that tests of what is lost need not wait. */
export const QUICK = { agent_resume_ms: 400 };

export interface HouseOptions extends ServerOptions {
  simulator?: SimulatorOptions;
}

export class House implements AsyncDisposable {
  readonly simulator: Simulator;
  readonly server: RunningServer;
  /** With the first of the server's keys, if it has any. */
  readonly api: Api;
  /** For files of a test. */
  readonly directory: string;
  readonly #owned: AsyncDisposableStack;

  readonly #key: string | undefined;

  private constructor(
    simulator: Simulator,
    server: RunningServer,
    directory: string,
    owned: AsyncDisposableStack,
    key: string | undefined,
  ) {
    this.simulator = simulator;
    this.server = server;
    this.directory = directory;
    this.#owned = owned;
    this.#key = key;
    this.api = new Api(server.url, key);
  }

  static async open({ simulator: options, ...server }: HouseOptions = {}): Promise<House> {
    await using starting = new AsyncDisposableStack();
    const directory = await mkdtemp(join(tmpdir(), 'parley-server-test-'));
    starting.defer(() => rm(directory, { recursive: true, force: true }));
    const simulator = starting.use(
      await startSimulator({ script: SCRIPT, voice: 'coded', pace: Number.POSITIVE_INFINITY, ...options }),
    );
    const running = starting.use(
      await startServer({
        port: 0,
        data: ':memory:',
        log_level: 'silent',
        providers: { simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' } },
        ...server,
      }),
    );
    return new House(simulator, running, directory, starting.move(), server.keys?.[0]);
  }

  /** Serves an agent until the house is closed. */
  async serve(agent: Agent, options: AgentOptions = {}): Promise<AgentHandle> {
    const handle = agent.start({
      url: this.server.url,
      key: this.#key,
      log: SILENT,
      backoff: { minMs: 20, maxMs: 100 },
      ...options,
    });
    this.#owned.defer(async () => {
      await Promise.all([handle.stop(), handle.stop()]).catch(() => undefined);
    });
    await handle.ready;
    return handle;
  }

  start(target: string, body?: unknown, headers?: Record<string, string>): Promise<StartResponse> {
    return this.api.post(`/api/v1/sessions/${target}/start`, body ?? {}, headers);
  }

  /** Starts a session and joins it. */
  async call(target: string, ...protocols: string[]): Promise<{ session: StartResponse; client: Client }> {
    const session = await this.start(target);
    const client = await Client.join(this.server.url, session, ...protocols);
    this.#owned.use(client);
    return { session, client };
  }

  async join(session: StartResponse, ...protocols: string[]): Promise<Client> {
    return this.#owned.use(await Client.join(this.server.url, session, ...protocols));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#owned.disposeAsync();
  }
}
