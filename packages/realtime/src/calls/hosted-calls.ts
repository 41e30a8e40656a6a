// Calls that the provider makes to MCP servers by itself: who asks before one, who says yes or no, and what follows when
// it is over.
//
// M1  A request is answered once, whoever answers it first.
// M2  Requests of a connection that is gone are forgotten: the provider has forgotten them too.
// M3  The model does not speak of a result by itself: it is asked to, once the answer that made the calls is over.

import { newId, ParleyError, type SessionEvent } from '@parley/core';
import type { RunContext } from '../context.ts';
import type { RealtimeEventFields, RealtimeSessionEvent, ToolApprovalItem } from '../events.ts';
import { isObject, text, type Wire } from '../history/item.ts';
import type { HostedMCPTool } from '../hosted-mcp.ts';
import type { Roster } from '../roster.ts';
import type { Approvals, Decision } from './approvals.ts';

export interface HostedCallsOptions {
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

export class HostedCalls {
  readonly #options: HostedCallsOptions;
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
        return this.#asked(wire);
      case 'mcp_call':
        if (done) this.#over(wire);
        return;
      case 'mcp_list_tools':
        if (done) this.#listed(wire);
        return;
      default:
    }
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
    for (const id of this.#waiting) this.#options.approvals.forget(id);
    this.#waiting.clear();
  }

  close(): void {
    this.#closed = true;
  }

  #asked(wire: Wire): void {
    const id = text(wire['id']);
    const { roster, approvals, limit } = this.#options;
    if (id === undefined || this.#waiting.has(id) || this.#ended.has(id)) return;
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
    if (this.#waiting.size > limit) {
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
