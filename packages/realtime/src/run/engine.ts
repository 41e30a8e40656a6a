// A running session: puts its parts together, feeds `step` what happens and has done what it wants. The same part that the
// server plays for its sessions.

import { type EventRecord, newId, ParleyError } from '@parley/core';
import type { ModelOwner } from '@parley/providers';
import type { RealtimeAgent } from '../agent.ts';
import { Calls } from '../calls/calls.ts';
import { HostedCalls } from '../calls/hosted-calls.ts';
import type { ClosedReason } from '../events.ts';
import { OutputWatch } from '../guard/output-watch.ts';
import { isObject, type RealtimeItem } from '../history/item.ts';
import { replayPlan } from '../history/replay.ts';
import { Incoming } from '../incoming.ts';
import { Interruptions } from '../interruptions.ts';
import { ModelLink } from '../link/link.ts';
import { Machine } from '../machine.ts';
import { modelOf } from '../model.ts';
import { Narrator } from '../narrator.ts';
import { Roster } from '../roster.ts';
import { bytesPerMs } from '../settings.ts';
import type { SessionSpans } from '../telemetry.ts';
import { sessionCreated, traced } from './beginning.ts';
import { Effects } from './effects.ts';
import { Inputs } from './inputs.ts';
import { connectionLost, isQuiet, modelSaid } from './model-side.ts';
import { baseOf, contextOf, type Parts, quiet, type SessionClosed, sessionOver, type SessionOptions } from './parts.ts';
import { Speakers } from './speakers.ts';
import { Trips } from './trips.ts';

export interface Spoken {
  interrupted: boolean;
  /** What was heard of the words. */
  spokenText: string;
}

export class Engine {
  readonly parts: Parts;
  readonly #agent: RealtimeAgent;
  readonly #effects: Effects;
  readonly #incoming: Incoming;
  readonly #says = new Map<string, PromiseWithResolvers<Spoken>>();
  readonly #over = Promise.withResolvers<SessionClosed>();
  #beganMs = 0;
  #spans: SessionSpans | null = null;

