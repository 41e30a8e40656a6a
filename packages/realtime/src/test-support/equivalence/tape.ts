// A tape: what the provider says and what the application does, step by step, and who is there to hear it. Both
// libraries are played the same one, and what came of it is compared aspect by aspect.

import type { Wire } from '../../history/item.ts';
import { replyFrames } from '../../testing/reply-frames.ts';
import type { Reply } from '../../testing/scripted-model.ts';

export interface TapeTool {
  name: string;
  /** What it answers; `throws` throws it. `held` tools answer when the tape says so. */
  answers?: unknown;
  throws?: string;
  held?: boolean;
  background?: boolean;
  needsApproval?: boolean;
  timeoutMs?: number;
}

export interface TapeAgent {
  name: string;
  tools?: readonly TapeTool[];
  handoffs?: readonly string[];
}

export type Step =
  | { say: readonly (Wire | string)[] }
  | { does: 'message' | 'image'; text: string }
  | { does: 'audio'; bytes: number; commit?: boolean }
  | { does: 'interrupt' | 'close' | 'drop' }
  | { does: 'mute'; muted: boolean }
  | { does: 'approve' | 'reject'; callId: string; message?: string; always?: boolean }
  | { does: 'release'; tool: string }
  | { does: 'agent'; name: string }
  | { does: 'delete'; at: number }
  | { passes: number };

export type Aspect = 'frames' | 'outputs' | 'history' | 'audio' | 'events' | 'thrown';

export interface EquivalenceTape {
  name: string;
  agents: readonly TapeAgent[];
  /** Trips where what is said contains this. */
  guardrail?: string;
  steps: readonly Step[];
  /** Where the two differ, each with the reason why ours is as it is. */
  differences: Partial<Record<Aspect, string>>;
}

export interface Outcome {
  /** Frames of the client after the handshake, in short. */
  frames: string[];
  outputs: Record<string, string[]>;
  history: string[];
  audio: number;
  /** What both libraries have an event for, by the peer's names; tools beside the rest, because they run beside it. */
  events: string[];
  /** What came out of the socket's handler. */
  thrown: string[];
}

/** The frames of an answer, with ids that are told. */
export function answer(
  n: number,
  reply: Reply,
  part: 'all' | 'begin' | 'end' = 'all',
  metadata: unknown = null,
): Wire[] {
  let ids = 0;
  const { begin, end } = replyFrames(reply, {
    responseId: `resp_${n}`,
    metadata,
    textOnly: false,
    last: () => null,
    keep: () => {},
    id: (kind) => `${kind}_${n}_${(ids += 1)}`,
  });
  const frames = part === 'all' ? [...begin, ...end] : part === 'begin' ? begin : end;
  // Where nothing was said before, nobody says what stands before it: items are appended.
  return frames.map(({ previous_item_id: _, ...frame }) => frame);
}

/** The user's item: spoken, and written down where there are words. */
export function userTurn(id: string, words: string | null): Wire[] {
  const item = {
    id,
    object: 'realtime.item',
    type: 'message',
    role: 'user',
    status: 'completed',
    content: [{ type: 'input_audio', transcript: null }],
  };
  const at = { item_id: id, content_index: 0 };
  return [
    { type: 'input_audio_buffer.speech_started', item_id: id, audio_start_ms: 0 },
    { type: 'input_audio_buffer.speech_stopped', item_id: id, audio_end_ms: 800 },
    { type: 'input_audio_buffer.committed', item_id: id, previous_item_id: null },
    { type: 'conversation.item.added', item },
    { type: 'conversation.item.done', item },
    ...(words === null
      ? []
      : [
          { type: 'conversation.item.input_audio_transcription.delta', ...at, delta: words },
          {
            type: 'conversation.item.input_audio_transcription.completed',
            ...at,
            transcript: words,
            usage: { type: 'duration', seconds: 1 },
          },
        ]),
  ];
}

/** A frame of the client, in as many words as matter. */
export function inShort(frame: Wire): string | null {
  const item = (frame['item'] ?? {}) as Wire;
  switch (frame['type']) {
    case 'conversation.item.create': {
      if (item['type'] === 'function_call_output') return `output ${String(item['call_id'])}`;
      const content = (item['content'] ?? []) as Wire[];
      return `item ${String(item['role'])} ${content.map((part) => String(part['type'])).join('+')}`;
    }
    case 'conversation.item.truncate':
      return `truncate ${String(frame['item_id'])} ${String(frame['audio_end_ms'])}`;
    case 'session.update': {
      const { tools } = (frame['session'] ?? {}) as { tools?: { name: string }[] };
      return `update ${(tools ?? []).map(({ name }) => name).join(',')}`;
    }
    case 'input_audio_buffer.append':
      return `append ${Buffer.from(String(frame['audio']), 'base64').length}`;
    default:
      return String(frame['type']);
  }
}

/** Events in their order, and after them the starts and the ends of tools, and errors, in theirs. */
export function sorted(events: readonly string[]): string[] {
  const errors = events.filter((event) => event === 'error');
  const starts = events.filter((event) => event.startsWith('agent_tool_start'));
  const ends = events.filter((event) => event.startsWith('agent_tool_end'));
  const rest = events.filter((event) => !event.startsWith('agent_tool_') && event !== 'error');
  return [...rest, ...starts, ...ends, ...errors];
}
