// Three ways to run the same file: one call at a terminal, many over HTTP, and a command line for both.

import type { FastifyInstance } from 'fastify';
import { ParleyError } from '@parley/core';
import type { AgentHandle } from '../agent.ts';
import type { AgentLauncher } from '../launcher/launcher.ts';
import { isIsolated } from '../launcher/isolated.ts';
import { stderrLog } from '../log.ts';
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
    const provider = options.provider ?? 'simulator';
    const level = options.debug ? 'debug' : (options.logLevel ?? 'warn');
    const launcher = this.launcher.with({ ...(provider !== 'declared' && { provider }), isolation: 'shared' });
    launcher.logTo(stderrLog(level));
    return runOne(launcher, options);
  }

  /**
   * Serves HTTP until the process is told to stop or `signal` is aborted: then it drains. A second signal does not wait.
   * @throws ParleyError `failed_precondition` for an address that others can reach where nothing guards the start.
   */
  async serve(options: RunnerServe = {}): Promise<void> {
    if (isIsolated()) return;
    const { host = '127.0.0.1', port = 8000, signal, onListening } = options;
    const url = options.controlPlane ?? (process.env['PARLEY_URL'] || undefined);
    checkExposure(host, this.#options);
    const app = await this.app();
    const { promise: leave, resolve } = Promise.withResolvers<void>();
    let handle: AgentHandle | null = null;
    let unwatch = (): void => undefined;
    let told = 0;
    const stop = (): void => {
      told += 1;
      resolve();
      if (told === 2) void this.launcher.stop();
      if (told === 3) process.exit(1);
    };
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, stop);
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    try {
      const address = await app.listen({ host, port }).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EADDRINUSE'
          ? new ParleyError('failed_precondition', `port ${port} of ${host} is in use: choose another with --port`)
          : error;
      });
      onListening?.(address);
      const { isolation, blockedMs, log } = this.launcher.settings;
      if (isolation === 'shared' && blockedMs > 0) {
        const { watchLoop } = await import('../launcher/watchdog.ts');
        unwatch = await watchLoop(blockedMs, log, ({ culprit, blocked_ms, stack }) =>
          log.warn('the event loop turns again; it was blocked', {
            culprit,
            blocked_ms,
            at: stack.find((place) => !place.includes('(node:')),
          }),
        );
      }
      // It answers /ready with 503 until it is warm.
      await this.launcher.start();
      if (url !== undefined) {
        const { connectLauncher } = await import('../launcher/control-plane.ts');
        handle = await connectLauncher(this.launcher, { url });
        handle.stopped.catch(stop);
      }
      await leave;
      const drained = this.launcher.drain();
      await Promise.all([handle?.drain(), drained]);
    } finally {
      unwatch();
      await this.launcher.stop();
      await handle?.stop().catch(() => undefined);
      await app.close();
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.off(name, stop);
      signal?.removeEventListener('abort', stop);
    }
  }

  /** Does what the command line says: `run` or `serve`. A failure is told on stderr, and sets the exit code. */
  async cli(argv: readonly string[] = process.argv.slice(2)): Promise<void> {
    if (isIsolated()) return;
    const { runCli } = await import('./cli.ts');
    await runCli(this, argv);
  }
}
