// Performs what `step` wants done, and feeds it what happens: the same part that the server plays for its sessions.

import {
  type EventRecord,
  type ModelEvent,
  newId,
  ParleyError,
  type PerformedEffect,
  type SessionDeclaration,
  type Timer,
} from '@parley/core';
import type { ModelClosed, ModelOwner } from '@parley/providers';
import type { RealtimeAgent } from '../agent.ts';
import { Calls } from '../calls/calls.ts';
import type { ClosedReason, RealtimeSessionEvent } from '../events.ts';
import { OutputWatch } from '../guard/output-watch.ts';
import { isObject } from '../history/item.ts';
import { callPair, replayPlan } from '../history/replay.ts';
import { Incoming } from '../incoming.ts';
import { Interruptions } from '../interruptions.ts';
import { ModelLink } from '../link/link.ts';
import { Machine } from '../machine.ts';
import { modelOf } from '../model.ts';
import { Narrator } from '../narrator.ts';
import { Roster, type Snapshot } from '../roster.ts';
import { bytesPerMs, modelTerms } from '../settings.ts';
import { SessionSpans } from '../telemetry.ts';
import { Timers } from '../timers.ts';
import { Inputs } from './inputs.ts';
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
  readonly #timers: Timers;
  readonly #incoming: Incoming;
  readonly #says = new Map<string, PromiseWithResolvers<Spoken>>();
  readonly #over = Promise.withResolvers<SessionClosed>();
  #beganMs = 0;

  constructor(options: SessionOptions) {
    this.#agent = options.agent;
    // Parts know each other by way of the record; it is whole when this constructor is over, and nothing runs before.
    const parts = baseOf(options) as Parts;
    this.parts = parts;
    const { clock, config, hub, history, playback, sends } = parts;
    const context = (agent: RealtimeAgent) => contextOf(parts, agent);
    this.#timers = new Timers(clock, (timer) => this.#timerFired(timer));
    parts.machine = new Machine({
      clock,
      perform: (effect) => this.#perform(effect),
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
    });
    parts.link = this.#link();
  }

  get over(): Promise<SessionClosed> {
    return this.#over.promise;
  }

  async start(): Promise<void> {
    const { clock, history, machine, roster, run } = this.parts;
    this.#beganMs = clock.now();
    const snapshot = await roster.snapshot(this.#agent);
    roster.choose(snapshot);
    for (const item of run.history ?? []) history.seed(item);
    this.#trace(snapshot);
    machine.append(this.#created(snapshot));
    const abort = (): void => void this.close();
    run.signal?.addEventListener('abort', abort, { once: true });
    void this.over.then(() => run.signal?.removeEventListener('abort', abort));
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

  say(words: string): Promise<Spoken> {
    if (this.parts.closing) return quiet(Promise.reject(sessionOver()));
    const say_id = newId('item');
    const said = Promise.withResolvers<Spoken>();
    this.#says.set(say_id, said);
    this.parts.machine.append({ type: 'say.requested', say_id, text: words, by: 'handler' });
    return quiet(said.promise);
  }

  close(): Promise<void> {
    const { calls, machine } = this.parts;
    if (!this.parts.closing) {
      this.parts.closing = true;
      calls.close();
      machine.append({ type: 'session.closing', reason: 'closed', by: 'handler' });
      // A session that was never begun has no log that could end it.
      if (machine.state.phase === 'new') void this.#finish('closed');
    }
    return this.over.then(() => {});
  }

  #link(): ModelLink {
    const { parts } = this;
    const { clock, config, hub, history, run, source } = parts;
    return new ModelLink({
      clock,
      model: () => modelOf(source, run.modelConfig ?? {}),
      terms: (model) => parts.speakers.terms(model),
      plan: () => replayPlan(history.items, config.replay),
      quiet: () => this.#quiet(),
      reconnect: config.reconnect ?? {},
      renewal: config.renewal ?? {},
      frame: (type, frame, event) => this.#incoming.take(type, frame, event),
      event: (event) => this.#modelEvent(event),
      connected: (_, owner, renewed) => this.#connected(owner, renewed),
      lost: (closed, again) => this.#lost(closed, again),
      emit: (event) => hub.emit(event),
    });
  }

  #connected(owner: ModelOwner, renewed: boolean): void {
    this.#formatOf(owner.session);
    if (!renewed) this.parts.machine.append({ type: 'provider.connected' });
    for (const chunk of this.parts.inputs.waitingAudio()) owner.sendAudio(chunk);
  }

  #created({ agent, resolved }: Snapshot): Parameters<Machine['append']>[0] {
    const { id, limits, settings } = this.parts;
    const { durationMs, idleMs, toolsInFlight } = limits;
    const declaration: SessionDeclaration = {
      name: 'session',
      provider: 'model',
      transport: 'websocket',
      modalities: ['audio', 'text'],
      responder: 'model',
      tools: [],
      handoffs: [],
      guardrails: [],
      turn_detection: modelTerms(settings).turn_detection,
      client_events: [],
      limits: {
        max_duration_ms: durationMs,
        max_tool_calls_in_flight: toolsInFlight,
        ...(idleMs === null ? {} : { idle_timeout_ms: idleMs }),
      },
      media: 'native',
      record: false,
      tags: [],
      metadata: {},
    };
    const ids = { session_id: id, workflow_id: id, execution_id: id };
    const { name } = agent;
    return { type: 'session.created', ...ids, agent: name, target: name, declaration, tools: resolved, metadata: {} };
  }

  #trace({ agent }: Snapshot): void {
    const { config, hub, id, settings } = this.parts;
    if (config.telemetry === false) return;
    const traced = { sessionId: id, provider: 'openai', model: settings.model ?? '', agent: agent.name };
    const spans = new SessionSpans(config.telemetry ?? {}, traced);
    for (const type of SessionSpans.TYPES) hub.on(type, (event) => spans.take(event as RealtimeSessionEvent));
  }

  #perform(effect: PerformedEffect): void {
    const { calls, closing, limits, link } = this.parts;
    switch (effect.kind) {
      case 'provider.connect':
        return link.connect();
      case 'provider.send':
        if (!closing) this.#send(effect.command);
        return;
      case 'execution.dispatch':
        if (!closing) calls.dispatch(effect);
        return;
      case 'execution.cancel':
        return calls.cancel(effect.execution_id, effect.reason);
      case 'timer.set':
        if (effect.timer !== 'idle' || limits.idleMs !== null) this.#timers.set(effect.timer, effect.ms);
        return;
      case 'timer.clear':
        return this.#timers.clear(effect.timer);
      case 'session.end':
        void this.#finish(effect.reason as ClosedReason, effect.error ? ParleyError.from(effect.error) : undefined);
        return;
      default:
    }
  }

  #send(command: Extract<PerformedEffect, { kind: 'provider.send' }>['command']): void {
    const { calls, history, inputs, link } = this.parts;
    switch (command.type) {
      case 'tool_output': {
        const output = calls.takeText(command.call_id, command.output);
        const item = history.call(command.call_id);
        history.output(command.call_id, output);
        // The connection that the call came on is gone: the pair is told to the one that is here.
        if (link.takeOpenCall(command.call_id) && item?.type === 'function_call') {
          for (const wire of callPair(item, output)) link.send({ type: 'add_item', item: wire });
        } else link.send({ ...command, output });
        return;
      }
      case 'add_item':
        return link.send(command, inputs.takeEventId(String(command.item['id'])));
      case 'update':
        return link.send(command, inputs.takeEventId('update'));
      default:
        link.send(command);
    }
  }

  #recorded(record: EventRecord): void {
    this.parts.narrator.tell(record);
    this.parts.link.settle();
  }

  #timerFired(timer: Timer): void {
    const { machine, playback } = this.parts;
    const { playing } = machine.state;
    if (timer === 'playback' && playing) {
      // A player that is behind the clock knows better.
      const leftMs = playback.leftMs(playing.response_id);
      if (leftMs > 0) return this.#timers.set('playback', Math.min(leftMs, 500));
    }
    machine.append({ type: 'timer.fired', timer });
  }

  #modelEvent(event: ModelEvent): void {
    const { calls, closing, cuts, machine, playback, roster, speakers } = this.parts;
    if (closing) return;
    switch (event.type) {
      case 'tool.called':
        return machine.append(calls.called(event));
      case 'speech.started': {
        const { response, playing, declaration } = machine.state;
        if (declaration?.turn_detection?.interrupt_response === false) return machine.append(event);
        const responseId = response?.response_id ?? playing?.response_id;
        const played_ms = responseId === undefined ? 0 : playback.heardMs(responseId);
        if (response) cuts.silence(response.response_id);
        machine.append({ ...event, played_ms });
        cuts.cut();
        return;
      }
      case 'response.started':
        roster.begin(event.response_id);
        return machine.append(event);
      case 'response.completed':
        if (event.audio_ms > 0) speakers.sounded();
        return machine.append(event);
      default:
        machine.append(event);
    }
  }

  #lost({ code, reason, recoverable, error }: ModelClosed, again: boolean): void {
    const { closing, config, history, machine, narrator, sends, watch } = this.parts;
    if (closing) return;
    narrator.dropped();
    watch.clear();
    const gone = new ParleyError('unavailable', 'the connection was lost before the provider answered', {
      details: { boundary: 'session -> provider' },
    });
    // What the history holds is sent again.
    sends.lost(gone, (ack) => ack.startsWith('item:') && history.item(ack.slice(5)) !== undefined);
    if (!again) {
      const why = error === undefined ? {} : { error };
      return machine.append({ type: 'provider.disconnected', code, reason, recoverable, ...why });
    }
    for (const item of history.items) {
      if (item.status === 'in_progress' && item.type === 'message') history.stop(item.itemId);
    }
    const { reconnect } = config;
    const respond = reconnect === undefined || reconnect === false || reconnect.resumeAnswer !== false;
    machine.append({ type: 'provider.reconnecting', code, reason, respond });
  }

  /** Nobody speaks, nothing is asked for, nothing is heard. */
  #quiet(): boolean {
    const { machine, playback } = this.parts;
    const { phase, response, creating, playing, user_speaking, respond_wanted } = machine.state;
    if (phase !== 'live' || response || creating || playing || user_speaking || respond_wanted) return false;
    return playback.unheard().length === 0;
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
    const { calls, clock, hub, link, machine, roster, sends, watch } = this.parts;
    if (machine.state.phase === 'closed') return;
    this.parts.closing = true;
    calls.close();
    this.#timers.stop();
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
