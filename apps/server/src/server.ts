// The control plane: wires its parts, listens, and drains. Nothing is decided here.

import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { PAGES } from '@parley/dashboard';
import { ParleyError } from '@parley/core';
import { createModel, type RealtimeModel, renewing } from '@parley/providers';
import { Access } from './access/access.ts';
import { Keys } from './access/keys.ts';
import { ClientSecrets } from './access/client-secrets.ts';
import { SessionTokens } from './access/tokens.ts';
import { Agents } from './agents/agents.ts';
import { AGENT_LIMITS } from './agents/limits.ts';
import { completeConfig, type ServerConfig, type ServerOptions } from './config.ts';
import { Executions } from './executions/executions.ts';
import { accessRoutes } from './gateway/access-routes.ts';
import { agentRoutes } from './gateway/agent-routes.ts';
import { Door } from './gateway/door/door.ts';
import { doorRoutes } from './gateway/door/routes.ts';
import { executionRoutes } from './gateway/execution-routes.ts';
import { healthRoutes } from './gateway/health-routes.ts';
import { callRoutes } from './gateway/call-routes.ts';
import { commandRoutes } from './gateway/command-routes.ts';
import { createHttp } from './gateway/http.ts';
import { servePages } from './gateway/pages.ts';
import type { Route } from './gateway/route.ts';
import { sessionRoutes } from './gateway/session-routes.ts';
import { Sockets } from './gateway/sockets.ts';
import { EventStreams } from './gateway/sse.ts';
import { IceServers } from './ice-servers.ts';
import { Bridges } from './sessions/bridge/bridges.ts';
import { turnRoutes } from './gateway/turn-routes.ts';
import { sessionHost } from './sessions/host.ts';
import { Sessions } from './sessions/sessions.ts';
import { openSqliteStore } from './store/sqlite-store.ts';
import type { Store } from './store/store.ts';
import { createLogger, type Logger } from './telemetry/logger.ts';
import { Metrics } from './telemetry/metrics.ts';

