// The items of a conversation as a user of the library sees them, and how they stand on the wire.

/** Text, sound or an image within a message. */
export type RealtimeContent =
  | { type: 'input_text'; text: string }
  /** `audio` is base64 and only there when audio is kept; `transcript` is null until something was understood. */
  | { type: 'input_audio'; audio?: string | null; transcript: string | null }
  /** `image` is a data URI or a URL. */
  | { type: 'input_image'; image: string | null; detail?: string }
  | { type: 'output_text'; text: string }
  | { type: 'output_audio'; audio?: string | null; transcript: string | null };

export type ItemStatus = 'in_progress' | 'completed' | 'incomplete';

interface Placed {
  itemId: string;
  /** The item before it when it was told; null for the first, absent when nobody said. */
  previousItemId?: string | null;
}

export interface RealtimeMessageItem extends Placed {
  type: 'message';
  role: 'system' | 'user' | 'assistant';
  status: ItemStatus;
  content: RealtimeContent[];
}

/** A call of a tool and, once there is one, its output. */
export interface RealtimeToolCallItem extends Placed {
  type: 'function_call';
  status: ItemStatus;
  callId: string;
  name: string;
  /** JSON text, as the model wrote it. */
  arguments: string;
  /** What the model was given; null while the tool runs, and for calls older than `limits.toolOutputs`. */
  output: string | null;
}

/** A call that the provider made to an MCP server by itself. */
export interface RealtimeMcpCallItem extends Placed {
  type: 'mcp_call';
  status: ItemStatus;
  serverLabel: string;
  name: string;
  arguments: string;
  output: string | null;
}

export interface RealtimeMcpApprovalRequestItem extends Placed {
  type: 'mcp_approval_request';
  status: ItemStatus;
  serverLabel: string;
  name: string;
  arguments: string;
}

export type RealtimeItem =
  | RealtimeMessageItem
  | RealtimeToolCallItem
  | RealtimeMcpCallItem
  | RealtimeMcpApprovalRequestItem;

/** What a user of the library says of a new item: `itemId` and `status` may be left out. */
export type RealtimeItemInput =
  | RealtimeItem
  | (Omit<RealtimeMessageItem, 'itemId' | 'status'> & { itemId?: string; status?: ItemStatus })
  | (Omit<RealtimeToolCallItem, 'itemId' | 'status'> & { itemId?: string; status?: ItemStatus });

export type Wire = Record<string, unknown>;

export function isObject(value: unknown): value is Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

export function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined;
}

/** The status that a frame says, when it says one. */
export function statusOf(wire: Wire): ItemStatus | undefined {
  const status = wire['status'];
  return status === 'in_progress' || status === 'completed' || status === 'incomplete' ? status : undefined;
}

/** An item off the wire; null for types that are no part of what is shown (outputs of tools, lists of MCP tools). */
export function itemOf(wire: Wire, fallback: ItemStatus): RealtimeItem | null {
  const itemId = text(wire['id']);
  if (itemId === undefined) return null;
  const status = statusOf(wire) ?? fallback;
  switch (wire['type']) {
    case 'message': {
      const role = wire['role'];
      if (role !== 'user' && role !== 'assistant' && role !== 'system') return null;
      const content = Array.isArray(wire['content']) ? wire['content'] : [];
      const parts: RealtimeContent[] = [];
      for (const part of content) {
        const known = isObject(part) ? contentOf(part, role) : null;
        if (known) parts.push(known);
      }
      return { itemId, type: 'message', role, status, content: parts };
    }
    case 'function_call': {
      const name = text(wire['name']) ?? '';
      const callId = text(wire['call_id']) ?? '';
      return {
        itemId,
        type: 'function_call',
        status,
        callId,
        name,
        arguments: text(wire['arguments']) ?? '',
        output: null,
      };
    }
    case 'mcp_call':
    case 'mcp_approval_request':
      return {
        itemId,
        type: wire['type'],
        status,
        serverLabel: text(wire['server_label']) ?? '',
        name: text(wire['name']) ?? '',
        arguments: text(wire['arguments']) ?? '',
        ...(wire['type'] === 'mcp_call' ? { output: text(wire['output']) ?? null } : {}),
      } as RealtimeItem;
    default:
      return null;
  }
}

/** A part of a message. Older providers say `text` and `audio` on both sides. */
export function contentOf(part: Wire, role: RealtimeMessageItem['role']): RealtimeContent | null {
  const mine = role === 'assistant';
  switch (part['type']) {
    case 'input_text':
    case 'output_text':
    case 'text':
      return { type: mine ? 'output_text' : 'input_text', text: text(part['text']) ?? '' };
    case 'input_audio':
    case 'output_audio':
    case 'audio': {
      const audio = text(part['audio']);
      const transcript = text(part['transcript']) ?? null;
      return { type: mine ? 'output_audio' : 'input_audio', ...(audio === undefined ? {} : { audio }), transcript };
    }
    case 'input_image': {
      const detail = text(part['detail']);
      return {
        type: 'input_image',
        image: text(part['image_url']) ?? null,
        ...(detail === undefined ? {} : { detail }),
      };
    }
    default:
      return null;
  }
}

/** A message or a call as the provider takes it. Sound of the model cannot be given back: it goes as what it said. */
export function wireOf(item: RealtimeItem): Wire {
  if (item.type === 'function_call') {
    return { id: item.itemId, type: item.type, call_id: item.callId, name: item.name, arguments: item.arguments };
  }
  if (item.type !== 'message') return { id: item.itemId, type: item.type };
  return { id: item.itemId, type: 'message', role: item.role, content: item.content.map(wirePart) };
}

function wirePart(part: RealtimeContent): Wire {
  switch (part.type) {
    case 'input_image':
      return {
        type: part.type,
        image_url: part.image,
        ...(part.detail === undefined ? {} : { detail: part.detail }),
      };
    case 'input_audio':
      return typeof part.audio === 'string'
        ? { type: part.type, audio: part.audio, ...(part.transcript === null ? {} : { transcript: part.transcript }) }
        : { type: 'input_text', text: part.transcript ?? '' };
    case 'output_audio':
      return { type: 'output_text', text: part.transcript ?? '' };
    default:
      return { type: part.type, text: part.text };
  }
}

/** All words of a message, in order. */
export function textOf(item: RealtimeItem): string {
  if (item.type !== 'message') return '';
  return item.content
    .map((part) => ('text' in part ? part.text : 'transcript' in part ? (part.transcript ?? '') : ''))
    .join('');
}
