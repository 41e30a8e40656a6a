import {
  capabilityOf,
  type ClientEventName,
  ParleyError,
  parseDeclaration,
  type ProviderCapability,
  type SessionDeclaration,
} from '@parley/core';
import type { ModelCall, ModelConnection, RealtimeModel } from '@parley/providers';
import { memorySocketPair } from '@parley/transport';
import { expect, test } from 'vitest';
import type { AgentLink } from '../agents/link.ts';
import { TestServer } from '../agents/server.test.peer.ts';
import { GatedStore } from '../executions/gated-store.test.peer.ts';
import { IceServers } from '../ice-servers.ts';
import { createLogger } from '../telemetry/logger.ts';
import { Metrics } from '../telemetry/metrics.ts';
import { Bridges } from './bridge/bridges.ts';
import { newResource, rootExecution } from './resource.ts';
import { Session } from './session.ts';

const CAPABILITIES = capabilityOf('openai') as ProviderCapability;
const CLIENT_EVENTS: ClientEventName[] = ['audio', 'text'];

/** A provider whose calls are answered, and whose sideband is there at once. */
class Provider implements RealtimeModel {
  readonly provider = 'openai';
  readonly capabilities = CAPABILITIES;

  connect(): Promise<ModelConnection> {
    return Promise.reject(new ParleyError('unavailable', 'this provider only takes calls'));
  }

  async call(): Promise<ModelCall> {
    const [socket] = memorySocketPair();
    const connection: ModelConnection = {
      provider_session_id: 'sess_provider',
      send: () => undefined,
      onEvent: () => undefined,
      media: {
        socket,
        send: () => undefined,
        onFrame: () => undefined,
        counts: () => ({ user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 }),
      },
      closed: new Promise(() => undefined),
      close: () => undefined,
    };
    return {
      call_id: 'rtc_1',
      answer_sdp: 'v=0',
      connection,
      attached: Promise.resolve(),
      onRejected: () => undefined,
      hangUp: async () => undefined,
    };
  }
}

/** A session of the agent `support`, whose tool is its skill `look`. */
async function sessionOn(server: TestServer, change: Partial<SessionDeclaration> = {}): Promise<Session> {
  const declaration = parseDeclaration({
    name: 'voice',
    provider: 'openai',
    transport: 'websocket',
    ...change,
  });
  const tools = [{ name: 'look', target: 'support.look', kind: 'skill' as const }];
  const metadata = {};
  const target = 'support.voice';
  const resource = newResource(
    { agent: 'support', target, declaration, tools, metadata, capabilities: CAPABILITIES },
    Date.now(),
  );
  const session = new Session(resource, CLIENT_EVENTS, {
    store: server.store,
    agents: server.agents,
    executions: server.executions,
    model: new Provider(),
    logger: createLogger('silent'),
    metrics: new Metrics(),
    now: Date.now,
    client_soft_bytes: 1024,
    client_hard_bytes: 2048,
    client_patience_ms: 1000,
    sideband_ms: 1000,
    bridges: new Bridges({
      max: 0,
      ports: { host: '127.0.0.1', range: null, one: null },
      ice: new IceServers([], Date.now),
      media_connect_ms: 1000,
      channel_open_ms: 1000,
      media_lost_ms: 1000,
    }),
    pending: () => undefined,
    ended: () => undefined,
    lost: () => undefined,
  });
  const { session_id, workflow_id, execution_id, agent } = resource;
  await session.log.append(
    { type: 'session.created', session_id, workflow_id, execution_id, agent, target, declaration, tools, metadata },
    () => [
      { op: 'session.insert', session: resource },
      { op: 'execution.insert', execution: rootExecution(resource) },
    ],
  );
  return session;
}

test('a tool that is called in the moment in which its session ends is cancelled, and does not run on', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const session = await sessionOn(server);
  // Both are written in one go, so what follows from them is done in one go too.
  const called = session.requests.call('look', {}, 'call_1');
  const closed = session.close('enough', 'client');
  expect(await called).toMatchObject({ status: 'cancelled' });
  await closed;
  const { execution_id } = await agent.next('execution.dispatch');
  expect(await agent.next('execution.cancel')).toMatchObject({ execution_id });
  expect(await server.executions.ended(execution_id)).toMatchObject({ status: 'cancelled' });
  expect(server.executions.running).toBe(0);
});

test('a call whose entry the disk refuses ends its session, and is nobody else’s failure', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  const session = await sessionOn(server, { transport: 'webrtc', media: 'native' });
  const unhandled: unknown[] = [];
  const keep = (reason: unknown): void => void unhandled.push(reason);
  process.on('unhandledRejection', keep);
  try {
    gate.refuse('session.update', 1, new ParleyError('unavailable', 'the disk is full'));
    await session.calls.offer('v=0', AbortSignal.timeout(5000), false);
    await session.over;
    // Rejections are told once the microtasks are through.
    await new Promise((resolve) => setImmediate(resolve));
  } finally {
    process.off('unhandledRejection', keep);
  }
  expect(unhandled).toEqual([]);
});

test('a link that is cut while it is told what it missed is not attached, and takes nothing from the one after it', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  const session = await sessionOn(server);
  const types: string[] = [];
  session.log.subscribe(({ type }) => types.push(type));
  const first = await server.agent({ instance_id: 'one' });
  const reading = gate.holdReads();
  const resumed = session.handler.resumed(0, server.links[0] as AgentLink);
  first.cut();
  await server.ends[0];
  const second = await server.agent({ instance_id: 'one' });
  const again = session.handler.resumed(0, server.links[1] as AgentLink);
  reading.release(1);
  await again;
  reading.release(0);
  await resumed;
  await session.requests.update({ instructions: 'Be brief.' }, 'api');
  await second.settle();
  expect(second.frames).toMatchObject([{ type: 'session.event', event: { type: 'session.updated' } }]);
  expect(types).toEqual(['handler.attached', 'session.updated']);
});

test('a handler that comes back to a session which is cut meanwhile is not attached', async () => {
  await using gate = await GatedStore.open();
  await using server = await TestServer.open({ store: gate.store });
  const session = await sessionOn(server);
  await server.agent({ instance_id: 'one' });
  const reading = gate.holdReads();
  const resumed = session.handler.resumed(0, server.links[0] as AgentLink);
  gate.refuse('events.append', 1, new ParleyError('unavailable', 'the disk is full'));
  await expect(session.requests.update({ instructions: 'Be brief.' }, 'api')).rejects.toThrow('the disk is full');
  reading.release(0);
  await expect(resumed).rejects.toThrow('the disk is full');
});
