// A tape, played to @parley/realtime.

import { createModel } from '@parley/providers';
import { memorySocketPair } from '@parley/transport';
import { RealtimeAgent } from '../../agent.ts';
import type { RealtimeOutputGuardrail } from '../../guard/guardrail.ts';
import { isObject, type RealtimeItem, textOf, type Wire } from '../../history/item.ts';
import { RealtimeRunner } from '../../runner.ts';
import { VirtualTime } from '../../testing/virtual-time.ts';
import { backgroundResult, tool } from '../../tool.ts';
import { type EquivalenceTape, inShort, type Outcome, sorted, type Step, type TapeAgent } from './tape.ts';

export async function playOurs(tape: EquivalenceTape): Promise<Outcome> {
  const time = new VirtualTime();
  const sent: Wire[] = [];
  let [client, peer] = memorySocketPair();
  const dial = async () => {
    [client, peer] = memorySocketPair();
    const here = peer;
    let greeted = false;
    here.onFrame((frame) => {
      const value = JSON.parse(frame.toString()) as Wire;
      const session = { id: 's', ...(isObject(value['session']) ? value['session'] : {}) };
      if (!greeted) here.send(JSON.stringify({ event_id: 'e', type: 'session.updated', session }));
      greeted = true;
      sent.push(value);
    });
    here.send(JSON.stringify({ event_id: 'e', type: 'session.created', session: { id: 's', type: 'realtime' } }));
    return client;
  };
  const model = createModel(
    'openai',
    { base_url: 'wss://tape.invalid/v1', key: 'key-of-a-tape' },
    { clock: time, dial },
  );
  const held = new Map<string, (value: unknown) => void>();
  const agents = new Map<string, RealtimeAgent>();
  for (const one of tape.agents) agents.set(one.name, agentOf(one, agents, held));
  const [first] = agents.values();
  if (!first) throw new Error('a tape has an agent');
  const guardrail: RealtimeOutputGuardrail = {
    name: 'guard',
    policyHint: 'Do not.',
    execute: ({ agentOutput }) => ({ tripwireTriggered: agentOutput.includes(tape.guardrail ?? '') }),
  };
  const runner = new RealtimeRunner(first, {
    model,
    config: tape.guardrail === undefined ? {} : { outputGuardrails: [guardrail] },
  });
  const session = await runner.run({ clock: time });
  const handshake = sent.length;
  const events: string[] = [];
  let audio = 0;
  session.subscribe((event) => {
    if (event.type === 'audio') audio += event.data.length;
    else if (event.type === 'agent_tool_start') events.push(`agent_tool_start ${event.tool.name}`);
    else if (event.type === 'agent_tool_end') {
      // The peer tells the end of what began.
      if (event.tool && event.status === 'succeeded') events.push(`agent_tool_end ${event.name}`);
    } else if (SHARED.has(event.type)) events.push(event.type);
  });
  const thrown: string[] = [];
  for (const step of tape.steps) {
    await perform(step);
    await time.settle();
  }
  const history = session.history.map(shown);
  await session.close();
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
    if ('say' in step) {
      for (const frame of step.say)
        peer.send(typeof frame === 'string' ? frame : JSON.stringify({ event_id: 'e', ...frame }));
      return;
    }
    if ('passes' in step) return time.pass(step.passes);
    const lost = (promise: Promise<unknown>): void => void promise.catch(() => {});
    switch (step.does) {
      case 'message':
        return lost(session.sendMessage(step.text));
      case 'image':
        return lost(session.addImage(step.text, { triggerResponse: true }));
      case 'audio':
        return lost(session.sendAudio(new Uint8Array(step.bytes), { commit: step.commit ?? false }));
      case 'interrupt':
        return session.interrupt();
      case 'close':
        return session.close();
      case 'drop':
        return peer.terminate();
      case 'mute':
        return session.mute(step.muted);
      case 'approve':
        return lost(session.approve(step.callId, { always: step.always ?? false }));
      case 'reject':
        return lost(session.reject(step.callId, step.message === undefined ? {} : { message: step.message }));
      case 'release':
        return held.get(step.tool)?.('released');
      case 'agent':
        return lost(session.updateAgent(agents.get(step.name) as RealtimeAgent));
      case 'delete':
        return lost(session.updateHistory((items) => items.filter((_, at) => at !== step.at)));
    }
  }
}

export const SHARED = new Set([
  'agent_start',
  'agent_end',
  'agent_handoff',
  'audio_start',
  'audio_interrupted',
  'guardrail_tripped',
  'tool_approval_requested',
  'error',
]);

export function outputsOf(sent: readonly Wire[]): Record<string, string[]> {
  const outputs: Record<string, string[]> = {};
  for (const { item } of sent) {
    if (!isObject(item) || item['type'] !== 'function_call_output') continue;
    (outputs[String(item['call_id'])] ??= []).push(String(item['output']));
  }
  return outputs;
}

export function shown(item: RealtimeItem): string {
  if (item.type !== 'message') return `${item.type} ${'name' in item ? item.name : ''} ${item.status}`;
  const images = item.content.filter(({ type }) => type === 'input_image').length;
  return `${item.role} ${item.status} ${textOf(item)}${images > 0 ? `+${images} image` : ''}`;
}

function agentOf(
  one: TapeAgent,
  agents: Map<string, RealtimeAgent>,
  held: Map<string, (value: unknown) => void>,
): RealtimeAgent {
  const tools = (one.tools ?? []).map((spec) =>
    tool({
      name: spec.name,
      description: spec.name,
      parameters: { type: 'object', properties: {}, additionalProperties: true },
      needsApproval: spec.needsApproval ?? false,
      ...(spec.timeoutMs === undefined ? {} : { timeoutMs: spec.timeoutMs }),
      execute: () => {
        if (spec.throws !== undefined) throw new Error(spec.throws);
        if (spec.held) return new Promise((resolve) => void held.set(spec.name, resolve));
        const result = spec.answers ?? 'ok';
        return spec.background ? backgroundResult(result) : result;
      },
    }),
  );
  return new RealtimeAgent({
    name: one.name,
    tools,
    handoffs: () => (one.handoffs ?? []).map((name) => agents.get(name) as RealtimeAgent),
  });
}