export interface RunningServer {
  /** `http://127.0.0.1:7700` */
  url: string;
  host: string;
  port: number;
  /** Not ready at once; sessions and agents are told; what is left at the deadline is ended. Then everything is closed. */
  close(options?: { drain_ms?: number }): Promise<void>;
  /** Settles when the server cannot go on: its disk failed. */
  failed: Promise<Error>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** How long clients and agents have to answer the closing handshake. */
const SOCKET_CLOSE_MS = 1000;

/** How long providers have to be told of calls that are over. */
const HANG_UP_MS = 3000;

const VERSION = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version;

/**
 * Starts a control plane.
 *
 * @throws ParleyError `failed_precondition` for a public address without a key or a data directory in use.
 * @example
 * await using server = await startServer({ port: 0, data: ':memory:', providers: { simulator: { base_url } } });
 */
export async function startServer(options: ServerOptions = {}): Promise<RunningServer> {
  const config = completeConfig(options);
  const logger = createLogger(config.log_level);
  const now = Date.now;
  const models = modelsOf(config);
  const failed = Promise.withResolvers<Error>();
  const store = await openSqliteStore({ directory: config.data, onFailure: failed.resolve });
  try {
    return await wire(config, store, failed.promise, models, logger, now);
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function wire(
  config: ServerConfig,
  store: Store,
  storeFailed: Promise<Error>,
  models: ReadonlyMap<string, RealtimeModel>,
  logger: Logger,
  now: () => number,
): Promise<RunningServer> {
  const { limits } = config;
  const metrics = new Metrics();
  const keys = await Keys.load(store, config.keys);
  const tokens = new SessionTokens();
  const secrets = new ClientSecrets(limits.client_secrets_max);
  const access = new Access(keys, tokens, secrets, config.allowed_origins);
  let draining = false;

  const agents = new Agents({
    log: logger,
    limits: {
      heartbeat_ms: limits.agent_heartbeat_ms,
      lease_ms: limits.agent_lease_ms,
      frame_bytes_max: limits.agent_frame_bytes_max,
      resume_ms: limits.agent_resume_ms,
      // A link is looked at for the first time when it must have registered: not later than its lease.
      register_ms: Math.min(AGENT_LIMITS.register_ms, limits.agent_lease_ms),
    },
  });
  const executions = new Executions({
    store,
    workforce: agents,
    ended: ({ status }) => metrics.executionsEnded.inc({ status }),
    log: logger,
    limits: { unfinished_max: limits.executions_max, recovery_ms: limits.agent_resume_ms },
  });
  const ice = new IceServers(config.ice_servers, now);
  const bridges = new Bridges({
    max: limits.bridges_max,
    ports: config.rtc,
    ice,
    ...limits,
  });
  const sessions = new Sessions({
    store,
    agents,
    executions,
    model: (provider) => models.get(provider) ?? null,
    logger,
    metrics,
    now,
    bridges,
    ...limits,
  });
  agents.attach(executions, sessionHost(sessions));

  const recovered = await sessions.recover();
  await executions.recover();
  if (recovered > 0) logger.info({ sessions: recovered }, 'ended the sessions that were open when the server stopped');

  const door = new Door({ sessions, agents, logger });
  const streams = new EventStreams(limits.event_streams_max);
  const routes: Route[] = [
    ...sessionRoutes({ sessions, store, tokens, streams, ice, now }),
    ...commandRoutes(sessions, store),
    ...turnRoutes(sessions, streams),
    ...callRoutes({ sessions, ice, offer_ms: limits.offer_ms }),
    ...executionRoutes(executions, sessions, streams),
    ...agentRoutes(agents),
    ...accessRoutes(keys, now),
    ...doorRoutes({ door, secrets, offer_ms: limits.offer_ms, now }),
  ];
  let storeProblem: string | null = null;
  routes.push(
    ...healthRoutes(
      {
        version: VERSION,
        draining: () => draining,
        storeProblem: () => storeProblem,
        providers: () => [...models.keys()].sort(),
        counts: () => ({ sessions: sessions.size, executions: executions.running, agents: agents.list().length }),
      },
      metrics,
      () => routes,
    ),
  );
  const app = createHttp(routes, {
    access,
    logger,
    metrics,
    body_bytes_max: limits.body_bytes_max,
    tls: config.tls,
    now,
  });
  await servePages(app, fileURLToPath(PAGES));
  const sockets = new Sockets(app.server, {
    access,
    agents,
    sessions,
    door,
    logger,
    sockets_max: limits.sockets_max,
    agent_frame_bytes_max: limits.agent_frame_bytes_max,
    now,
  });
  metrics.gauge('parley_sessions_open', 'Sessions that are open.', () => sessions.size);
  metrics.gauge('parley_bridged_calls_open', 'Calls whose media end here.', () => bridges.size);
  metrics.gauge('parley_executions_running', 'Executions that are queued or running.', () => executions.running);
  metrics.gauge('parley_sockets_open', 'Sockets of clients and agents.', () => sockets.size);
  metrics.gauge('parley_store_units_waiting', 'Units that wait for the disk.', () => store.stats().units_waiting);

  await app.listen({ host: config.host, port: config.port }).catch((error: NodeJS.ErrnoException) => {
    throw error.code === 'EADDRINUSE'
      ? new ParleyError(
          'already_exists',
          `port ${config.port} on ${config.host} is taken; choose another with --port or PARLEY_PORT`,
          { cause: error },
        )
      : error;
  });
  const { port } = app.server.address() as AddressInfo;
  const url = `${config.tls ? 'https' : 'http'}://${config.host.includes(':') ? `[${config.host}]` : config.host}:${port}`;
  logger.info(
    { url, providers: [...models.keys()], data: config.data === ':memory:' ? 'memory' : 'disk' },
    'listening',
  );

  const failed = storeFailed.then((error) => {
    storeProblem = error.message;
    return error;
  });

  const stop = async (drain_ms: number): Promise<void> => {
    draining = true;
    logger.info({ drain_ms, sessions: sessions.size, executions: executions.running }, 'draining');
    const deadline = performance.now() + drain_ms;
    agents.drain(drain_ms);
    await sessions.drain(drain_ms);
    await sessions.hungUp(HANG_UP_MS);
    await executions.drain(Math.max(0, deadline - performance.now()));
    agents.close();
    // The HTTP server is closed when its last socket is: one that does not answer the close must not hold it up.
    await sockets.close(SOCKET_CLOSE_MS);
    await app.close();
    executions.close();
    await store.close();
    logger.info('stopped');
  };
  let stopping: Promise<void> | undefined;
  const close: RunningServer['close'] = (how = {}) => (stopping ??= stop(how.drain_ms ?? config.drain_ms));

  return { url, host: config.host, port, close, failed, [Symbol.asyncDispose]: () => close({ drain_ms: 0 }) };
}

function modelsOf(config: ServerConfig): Map<string, RealtimeModel> {
  return new Map(
    Object.entries(config.providers).map(([provider, settings]) => [
      provider,
      renewing(createModel(provider, settings)),
    ]),
  );
}
