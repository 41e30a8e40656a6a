// Spans of a session, its turns, its answers and its tools, in the words of the GenAI conventions of OpenTelemetry.
// No words of a conversation are in them.

import { type Span, SpanKind, SpanStatusCode, trace, type Tracer, context as otel } from '@opentelemetry/api';
import type { Usage } from '@parley/core';
import type { RealtimeEventType, RealtimeSessionEvent } from './events.ts';

export interface Telemetry {
  /** Default: `trace.getTracer('@parley/realtime')`. */
  tracer?: Tracer;
  /** More attributes of the span of the session. */
  attributes?: Record<string, string | number | boolean>;
}

export interface Traced {
  sessionId: string;
  agent: string;
}

/** Names of providers as the conventions have them, where ours are others. */
const PROVIDER_NAMES: Readonly<Record<string, string>> = {
  azure_openai: 'azure.ai.openai',
  gemini: 'gcp.gemini',
  openai_live: 'openai',
  xai: 'x_ai',
};

/** Follows one session. Feed it every event; it ends its spans with `closed`. */
export class SessionSpans {
  /** What it has to be told. */
  static readonly TYPES = [
    'user_speech_started',
    'user_turn',
    'agent_start',
    'audio_start',
    'audio_interrupted',
    'agent_end',
    'agent_tool_start',
    'agent_tool_end',
    'agent_handoff',
    'guardrail_tripped',
    'connection',
    'closed',
  ] as const satisfies readonly RealtimeEventType[];
  readonly #tracer: Tracer;
  readonly #session: Span;
  readonly #base: Record<string, string>;
  readonly #responses = new Map<string, Span>();
  readonly #tools = new Map<string, Span>();
  #turn: Span | null = null;

  constructor(telemetry: Telemetry, traced: Traced) {
    this.#tracer = telemetry.tracer ?? trace.getTracer('@parley/realtime');
    this.#base = { 'gen_ai.conversation.id': traced.sessionId };
    this.#session = this.#tracer.startSpan(`invoke_agent ${traced.agent}`, {
      kind: SpanKind.CLIENT,
      attributes: {
        ...this.#base,
        'gen_ai.operation.name': 'invoke_agent',
        'gen_ai.agent.name': traced.agent,
        'gen_ai.output.type': 'speech',
        ...telemetry.attributes,
      },
    });
  }

  /** Whose model it is; known when a connection is made. */
  modelled(provider: string, model: string): void {
    this.#base['gen_ai.provider.name'] = PROVIDER_NAMES[provider] ?? provider;
    this.#session.setAttributes({ ...this.#base, 'gen_ai.request.model': model });
  }

  take(event: RealtimeSessionEvent): void {
    switch (event.type) {
      case 'user_speech_started':
        this.#turn ??= this.#start('turn', this.#session, { 'gen_ai.operation.name': 'turn' });
        return;
      case 'user_turn':
        if (event.source === 'text') return;
        this.#turn?.setAttribute('parley.turn.understood', event.text !== '');
        this.#endTurn();
        return;
      case 'agent_start':
        this.#responses.set(
          event.responseId,
          this.#start(`chat ${event.agent.name}`, this.#session, {
            'gen_ai.operation.name': 'chat',
            'gen_ai.agent.name': event.agent.name,
            'gen_ai.response.id': event.responseId,
          }),
        );
        return;
      case 'audio_start':
        this.#responses.get(event.responseId)?.addEvent('first sound');
        return;
      case 'audio_interrupted':
        (this.#responses.get(event.responseId) ?? this.#session).addEvent('interrupted', {
          'parley.played_ms': event.playedMs,
        });
        return;
      case 'agent_end': {
        const span = this.#responses.get(event.responseId);
        this.#responses.delete(event.responseId);
        if (!span) return;
        span.setAttributes({ ...usageOf(event.usage), 'gen_ai.response.finish_reasons': [event.status] });
        if (event.error) fail(span, event.error.code);
        span.end();
        return;
      }
      case 'agent_tool_start':
        this.#tools.set(
          event.callId,
          this.#start(`execute_tool ${event.tool.name}`, this.#responses.get(event.responseId ?? '') ?? this.#session, {
            'gen_ai.operation.name': 'execute_tool',
            'gen_ai.tool.name': event.tool.name,
            'gen_ai.tool.call.id': event.callId,
            'gen_ai.tool.type': 'function',
          }),
        );
        return;
      case 'agent_tool_end': {
        const span = this.#tools.get(event.callId);
        this.#tools.delete(event.callId);
        if (!span) return;
        span.setAttribute('parley.tool.status', event.status);
        if (event.error) fail(span, event.error.code);
        span.end();
        return;
      }
      case 'agent_handoff':
        this.#session.addEvent('handoff', { from: event.fromAgent.name, to: event.toAgent.name });
        return;
      case 'guardrail_tripped':
        this.#session.addEvent('guardrail tripped', { guardrail: event.guardrail, kind: event.kind });
        return;
      case 'connection':
        this.#session.addEvent(
          `connection ${event.status}`,
          event.attempt === undefined ? {} : { attempt: event.attempt },
        );
        return;
      case 'closed':
        this.#end(event.reason, event.usage);
        if (event.error) fail(this.#session, event.error.code);
        this.#session.end();
        return;
      default:
    }
  }

  #start(name: string, parent: Span, attributes: Record<string, string>): Span {
    return this.#tracer.startSpan(
      name,
      { kind: SpanKind.INTERNAL, attributes: { ...this.#base, ...attributes } },
      trace.setSpan(otel.active(), parent),
    );
  }

  #endTurn(): void {
    this.#turn?.end();
    this.#turn = null;
  }

  #end(reason: string, usage: Usage): void {
    this.#endTurn();
    for (const span of [...this.#responses.values(), ...this.#tools.values()]) span.end();
    this.#responses.clear();
    this.#tools.clear();
    this.#session.setAttributes({ ...usageOf(usage), 'parley.closed.reason': reason });
  }
}

/** The code alone: messages may hold what was said. */
function fail(span: Span, code: string): void {
  span.setAttribute('error.type', code);
  span.setStatus({ code: SpanStatusCode.ERROR });
}

function usageOf(usage: Usage | undefined): Record<string, number> {
  const attributes: Record<string, number> = {};
  const put = (name: string, value: number | undefined): void => {
    if (value !== undefined) attributes[name] = value;
  };
  put('gen_ai.usage.input_tokens', usage?.input_tokens);
  put('gen_ai.usage.output_tokens', usage?.output_tokens);
  put('gen_ai.usage.cache_read.input_tokens', usage?.cached_tokens);
  put('gen_ai.usage.input_audio_tokens', usage?.input_audio_tokens);
  put('gen_ai.usage.output_audio_tokens', usage?.output_audio_tokens);
  put('parley.usage.seconds', usage?.seconds);
  return attributes;
}
