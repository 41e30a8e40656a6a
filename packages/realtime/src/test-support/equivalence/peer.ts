// The same tape, played to @openai/agents-realtime.

import {
  backgroundResult,
  OpenAIRealtimeWebSocket,
  RealtimeAgent,
  type RealtimeItem,
  type RealtimeOutputGuardrail,
  RealtimeSession,
  tool,
} from '@openai/agents-realtime';
import { vi } from 'vitest';
import type { Wire } from '../../history/item.ts';
import { outputsOf, SHARED } from './ours.ts';
import { type EquivalenceTape, inShort, type Outcome, sorted, type Step, type TapeAgent } from './tape.ts';

type Listener = (event: { data?: unknown }) => void;
type Approval = Parameters<RealtimeSession['approve']>[0];

export async function playPeer(tape: EquivalenceTape): Promise<Outcome> {
  vi.useFakeTimers({ toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
  try {
    return await play(tape);
  } finally {
    vi.useRealTimers();
  }
}

async function play(tape: EquivalenceTape): Promise<Outcome> {
  const listeners = new Map<string, Listener[]>();
  const thrown: string[] = [];
  const tell = (type: string, event: { data?: unknown } = {}): void => {
    for (const listener of listeners.get(type) ?? []) {
      try {
        listener(event);
      } catch (error) {
        thrown.push((error as Error).name);
      }
    }
  };
  const sent: Wire[] = [];
  const socket = {
    readyState: 1,
    addEventListener: (type: string, listener: Listener) =>
      void listeners.set(type, [...(listeners.get(type) ?? []), listener]),
    removeEventListener() {},
    send(frame: string) {
      const value = JSON.parse(frame) as Wire;
      if (value['type'] === 'session.update' && sent.length === 0) {
        setImmediate(() => say({ type: 'session.updated', session: { id: 's', ...(value['session'] as Wire) } }));
      }
      sent.push(value);
    },
    close: () => tell('close'),
  };
  const say = (frame: Wire | string): void =>
    tell('message', { data: typeof frame === 'string' ? frame : JSON.stringify({ event_id: 'e', ...frame }) });
  const transport = new OpenAIRealtimeWebSocket({
    createWebSocket: async () => {
      // When its listeners are there.
      setImmediate(() => {
        tell('open');
        say({ type: 'session.created', session: { id: 's', type: 'realtime' } });
      });
      return socket as never;
    },
  });
  const held = new Map<string, (value: unknown) => void>();
  const agents = new Map<string, RealtimeAgent>();
  for (const one of tape.agents) agents.set(one.name, agentOf(one, held));
  for (const { name, handoffs = [] } of tape.agents) {
    const agent = agents.get(name) as RealtimeAgent;
    agent.handoffs = handoffs.map((other) => agents.get(other) as RealtimeAgent);
  }
  const [first] = agents.values();
  if (!first) throw new Error('a tape has an agent');
  const guardrail: RealtimeOutputGuardrail = {
    name: 'guard',
    policyHint: 'Do not.',
    execute: async ({ agentOutput }) => ({
      tripwireTriggered: String(agentOutput).includes(tape.guardrail ?? ''),
      outputInfo: {},
    }),
  };
  const session = new RealtimeSession(first, {
    transport,
    tracingDisabled: true,
    ...(tape.guardrail === undefined ? {} : { outputGuardrails: [guardrail] }),
  });
  const events: string[] = [];
  const approvals = new Map<string, Approval>();
  let audio = 0;
  const told = session as unknown as { on(type: string, listener: () => void): void };
  for (const type of SHARED) told.on(type, () => void events.push(type));
  session.on('audio', ({ data }) => void (audio += data.byteLength));
  session.on('agent_tool_start', (_, __, { name }) => void events.push(`agent_tool_start ${name}`));
  session.on('agent_tool_end', (_, __, { name }) => void events.push(`agent_tool_end ${name}`));
  session.on('tool_approval_requested', (_, __, { approvalItem }) => {
    approvals.set((approvalItem.rawItem as { callId: string }).callId, approvalItem);
  });
  await session.connect({ apiKey: 'key-of-a-tape' });
  await settle();
  const handshake = sent.length;
  for (const step of tape.steps) {
    try {
      await perform(step);
    } catch (error) {
      thrown.push((error as Error).name);
    }
    await settle();
  }
  const history = session.history.map(shown);
  session.close();
  return {
    frames: sent
      .slice(handshake)
      .map(inShort)
      .filter((one) => one !== null),
    outputs: outputsOf(sent),
    history,
    audio,
    events: sorted(events),
    thrown,
  };

  async function perform(step: Step): Promise<void> {
    if ('say' in step) return step.say.forEach(say);
    if ('passes' in step) return void (await vi.advanceTimersByTimeAsync(step.passes));
    switch (step.does) {
      case 'message':
        return session.sendMessage(step.text);
      case 'image':
        return session.addImage(step.text, { triggerResponse: true });
      case 'audio':
        return session.sendAudio(new ArrayBuffer(step.bytes), { commit: step.commit ?? false });
      case 'interrupt':
        return session.interrupt();
      case 'close':
        return session.close();
      case 'drop':
        return tell('close');
      case 'mute':
        return session.mute(step.muted);
      case 'approve':
        return void session.approve(approvals.get(step.callId) as Approval, { alwaysApprove: step.always ?? false });
      case 'reject':
        return void session.reject(
          approvals.get(step.callId) as Approval,
          step.message === undefined ? {} : { message: step.message },
        );
      case 'release':
        return held.get(step.tool)?.('released');
      case 'agent':
        return void (await session.updateAgent(agents.get(step.name) as RealtimeAgent));
      case 'delete':
        return session.updateHistory((items) => items.filter((_, at) => at !== step.at));
    }
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise<void>((resolve) => void setImmediate(resolve));
}

function shown(item: RealtimeItem): string {
  if (item.type !== 'message')
    return `${item.type} ${'name' in item ? item.name : ''} ${'status' in item ? item.status : ''}`;
  const words = item.content
    .map((part) => ('text' in part ? part.text : 'transcript' in part ? (part.transcript ?? '') : ''))
    .join('');
  return `${item.role} ${'status' in item ? item.status : 'completed'} ${words}`;
}

function agentOf(one: TapeAgent, held: Map<string, (value: unknown) => void>): RealtimeAgent {
  const tools = (one.tools ?? []).map((spec) =>
    tool({
      name: spec.name,
      description: spec.name,
      parameters: { type: 'object', properties: {}, required: [], additionalProperties: true },
      strict: false,
      needsApproval: spec.needsApproval ?? false,
      ...(spec.timeoutMs === undefined ? {} : { timeoutMs: spec.timeoutMs }),
      execute: async () => {
        if (spec.throws !== undefined) throw new Error(spec.throws);
        if (spec.held) return new Promise((resolve) => void held.set(spec.name, resolve));
        const result = spec.answers ?? 'ok';
        return spec.background ? backgroundResult(result) : result;
      },
    }),
  );
  return new RealtimeAgent({ name: one.name, tools });
}
