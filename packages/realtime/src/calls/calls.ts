// Calls of tools from the moment `step` let them through to their one end.
//
// C1  A call ends once: whatever comes after its end finds it gone.
// C2  Nothing of a call runs after the session was closed, besides what its author detached.
// C3  A call belongs to the agent that was speaking when its answer began, whoever speaks when it is run.

import { newId, ParleyError, type PerformedEffect, type SessionEvent } from '@parley/core';
import type { ModelEvent } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { RealtimeAgent } from '../agent.ts';
import type { RunContext } from '../context.ts';
import type { RealtimeSessionEvent } from '../events.ts';
import type { ToolErrorFormatter } from '../options.ts';
import type { Roster } from '../roster.ts';
import { errorText, isBackgroundResult, type RealtimeTool, resultText } from '../tool.ts';
import { decided } from './asking.ts';
import { Approvals } from './approvals.ts';
import { Abort, type Call, type CallStatus, disabled, idsOf, toolContext } from './call.ts';
import { inputVerdict, outputVerdict, type Verdict } from './judge.ts';

type Called = Extract<ModelEvent, { type: 'tool.called' }>;
type Dispatch = Extract<PerformedEffect, { kind: 'execution.dispatch' }>;

export interface CallsOptions {
  clock: Clock;
  roster: Roster;
  append(event: SessionEvent): void;
  emit: (event: RealtimeSessionEvent) => void;
  context(agent: RealtimeAgent): RunContext;
  /** The item of a call, for those who show it. */
  itemOf(callId: string): string | undefined;
  /** Hands the conversation over; throws when that is not possible. */
  handOver(call: Call, input: unknown): Promise<string>;
  preApprovalInputGuardrails: boolean;
  toolErrorFormatter: ToolErrorFormatter | undefined;
  hook(agent: RealtimeAgent, name: 'onToolStart' | 'onToolEnd', tool: RealtimeTool, result?: string): void;
}

export class Calls {
  readonly approvals: Approvals;
  readonly #options: CallsOptions;
  readonly #running = new Map<string, Call>();
  /** What the model is told of a call, where that is not the JSON of its output. */
  readonly #texts = new Map<string, string>();
  #closed = false;

  constructor(options: CallsOptions) {
    this.#options = options;
    this.approvals = new Approvals();
  }

  /** Remembers whose call it is, before it is judged. */
  called(event: Called): SessionEvent {
    const executionId = newId('execution');
    const snapshot = this.#options.roster.of(event.response_id);
    const bound = snapshot.bound.get(event.name);
    const call: Call = {
      callId: event.call_id,
      name: event.name,
      bound,
      agent: snapshot.agent,
      responseId: event.response_id,
      itemId: this.#options.itemOf(event.call_id),
      arguments: event.arguments,
      executionId,
      abort: new Abort(),
      startedMs: this.#options.clock.now(),
      done: false,
    };
    this.#running.set(executionId, call);
    return { ...event, execution_id: executionId };
  }

  /** A call that `step` knew already, or refused. */
  refused(executionId: string, error?: ParleyError): void {
    const call = this.#running.get(executionId);
    if (!call) return;
    call.done = true;
    this.#running.delete(executionId);
    if (error) this.#ended(call, 'failed', errorText(error.toObject()), undefined, error);
  }

