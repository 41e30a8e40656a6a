// Who speaks: the configuration of the agent, its change by the model and by the program, and its voice.

import { ParleyError } from '@parley/core';
import type { ModelSessionOptions, RealtimeModel } from '@parley/providers';
import type { RealtimeAgent } from '../agent.ts';
import type { Call } from '../calls/call.ts';
import { checkHosts } from '../hosted-mcp.ts';
import type { Snapshot } from '../roster.ts';
import { modelTerms } from '../settings.ts';
import { contextOf, type Parts, quiet, sessionOver } from './parts.ts';

export class Speakers {
  readonly #parts: Parts;
  /** The change that is under way: two handoffs of one answer do not both win. */
  #changing: Promise<unknown> = Promise.resolve();
  #voice: string;
  #sounded = false;
  #provider = '';

  constructor(parts: Parts) {
    this.#parts = parts;
    const { voice, audio } = parts.settings;
    this.#voice = voice ?? audio?.output?.voice ?? '';
  }

  /** What a new connection is told. */
  terms(model: RealtimeModel): Omit<ModelSessionOptions, 'signal'> {
    const { roster, run, settings } = this.#parts;
    const { agent, resolved, hosted } = roster.current;
    const terms = modelTerms(settings);
    checkHosts(model.provider, hosted);
    this.#provider = model.provider;
    this.#voice = agent.voice ?? (this.#voice || model.capabilities.default_voice);
    this.#sounded = false;
    return {
      ...terms,
      model: settings.model ?? model.capabilities.default_model,
      voice: this.#voice,
      instructions: this.#instructions(roster.current),
      tools: resolved,
      responder: 'model',
      safety_id: run.modelConfig?.safetyId,
      settings: { ...terms.settings, ...ownOf(roster.current) },
    };
  }

  /** Sound was heard: the voice of this connection cannot change any more. */
  sounded(): void {
    this.#sounded = true;
  }

  /** The program changes the agent. Resolves when the provider has taken it up. */
  async change(agent: RealtimeAgent): Promise<void> {
    const { sent } = await this.#inTurn(() => this.#take(agent));
    return sent;
  }

  /** The model hands over. Resolves with the output of the call. */
  handOver(call: Call, input: unknown): Promise<string> {
    return this.#inTurn(() => this.#handOver(call, input));
  }

  /** The tools of the agent that speaks have changed. */
  async refresh(): Promise<void> {
    const { roster } = this.#parts;
    const snapshot = await roster.snapshot(roster.current.agent);
    if (!this.#parts.closing) await this.#become(snapshot);
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.#changing.then(change);
    this.#changing = turn.catch(() => {
      // Told to whoever asked for it; the next change is another one.
    });
    return turn;
  }

  async #take(agent: RealtimeAgent, call?: Call): Promise<{ sent: Promise<void> }> {
    const { hub, narrator, roster } = this.#parts;
    const from = roster.current.agent;
    const snapshot = await roster.snapshot(agent);
    checkHosts(this.#provider, snapshot.hosted);
    if (this.#parts.closing || call?.done === true) throw sessionOver();
    const sent = this.#become(snapshot);
    const callId = call === undefined ? {} : { callId: call.callId };
    hub.emit({ type: 'agent_handoff', fromAgent: from, toAgent: agent, ...callId });
    narrator.hook(agent, 'onHandoff', from);
    return { sent };
  }

  async #handOver(call: Call, input: unknown): Promise<string> {
    const { bound } = call;
    if (bound?.kind !== 'handoff') throw new ParleyError('internal', `'${call.name}' is no handoff`);
    const { roster } = this.#parts;
    const { agent: to, wayBack } = bound.handoff;
    if (roster.current.agent !== bound.agent) {
      const { name } = roster.current.agent;
      throw new ParleyError('failed_precondition', `the conversation was handed to ${name} already`);
    }
    await bound.handoff.onHandoff(contextOf(this.#parts, bound.agent), input);
    if (wayBack) roster.wayBack(to, bound.agent);
    // Whether the provider takes it up is told as an error; the output follows in the same breath.
    await this.#take(to, call);
    return JSON.stringify({ assistant: to.name });
  }

  /** The configuration goes out. What was heard in one voice goes on in it. */
  #become(snapshot: Snapshot): Promise<void> {
    const { inputs, link, machine, roster } = this.#parts;
    const { agent, resolved } = snapshot;
    const voice = agent.voice !== undefined && agent.voice !== this.#voice && !this.#sounded ? agent.voice : undefined;
    if (voice !== undefined) this.#voice = voice;
    roster.choose(snapshot);
    const settings = ownOf(snapshot);
    const sent = link.open ? inputs.expect('update', 'updated') : Promise.resolve();
    machine.append({
      type: 'session.updated',
      instructions: this.#instructions(snapshot),
      resolved_tools: resolved,
      by: 'handler',
      ...(voice === undefined ? {} : { voice }),
      ...(Object.keys(settings).length === 0 ? {} : { settings }),
    });
    return quiet(sent);
  }

  #instructions({ instructions }: Snapshot): string {
    return instructions === '' ? (this.#parts.settings.instructions ?? '') : instructions;
  }
}

/** What only the provider knows of an agent, in its words. */
function ownOf({ prompt, hosted }: Snapshot): Record<string, unknown> {
  const own: Record<string, unknown> = {};
  if (prompt) {
    const { promptId, version, variables } = prompt;
    own['prompt'] = {
      id: promptId,
      ...(version === undefined ? {} : { version }),
      ...(variables === undefined ? {} : { variables }),
    };
  }
  if (hosted.length > 0) own['tools'] = hosted.map(({ wire }) => wire);
  return own;
}
