// The same launcher as an agent of a control plane: it registers what its agents declare, with its load and its
// capacity, and is given the sessions that the control plane places here.

import { ParleyError } from '@parley/core';
import type { AgentHandle } from '../agent.ts';
import { type CallEnd, type CallHost, type HostedCall, partsOf } from '../call.ts';
import type { RealtimeSession } from '../realtime-session.ts';
import type { SessionDefinition } from '../session-options.ts';
import { type AgentOptions, settle } from '../settings.ts';
import { AgentWorker } from '../worker.ts';
import type { AgentLauncher } from './launcher.ts';

/**
 * Connects a launcher to a control plane. Its capacity is `maxConcurrentSessions`; sessions that were started over
 * HTTP count as load too.
 *
 * A session that the model answers by itself is held by the control plane alone: `joinCall` runs for those with a
 * handler.
 */
export async function connectLauncher(launcher: AgentLauncher, options: AgentOptions = {}): Promise<AgentHandle> {
  const { name, sessions, functions } = partsOf(await launcher.probe());
  const wrapped = new Map<string, SessionDefinition>();
  for (const [key, definition] of sessions) {
    const handler = definition.handler ? (session: RealtimeSession) => launched(launcher, key, session) : null;
    wrapped.set(key, { declaration: definition.declaration, handler });
  }
  const { maxConcurrentSessions, log, clock, drainMs, closeMs } = launcher.settings;
  const worker = new AgentWorker(
    { name, sessions: wrapped, functions, sessionLoad: () => launcher.status.active },
    // A drain ends with the launcher's sessions: the link must outlast what they may take.
    settle({ log, clock, drainMs: drainMs + 2 * closeMs + 1_000, ...options, sessionsMax: maxConcurrentSessions }),
  );
  const stopped = worker.run();
  // Whoever looks at `stopped` or `ready` sees the error; nobody has to.
  stopped.catch(() => undefined);
  return {
    ready: worker.ready,
    stopped,
    get status() {
      return worker.status;
    },
    drain: () => {
      worker.drain();
      return stopped;
    },
    stop: () => {
      worker.stop();
      return stopped;
    },
  };
}

/** One session of the control plane, as a launch. Its handler is over when the launched session is. */
async function launched(launcher: AgentLauncher, name: string, session: RealtimeSession): Promise<void> {
  const { call_id, input, ...metadata } = session.metadata;
  const callId = typeof call_id === 'string' ? call_id : session.id;
  const host = new RemoteHost(session);
  const start = await launcher.launchAt(host, { callId, callType: name, input, metadata }, session.id);
  const end = (): void => void start.close(reasonOf(session));
  session.signal.addEventListener('abort', end, { once: true });
  if (session.signal.aborted) end();
  await start.finished;
  session.signal.removeEventListener('abort', end);
  if (start.error) throw start.error;
  // One that was ended here, by a limit or a drain, is ended there with the same reason.
  if (start.reason !== 'task_completed' && start.reason !== 'handler_completed' && !session.signal.aborted) {
    await session.close(start.reason ?? 'closed');
  }
}

/** Holds the call in the session that the control plane keeps. */
class RemoteHost implements CallHost {
  readonly #session: RealtimeSession;

  constructor(session: RealtimeSession) {
    this.#session = session;
  }

  async join(...[agent, call]: Parameters<CallHost['join']>): Promise<HostedCall> {
    const session = this.#session;
    const handler = agent.sessions.get(call.session)?.handler;
    const { promise: ended, resolve } = Promise.withResolvers<CallEnd>();
    let over = false;
    const end = (how: CallEnd): void => {
      over = true;
      resolve(how);
    };
    session.signal.addEventListener('abort', () => end({ reason: reasonOf(session), error: null }), { once: true });
    if (session.signal.aborted) end({ reason: reasonOf(session), error: null });
    if (handler) {
      void Promise.resolve()
        .then(() => handler(session))
        .then(
          () => end({ reason: 'handler_completed', error: null }),
          (thrown: unknown) => {
            const error = ParleyError.from(thrown);
            end(
              error === session.signal.reason
                ? { reason: reasonOf(session), error: null }
                : { reason: 'handler_failed', error },
            );
          },
        );
    }
    return {
      session,
      ended,
      leave: async (reason) => {
        // The session itself is closed once the launch is over: what was said last should be heard.
        if (!over) end({ reason, error: null });
        return ended;
      },
    };
  }
}

function reasonOf(session: RealtimeSession): string {
  const reason: unknown = session.signal.reason;
  const told = reason instanceof ParleyError ? reason.details?.['reason'] : undefined;
  return typeof told === 'string' ? told : 'session_ended';
}
