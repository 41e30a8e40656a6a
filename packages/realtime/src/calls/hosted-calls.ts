// Calls that the provider makes to MCP servers by itself: who asks before one, who says yes or no, and what follows when
// it is over.
//
// M1  A request is answered once, whoever answers it first.
// M2  Requests of a connection that is gone are forgotten: the provider has forgotten them too.
// M3  The model does not speak of a result by itself: it is asked to, once the answer that made the calls is over.
// M4  Who is asked sees the arguments that the call is made with: a request that comes without them waits for them, but not
//     for ever.

import { newId, ParleyError, type SessionEvent } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { RunContext } from '../context.ts';
import type { RealtimeEventFields, RealtimeSessionEvent, ToolApprovalItem } from '../events.ts';
import { isObject, text, type Wire } from '../history/item.ts';
import type { HostedMCPTool } from '../hosted-mcp.ts';
import type { Roster } from '../roster.ts';
import type { Approvals, Decision } from './approvals.ts';

export interface HostedCallsOptions {
  clock: Clock;
  roster: Roster;
  approvals: Approvals;
  /** Requests that wait at a time; one more is refused. */
  limit: number;
  /** Whether the model is asked to speak of what it got. */
  respond: boolean;
  append(event: SessionEvent): void;
  emit(event: RealtimeSessionEvent): void;
  context(agent: RealtimeEventFields['agent_start']['agent']): RunContext;
}

/** Calls whose end is remembered, so that it is told once. */
const ENDED_MAX = 256;
/** So long nothing more is heard of a request before it is shown as it is. */
const ARGUMENTS_MS = 2_000;

/** A request whose arguments may not be whole. */
interface Coming {
  wire: Wire;
  timer: { cancel(): void };
}

export class HostedCalls {
  readonly #options: HostedCallsOptions;
  readonly #coming = new Map<string, Coming>();
  readonly #waiting = new Set<string>();
  readonly #ended = new Set<string>();
  #closed = false;

  constructor(options: HostedCallsOptions) {
    this.#options = options;
  }

