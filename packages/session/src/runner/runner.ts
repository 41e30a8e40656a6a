// Three ways to run the same file: one call at a terminal, many over HTTP, and a command line for both.

import type { FastifyInstance } from 'fastify';
import { ParleyError } from '@parley/core';
import type { AgentHandle } from '../agent.ts';
import type { AgentLauncher } from '../launcher/launcher.ts';
import { isIsolated } from '../launcher/isolated.ts';
import { Leaving } from './leaving.ts';
import type { RunOptions } from './run-options.ts';
import { checkExposure, type RunnerServeOptions } from './serve-options.ts';

export interface RunnerOptions {
  launcher: AgentLauncher;
  serveOptions?: RunnerServeOptions | undefined;
}

export interface RunnerServe {
  /** Default 127.0.0.1. */
  host?: string | undefined;
  /** Default 8000; 0 takes a free one. */
  port?: number | undefined;
  /** Registers with this control plane as well, which then places sessions here. Default: `PARLEY_URL`, if that is set. */
  controlPlane?: string | undefined;
  /** Drains and stops when aborted. */
  signal?: AbortSignal | undefined;
  /** Is told the address once it listens. */
  onListening?: ((url: string) => void) | undefined;
}

/**
 * Runs a launcher.
 *
 * @example
 * const runner = new Runner({ launcher, serveOptions: { corsAllowOrigins: ['https://shop.example'] } });
 * await runner.cli(); // node agent.ts run --call-id my-call · node agent.ts serve --port 8000
 */
export class Runner {
  readonly launcher: AgentLauncher;
  readonly #options: RunnerServeOptions;
  #app: Promise<FastifyInstance> | null = null;

  constructor(options: RunnerOptions) {
    this.launcher = options.launcher;
    this.#options = options.serveOptions ?? {};
  }

  /** The Fastify app with the routes on it: yours, where one was given. */
  app(): Promise<FastifyInstance> {
    // Loaded when it is wanted: an agent that only declares pays nothing for the server.
    this.#app ??= import('./http/app.ts').then(({ appFor }) => appFor(this.launcher, this.#options));
    return this.#app;
  }

  /** One call, with this terminal as its user. Resolves with why it ended. @throws ParleyError of a failed session. */
  async run(options: RunOptions = {}): Promise<string> {
    if (isIsolated()) return 'isolated';
    const { runOne } = await import('./run.ts');
    return runOne(this.launcher, options);
  }

  /**
   * Serves HTTP until the process is told to stop (SIGINT, SIGTERM) or `signal` is aborted. Then `/ready` is 503 at once,
   * nothing new starts, the sessions are told how long they have, and what is left after `drainMs` is closed; it resolves
   * when all have ended. A second signal closes them now, a third ends the process.
   * @throws ParleyError `failed_precondition` for an address that others can reach where nothing guards the start, or for
   * a port that is taken; what warming up threw; the refusal of a control plane.
   */
  async serve(options: RunnerServe = {}): Promise<void> {
    if (isIsolated()) return;
    const { host = '127.0.0.1', port = 8000, signal, onListening } = options;
    checkExposure(host, this.#options);
    const { launcher } = this;
    const app = await this.app();
    let handle: AgentHandle | null = null;
    let unwatch = (): void => undefined;
    using leaving = new Leaving(
      {
        drain: () => {
          // The control plane is told first: it should place nothing more here. Both ends are awaited below.
          void handle?.drain().catch(() => undefined);
          void launcher.drain();
        },
        stop: () => void launcher.stop(),
      },
      signal,
    );
    try {
      onListening?.(await listening(app, host, port));
      unwatch = await this.#watch();
      // It answers /ready with 503 until it is warm. Who is told to leave meanwhile does not wait for that.
      if (!leaving.leaving) await Promise.race([launcher.start(), leaving.told]);
      const url = options.controlPlane ?? (process.env['PARLEY_URL'] || undefined);
      if (url !== undefined && !leaving.leaving) {
        const { connectLauncher } = await import('../launcher/control-plane.ts');
        handle = await connectLauncher(launcher, { url });
        // A refusal for good, which is thrown below.
        handle.stopped.catch(leaving.leave);
      }
      await leaving.told;
      // A control plane that refused this agent ends no call before its time.
      const [refusal] = await Promise.allSettled([handle?.drain(), launcher.drain()]);
      if (refusal.status === 'rejected') throw refusal.reason;
    } finally {
      unwatch();
      await launcher.stop();
      await handle?.stop().catch(() => undefined);
      await app.close();
    }
  }

  /** In a shared loop, names who blocks it. */
  async #watch(): Promise<() => void> {
    const { isolation, blockedMs, log } = this.launcher.settings;
    if (isolation !== 'shared' || blockedMs === 0) return () => undefined;
    const { watchLoop } = await import('../launcher/watchdog.ts');
    return watchLoop(blockedMs, log, ({ culprit, blocked_ms, stack }) =>
      log.warn('the event loop turns again; it was blocked', {
        culprit,
        blocked_ms,
        at: stack.find((place) => !place.includes('(node:')),
      }),
    );
  }

  /** Does what the command line says: `run` or `serve`. A failure is told on stderr, and sets the exit code. */
  async cli(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
    if (isIsolated()) return;
    const { runCli } = await import('./cli.ts');
    await runCli(this, argv);
  }
}

async function listening(app: FastifyInstance, host: string, port: number): Promise<string> {
  try {
    return await app.listen({ host, port });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new ParleyError('failed_precondition', `port ${port} of ${host} is in use: choose another with --port`);
  }
}
