// What a client may see of the provider's frames: the sound, the words, the lifecycles. Instructions and tools are the
// server's: sessions are shown without them, function calls and their outputs are left out, and what refers to them is
// made to refer to the nearest thing that was shown. Whatever needs no change is passed on in the bytes that it came in.

import { encoded, isObject, listIn, objectIn, textIn, type Wire, type WireFrame } from './wire.ts';

/** Frames that are left out whatever is in them. */
export const HIDDEN_TYPES: ReadonlySet<string> = new Set([
  'rate_limits.updated',
  'response.function_call_arguments.delta',
  'response.function_call_arguments.done',
  'response.mcp_call_arguments.delta',
  'response.mcp_call_arguments.done',
  'response.mcp_call.in_progress',
  'response.mcp_call.completed',
  'response.mcp_call.failed',
  'mcp_list_tools.in_progress',
  'mcp_list_tools.completed',
  'mcp_list_tools.failed',
]);

const HIDDEN_ITEMS_MAX = 256;

/** A session as a client may know it. */
export function publicSession(session: Wire): Wire {
  const { instructions: _i, tools: _t, tool_choice: _c, prompt: _p, tracing: _r, ...rest } = session;
  return { ...rest, instructions: '', tools: [], tool_choice: 'auto', prompt: null, tracing: null };
}

export class ClientView {
  /** Items that the client was not shown, each with the visible item before it. */
  readonly #hidden = new Map<string, string | null>();

  /** What to show for a decoded frame: the frame itself, a copy that is fit to be seen, or nothing. */
  of(frame: Buffer, event: WireFrame): Buffer | null {
    switch (event.type) {
      case 'session.created':
      case 'session.updated':
        return encoded({ ...event, session: publicSession(objectIn(event, 'session')) });
      case 'conversation.item.added':
      case 'conversation.item.done':
      case 'conversation.item.created':
      case 'conversation.item.retrieved':
        return this.#item(frame, event);
      case 'input_audio_buffer.committed':
        return this.#linked(frame, event);
      case 'conversation.item.deleted':
        return this.#hidden.delete(textIn(event, 'item_id') ?? '') ? null : frame;
      case 'response.output_item.added':
      case 'response.output_item.done':
        return isVisible(objectIn(event, 'item')) ? frame : null;
      case 'response.created':
      case 'response.done':
        return response(frame, event);
      default:
        return frame;
    }
  }

  #item(frame: Buffer, event: WireFrame): Buffer | null {
    const item = objectIn(event, 'item');
    if (isVisible(item)) return this.#linked(frame, event);
    const id = textIn(item, 'id');
    if (id !== undefined && event.type !== 'conversation.item.retrieved') this.#hide(id, event);
    return null;
  }

  #hide(id: string, event: WireFrame): void {
    if (this.#hidden.has(id)) return;
    if (this.#hidden.size >= HIDDEN_ITEMS_MAX) {
      const [oldest] = this.#hidden.keys();
      if (oldest !== undefined) this.#hidden.delete(oldest);
    }
    this.#hidden.set(id, this.#visible(textIn(event, 'previous_item_id') ?? null));
  }

  #visible(id: string | null): string | null {
    return id !== null && this.#hidden.has(id) ? (this.#hidden.get(id) ?? null) : id;
  }

  #linked(frame: Buffer, event: WireFrame): Buffer {
    const previous = textIn(event, 'previous_item_id');
    if (previous === undefined || !this.#hidden.has(previous)) return frame;
    return encoded({ ...event, previous_item_id: this.#visible(previous) });
  }
}

/** Messages of the two who talk. System notes are instructions. */
function isVisible(item: Wire): boolean {
  return item['type'] === 'message' && item['role'] !== 'system';
}

function response(frame: Buffer, event: WireFrame): Buffer {
  const inner = event['response'];
  if (!isObject(inner)) return frame;
  const output = listIn(inner, 'output');
  const shown = output.filter(isVisible);
  const telling = 'instructions' in inner || 'tools' in inner;
  if (shown.length === output.length && !telling) return frame;
  const { instructions: _i, tools: _t, tool_choice: _c, ...rest } = inner;
  return encoded({ ...event, response: { ...rest, output: shown } });
}