  /** An item of a hosted server, as its frame says it. `done`: nothing more comes of it. */
  item(wire: Wire, done: boolean): void {
    if (this.#closed) return;
    switch (wire['type']) {
      case 'mcp_approval_request':
        return this.#came(wire, done);
      case 'mcp_call':
        if (done) this.#over(wire);
        return;
      case 'mcp_list_tools':
        if (done) this.#listed(wire);
        return;
      default:
    }
  }

  /** Arguments of a request: more of them, or all. */
  arguments(itemId: string, json: string, whole: boolean): void {
    const wire = this.#coming.get(itemId)?.wire;
    if (!wire) return;
    const before = text(wire['arguments']) ?? '';
    // An empty object was only the place where they stand.
    const all = whole ? json : `${before === '{}' ? '' : before}${json}`;
    this.#came({ ...wire, arguments: all }, whole);
  }

  /** An answer is over: nothing more comes of its requests. */
  answered(): void {
    for (const { wire } of [...this.#coming.values()]) this.#came(wire, true);
  }

  /** The provider could not get the tools of a server. */
  listFailed(itemId: string): void {
    const error = new ParleyError('unavailable', 'the provider could not list the tools of an MCP server', {
      details: { boundary: 'provider -> mcp server', item_id: itemId },
    });
    this.#options.emit({ type: 'error', error, source: 'provider' });
  }

  /** The connection is gone (M2). */
  lost(): void {
    this.#forgetComing();
    for (const id of this.#waiting) this.#options.approvals.forget(id);
    this.#waiting.clear();
  }

  close(): void {
    this.#closed = true;
    this.#forgetComing();
  }

  #forgetComing(): void {
    for (const { timer } of this.#coming.values()) timer.cancel();
    this.#coming.clear();
  }

  /** A request, or more of it (M4). `done`: there is no more. */
  #came(wire: Wire, done: boolean): void {
    const id = text(wire['id']);
    if (id === undefined || this.#waiting.has(id) || this.#ended.has(id)) return;
    const known = this.#coming.get(id);
    known?.timer.cancel();
    this.#coming.delete(id);
    // A later frame may say less.
    const said = Object.entries(wire).filter(([, value]) => value !== '' && value !== null);
    const request = { ...known?.wire, ...Object.fromEntries(said) };
    const { clock, limit } = this.#options;
    const full = this.#waiting.size + this.#coming.size >= limit;
    if (done || full || isWhole(text(request['arguments']) ?? '')) return this.#asked(request);
    this.#coming.set(id, { wire: request, timer: clock.after(ARGUMENTS_MS, () => this.#came(request, true)) });
  }

  #asked(wire: Wire): void {
    const id = text(wire['id']);
    const { roster, approvals, limit } = this.#options;
    if (id === undefined) return;
    const { agent, hosted } = roster.current;
    const serverLabel = text(wire['server_label']) ?? '';
    const request: ToolApprovalItem = {
      callId: id,
      itemId: id,
      name: text(wire['name']) ?? '',
      agent: agent.name,
      arguments: text(wire['arguments']) ?? '',
      input: parsed(text(wire['arguments']) ?? ''),
      serverLabel,
    };
    this.#waiting.add(id);
    if (this.#waiting.size + this.#coming.size > limit) {
      return this.#answer(id, { approved: false, message: `no more than ${limit} calls may wait` });
    }
    approvals.expect(id, `${serverLabel}.${request.name}`, (decision) => this.#answer(id, decision));
    if (!this.#waiting.has(id)) return;
    const tool = hosted.find((one) => one.serverLabel === serverLabel) ?? null;
    this.#ask(request, tool).catch((error: unknown) => {
      this.#options.emit({ type: 'error', error: ParleyError.from(error), source: 'tool' });
    });
  }

  async #ask(request: ToolApprovalItem, tool: HostedMCPTool | null): Promise<void> {
    const { roster } = this.#options;
    const { agent } = roster.current;
    try {
      const said = await tool?.onApproval?.(this.#options.context(agent), request);
      if (said !== undefined) {
        const { approve, reason } = typeof said === 'boolean' ? { approve: said, reason: undefined } : said;
        return this.#answer(request.callId, { approved: approve, message: reason });
      }
    } catch (error) {
      // Who cannot say whether to ask, asks.
      this.#options.emit({ type: 'error', error: ParleyError.from(error), source: 'tool' });
    }
    if (this.#closed || !this.#waiting.has(request.callId)) return;
    this.#options.emit({ type: 'tool_approval_requested', agent, tool, approvalItem: request });
  }

  #answer(id: string, { approved, message }: Decision): void {
    if (this.#closed || !this.#waiting.delete(id)) return;
    this.#remember(id);
    this.#options.approvals.forget(id);
    this.#options.append({
      type: 'input.injected',
      text: '',
      respond: false,
      by: 'handler',
      item: {
        id: newId('item'),
        type: 'mcp_approval_response',
        approval_request_id: id,
        approve: approved,
        ...(message === undefined || approved ? {} : { reason: message }),
      },
    });
  }

  #over(wire: Wire): void {
    const itemId = text(wire['id']);
    if (itemId === undefined || this.#ended.has(itemId)) return;
    this.#remember(itemId);
    const { agent } = this.#options.roster.current;
    const error = isObject(wire['error']) ? wire['error'] : null;
    this.#options.emit({
      type: 'mcp_call_completed',
      agent,
      itemId,
      serverLabel: text(wire['server_label']) ?? '',
      name: text(wire['name']) ?? '',
      arguments: text(wire['arguments']) ?? '',
      output: text(wire['output']) ?? null,
      ...(error === null ? {} : { error: text(error['message']) ?? text(error['type']) ?? 'the call failed' }),
    });
    // A listener may have closed the session.
    if (this.#options.respond && !this.#closed) this.#options.append({ type: 'response.requested', by: 'handler' });
  }

  #listed(wire: Wire): void {
    const itemId = text(wire['id']);
    if (itemId === undefined || this.#ended.has(itemId)) return;
    this.#remember(itemId);
    const tools = Array.isArray(wire['tools']) ? wire['tools'] : [];
    this.#options.emit({
      type: 'mcp_tools_changed',
      server: text(wire['server_label']) ?? '',
      tools: tools.flatMap((one: unknown) => (isObject(one) ? [text(one['name']) ?? ''] : [])),
    });
  }

  #remember(id: string): void {
    if (this.#ended.size >= ENDED_MAX) for (const oldest of this.#ended) if (this.#ended.delete(oldest)) break;
    this.#ended.add(id);
  }
}

/** Arguments as an object; undefined where the model wrote something else. */
function parsed(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // The text itself stands beside it.
    return undefined;
  }
}

/** Whether these are surely all arguments: an object that says something. An empty one may be where they will stand. */
function isWhole(json: string): boolean {
  const input = parsed(json);
  return isObject(input) && Object.keys(input).length > 0;
}