  callOf(callId: string): Call | undefined {
    for (const call of this.#running.values()) if (call.callId === callId) return call;
    return undefined;
  }

  dispatch(effect: Dispatch): void {
    const call = this.#running.get(effect.execution_id);
    if (!call || call.done) return;
    this.#run(call, effect).catch((error: unknown) => this.#fail(call, ParleyError.from(error, 'unknown')));
  }

  cancel(executionId: string, reason: string): void {
    const call = this.#running.get(executionId);
    if (!call || call.done) return;
    const detached = call.bound?.kind === 'tool' && call.bound.tool.onInterrupt === 'detach';
    const error = new ParleyError('cancelled', reason === 'interrupted' ? 'the user interrupted' : 'the session ended');
    if (!detached) call.abort.abort(error);
    if (reason === 'session_closed') {
      // Its end stands in the log already (C1).
      call.done = true;
      this.#running.delete(executionId);
      this.#ended(call, 'cancelled', errorText(error.toObject()), undefined, error);
    } else this.#settle(call, 'cancelled', errorText(error.toObject()), undefined, error);
  }

  /** What the model is given as the output of a call, once. */
  takeText(callId: string, json: string): string {
    const text = this.#texts.get(callId);
    this.#texts.delete(callId);
    return text ?? json;
  }

  close(): void {
    this.#closed = true;
    this.approvals.close();
  }

  async #run(call: Call, effect: Dispatch): Promise<void> {
    const { bound } = call;
    if (!bound) throw new ParleyError('not_found', `tool '${call.name}' is not there any more`);
    if (bound.kind === 'handoff') {
      const context = this.#options.context(bound.agent);
      if (!(await bound.handoff.isEnabled(context))) throw disabled(call);
      const input = bound.handoff.inputType ? await bound.handoff.inputType.parse(effect.input) : undefined;
      if (call.done) return;
      const output = await this.#options.handOver(call, input);
      this.#settle(call, 'succeeded', output, output);
      return;
    }
    const { tool } = bound;
    const { internal } = tool;
    const context = toolContext(call, this.#options.context(bound.agent));
    const enabled = internal.isEnabled(context);
    if (!(typeof enabled === 'boolean' ? enabled : await enabled)) throw disabled(call);
    const input = internal.parses ? await internal.type.parse(effect.input) : effect.input;
    if (internal.asks !== 'never') {
      if (this.#options.preApprovalInputGuardrails && !(await this.#admit(call, tool, context, input))) return;
      if (!(await this.#approved(call, tool, context, input))) return;
    }
    if (internal.inputGuardrails.length > 0 && !(await this.#admit(call, tool, context, input))) return;
    if (call.done || this.#closed) return;
    this.#options.hook(bound.agent, 'onToolStart', tool);
    this.#options.emit({
      type: 'agent_tool_start',
      agent: bound.agent,
      tool,
      callId: call.callId,
      arguments: call.arguments,
      input,
      ...idsOf(call),
    });
    // A listener may have closed the session, or cut the answer.
    if (call.done || this.#closed) return;
    const timer = this.#options.clock.after(effect.timeout_ms, () => this.#late(call, effect.timeout_ms));
    try {
      const returned = internal.execute(input, context);
      const output = returned instanceof Promise ? await returned : returned;
      if (!call.done) await this.#answer(call, tool, context, input, output);
    } finally {
      timer.cancel();
    }
  }

  async #answer(call: Call, tool: RealtimeTool, context: RunContext, input: unknown, returned: unknown): Promise<void> {
    const background = isBackgroundResult(returned);
    const output = background ? returned.content : returned;
    if (tool.internal.outputGuardrails.length > 0) {
      const verdict = await outputVerdict(call, tool, context, input, output);
      if (call.done || !this.#allowed(call, 'tool_output', verdict)) return;
    }
    this.#settle(call, 'succeeded', resultText(output), output, undefined, background ? false : undefined);
  }

  async #admit(call: Call, tool: RealtimeTool, context: RunContext, input: unknown): Promise<boolean> {
    const verdict = await inputVerdict(call, tool, context, input);
    return !call.done && this.#allowed(call, 'tool_input', verdict);
  }

  /** What a guardrail of the tool said, and what follows from a no. */
  #allowed(call: Call, kind: 'tool_input' | 'tool_output', verdict: Verdict): boolean {
    if (verdict.behavior === 'allow') return true;
    this.#options.emit({
      type: 'guardrail_tripped',
      kind,
      guardrail: verdict.guardrail,
      agent: call.agent.name,
      callId: call.callId,
      stale: false,
      ...(verdict.outputInfo === undefined ? {} : { outputInfo: verdict.outputInfo }),
      ...idsOf(call),
    });
    const error = new ParleyError('permission_denied', `guardrail '${verdict.guardrail}' refused the call`, {
      details: { guardrail: verdict.guardrail },
    });
    const text = verdict.behavior === 'reject' ? verdict.message : errorText(error.toObject());
    this.#settle(call, 'failed', text, undefined, error);
    return false;
  }

  async #approved(call: Call, tool: RealtimeTool, context: RunContext, input: unknown): Promise<boolean> {
    const { emit, toolErrorFormatter } = this.#options;
    const decision = await decided(call, tool, context, input, this.approvals, emit);
    if (!decision || decision.approved) return decision !== null;
    const defaultMessage = 'The call was not approved, and did not run.';
    const { callId, name: toolName } = call;
    const formatted =
      decision.message ?? (await toolErrorFormatter?.({ kind: 'approval_rejected', toolName, callId, defaultMessage }));
    const error = new ParleyError('permission_denied', 'the call was not approved');
    this.#settle(call, 'failed', formatted ?? defaultMessage, undefined, error);
    return false;
  }

  #late(call: Call, ms: number): void {
    const error = new ParleyError('deadline_exceeded', `tool '${call.name}' did not answer within ${ms} ms`);
    call.abort.abort(error);
    this.#failed(call, 'timed_out', error).catch((other: unknown) => this.#fail(call, ParleyError.from(other)));
  }

  #fail(call: Call, error: ParleyError): void {
    if (call.done) return;
    this.#options.emit({ type: 'error', error, source: 'tool' });
    this.#failed(call, 'failed', error).catch((other: unknown) => {
      // The function that words errors failed itself: the error is told as it is.
      this.#options.emit({ type: 'error', error: ParleyError.from(other), source: 'tool' });
      this.#settle(call, 'failed', errorText(error.toObject()), undefined, error);
    });
  }

  async #failed(call: Call, status: 'failed' | 'timed_out', error: ParleyError): Promise<void> {
    const { bound } = call;
    const words = bound?.kind === 'tool' ? bound.tool.internal.errorFunction : undefined;
    const text = words ? await words(error, this.#options.context(call.agent)) : errorText(error.toObject());
    this.#settle(call, status, text, undefined, error);
  }

  #settle(call: Call, status: CallStatus, text: string, output: unknown, error?: ParleyError, respond?: boolean): void {
    if (call.done) return;
    call.done = true;
    this.#running.delete(call.executionId);
    this.approvals.forget(call.callId);
    this.#texts.set(call.callId, text);
    this.#options.append({
      type: 'tool.completed',
      call_id: call.callId,
      name: call.name,
      execution_id: call.executionId,
      status,
      duration_ms: this.#options.clock.now() - call.startedMs,
      ...(error === undefined ? { output: text } : { error: error.toObject() }),
      ...(respond === undefined ? {} : { respond }),
    });
    this.#ended(call, status, text, output, error);
  }

  #ended(call: Call, status: CallStatus, result: string, output: unknown, error?: ParleyError): void {
    const { bound } = call;
    const tool = bound?.kind === 'tool' ? bound.tool : null;
    if (tool) this.#options.hook(call.agent, 'onToolEnd', tool, result);
    this.#options.emit({
      type: 'agent_tool_end',
      agent: call.agent,
      tool,
      name: call.name,
      callId: call.callId,
      status,
      result,
      durationMs: this.#options.clock.now() - call.startedMs,
      ...(output === undefined ? {} : { output }),
      ...(error === undefined ? {} : { error: error.toObject() }),
      ...idsOf(call),
    });
  }
}