  constructor(options: SessionOptions) {
    this.#agent = options.agent;
    // Parts know each other by way of the record; it is whole when this constructor is over, and nothing runs before.
    const parts = baseOf(options) as Parts;
    this.parts = parts;
    const { clock, config, hub, history, playback, sends } = parts;
    const context = (agent: RealtimeAgent) => contextOf(parts, agent);
    this.#effects = new Effects(parts, (reason, error) => void this.#finish(reason, error));
    parts.machine = new Machine({
      clock,
      perform: (effect) => this.#effects.perform(effect),
      recorded: (record) => this.#recorded(record),
    });
    parts.roster = new Roster(context, (server, tools) => {
      hub.emit({ type: 'mcp_tools_changed', server: server.name, tools });
      parts.speakers.refresh().catch((error: unknown) => this.#fail(error));
    });
    parts.cuts = new Interruptions({ hub, history, playback, sends, link: () => parts.link });
    parts.watch = new OutputWatch({
      guardrails: config.outputGuardrails ?? [],
      debounceTextLength: config.outputGuardrailSettings?.debounceTextLength ?? 100,
      context,
      tripped: (trip) => parts.trips.output(trip),
      failed: (error) => hub.emit({ type: 'error', error, source: 'guardrail' }),
    });
    parts.calls = new Calls({
      clock,
      roster: parts.roster,
      append: (event) => parts.machine.append(event),
      emit: (event) => hub.emit(event),
      context,
      itemOf: (callId) => history.call(callId)?.itemId,
      handOver: (call, input) => parts.speakers.handOver(call, input),
      preApprovalInputGuardrails: config.toolExecution?.preApprovalInputGuardrails ?? false,
      toolErrorFormatter: config.toolErrorFormatter,
      hook: (agent, name, tool, result = '') => {
        if (name === 'onToolStart') parts.narrator.hook(agent, name, tool);
        else parts.narrator.hook(agent, name, tool, result);
      },
    });
    parts.hosted = new HostedCalls({
      clock,
      roster: parts.roster,
      approvals: parts.calls.approvals,
      limit: parts.limits.toolsInFlight,
      respond: config.toolExecution?.respondToHostedCalls ?? true,
      append: (event) => parts.machine.append(event),
      emit: (event) => hub.emit(event),
      context,
    });
    parts.narrator = new Narrator({
      ...parts,
      state: () => parts.machine.state,
      context,
      said: (id, said) => this.#said(id, said),
    });
    parts.inputs = new Inputs(parts);
    parts.speakers = new Speakers(parts);
    parts.trips = new Trips(parts, (words) => this.say(words));
    this.#incoming = new Incoming({
      hub,
      history,
      playback,
      sends,
      watch: parts.watch,
      isCut: (responseId) => parts.cuts.isCut(responseId),
      wasCut: (itemId) => parts.cuts.wasCut(itemId),
      understood: (itemId, words) => parts.trips.speech(itemId, words),
      sessionChanged: (session) => this.#formatOf(session),
      hosted: (item, done) => parts.hosted.item(item, done),
      hostedArguments: (itemId, json, whole) => parts.hosted.arguments(itemId, json, whole),
      hostedFailed: (itemId) => parts.hosted.listFailed(itemId),
    });
    parts.link = this.#link();
  }

  get over(): Promise<SessionClosed> {
    return this.#over.promise;
  }

  async start(): Promise<void> {
    const { clock, history, machine, roster, run } = this.parts;
    this.#beganMs = clock.now();
    const abort = (): void => void this.close();
    run.signal?.addEventListener('abort', abort, { once: true });
    void this.over.then(() => run.signal?.removeEventListener('abort', abort));
    const snapshot = await roster.snapshot(this.#agent).catch(async (error: unknown) => {
      // Servers that were connected are let go.
      await this.#finish('closed');
      throw error;
    });
    if (this.parts.closing) throw new ParleyError('cancelled', 'the session was closed before it was connected');
    roster.choose(snapshot);
    for (const item of run.history ?? []) history.seed(item);
    this.#spans = traced(this.parts, snapshot);
    machine.append(sessionCreated(this.parts, snapshot));
    machine.append({ type: 'client.attached', connection_id: this.parts.id });
    try {
      await this.parts.link.first;
    } catch (error) {
      await this.#finish('provider_lost', ParleyError.from(error));
      throw error;
    }
  }

  interrupt(): void {
    const { closing, cuts, machine, playback } = this.parts;
    if (closing) return;
    const { response, playing } = machine.state;
    const responseId = response?.response_id ?? playing?.response_id;
    const played_ms = responseId === undefined ? 0 : playback.heardMs(responseId);
    if (response) cuts.silence(response.response_id);
    machine.append({ type: 'interruption.requested', played_ms, by: 'handler' });
    cuts.cut();
  }

  respond(): void {
    if (!this.parts.closing) this.parts.machine.append({ type: 'response.requested', by: 'handler' });
  }

  say(words: string): Promise<Spoken> {
    if (this.parts.closing) return quiet(Promise.reject(sessionOver()));
    const say_id = newId('item');
    const said = Promise.withResolvers<Spoken>();
    this.#says.set(say_id, said);
    this.parts.machine.append({ type: 'say.requested', say_id, text: words, by: 'handler' });
    return quiet(said.promise);
  }

  close(): Promise<void> {
    const { calls, hosted, machine } = this.parts;
    if (!this.parts.closing) {
      this.parts.closing = true;
      calls.close();
      hosted.close();
      machine.append({ type: 'session.closing', reason: 'closed', by: 'handler' });
      // A session that was never begun has no log that could end it.
      if (machine.state.phase === 'new') void this.#finish('closed');
    }
    return this.over.then(() => {});
  }

  #link(): ModelLink {
    const { parts } = this;
    const { clock, config, hub, history, resumption, run, source } = parts;
    return new ModelLink({
      clock,
      model: async () => {
        const model = await modelOf(source, run.modelConfig ?? {});
        this.#spans?.modelled(model.provider, parts.settings.model ?? model.capabilities.default_model);
        return model;
      },
      terms: (model) => parts.speakers.terms(model),
      plan: (only) =>
        replayPlan(only ? history.items.filter((item) => isFor(item, only)) : history.items, config.replay),
      resumption,
      lastBut: (items) => history.items.findLast(({ itemId }) => !items.has(itemId))?.itemId,
      quiet: () => isQuiet(parts),
      reconnect: config.reconnect ?? {},
      renewal: config.renewal ?? {},
      frame: (type, frame, event) => this.#incoming.take(type, frame, event),
      event: (event) => modelSaid(parts, event),
      connected: (_, owner, renewed) => this.#connected(owner, renewed),
      lost: (closed, again) => connectionLost(parts, closed, again),
      emit: (event) => hub.emit(event),
    });
  }

  #connected(owner: ModelOwner, renewed: boolean): void {
    this.#formatOf(owner.session);
    if (!renewed) this.parts.machine.append({ type: 'provider.connected' });
    for (const chunk of this.parts.inputs.waitingAudio()) owner.sendAudio(chunk);
  }

  #recorded(record: EventRecord): void {
    this.parts.narrator.tell(record);
    this.parts.link.settle();
  }

  #formatOf({ audio }: Readonly<Record<string, unknown>>): void {
    const output = isObject(audio) ? audio['output'] : undefined;
    const format = isObject(output) ? output['format'] : undefined;
    if (!isObject(format)) return;
    this.parts.playback.setFormat(bytesPerMs(format));
    this.parts.run.modelConfig?.playbackTracker?.setAudioFormat(format);
  }

  #said(sayId: string, { error, ...spoken }: Spoken & { error?: ParleyError }): void {
    const said = this.#says.get(sayId);
    this.#says.delete(sayId);
    if (error) said?.reject(error);
    else said?.resolve(spoken);
  }

  #fail(thrown: unknown): void {
    this.parts.hub.emit({ type: 'error', error: ParleyError.from(thrown), source: 'session' });
  }

  async #finish(reason: ClosedReason, error?: ParleyError): Promise<void> {
    const { calls, clock, hosted, hub, link, machine, roster, sends, watch } = this.parts;
    if (machine.state.phase === 'closed') return;
    this.parts.closing = true;
    calls.close();
    hosted.close();
    this.#effects.stop();
    link.close(reason);
    sends.lost(new ParleyError('cancelled', 'the session ended before the provider answered'));
    watch.clear();
    const durationMs = clock.now() - this.#beganMs;
    const { usage, turns, tool_calls } = machine.state;
    const why = error === undefined ? {} : { error: error.toObject() };
    const counts = { turns, tool_calls, user_audio_ms: 0, reply_audio_ms: 0 };
    machine.append({ type: 'session.closed', reason, duration_ms: durationMs, ...counts, ...why });
    for (const said of this.#says.values()) said.reject(sessionOver());
    this.#says.clear();
    hub.emit({ type: 'connection', status: 'closed', reason });
    hub.emit({ type: 'closed', reason, usage, durationMs, ...why });
    hub.end();
    await roster.close();
    this.#over.resolve({ reason, ...(error === undefined ? {} : { error }) });
  }
}

/** Whether an item is among those; a call that runs always is, because its output will have to be told. */
function isFor(item: RealtimeItem, only: ReadonlySet<string>): boolean {
  return only.has(item.itemId) || (item.type === 'function_call' && item.output === null);
}
