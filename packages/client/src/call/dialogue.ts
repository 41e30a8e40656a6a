// A call as its frames tell it: who speaks, what was said, which answer is live. No I/O: frames in, actions out.

import type { ErrorObject, EventRecord } from '@parley/core';
import type { RealtimeFrame, SocketFrame } from '../frame-line.ts';

/** One side's words so far. `text` is the whole of it, not what was added; `final` says that no more comes. */
export interface TranscriptUpdate {
  track: 'user' | 'agent';
  itemId: string;
  text: string;
  final: boolean;
}

/** A tool call as far as it got. */
export interface ToolUpdate {
  callId: string;
  name: string;
  status: 'called' | 'rejected' | 'dispatched' | 'succeeded' | 'failed' | 'cancelled' | 'timed_out' | 'unknown';
  target?: string | undefined;
  executionId?: string | undefined;
  input?: unknown;
  output?: unknown;
  error?: { code: string; message: string } | undefined;
  durationMs?: number | undefined;
}

export type Action =
  | { do: 'play'; itemId: string; audio: string }
  /** The user speaks over the answer. */
  | { do: 'interrupt'; cancel: boolean }
  /** The far end, which plays the answer, has cut it. */
  | { do: 'interrupted'; itemId: string; playedMs: number }
  | { do: 'transcript'; update: TranscriptUpdate }
  | { do: 'tool'; update: ToolUpdate }
  | { do: 'error'; code: string; message: string }
  /** The control plane gave this connection up, and says why. */
  | { do: 'broken'; reason: string; error: ErrorObject }
  | { do: 'log'; event: EventRecord };

/** Who plays the answers: this side, which is sent their audio as frames, or the far end, into a media stream. */
export type PlayedBy = 'here' | 'there';

export interface Dialogue {
  readonly playedBy: PlayedBy;
  /** The provider has answered: audio may be sent. */
  live: boolean;
  /** Null when the user says where a turn ends; otherwise who stops an answer when the user speaks. */
  turnDetection: { interrupts: 'provider' | 'client' | 'never' } | null;
  userSpeaking: boolean;
  /** The user is done and nothing was answered yet. */
  awaiting: boolean;
  /** The answer that is being generated. */
  responseId: string | null;
  /** The answer whose audio came last. */
  audioResponseId: string | null;
  /** The answer that the far end plays. */
  playingId: string | null;
  /** Answers that were cut: what still arrives of them is not played. Bounded by CUT_MAX. */
  cut: string[];
  /** Words of items that are not final. Bounded by TEXTS_MAX. */
  texts: Map<string, TranscriptUpdate>;
  toolsRunning: Set<string>;
  /** Number of the newest entry of the log. */
  seq: number;
}

const CUT_MAX = 16;
const TEXTS_MAX = 256;

export function newDialogue(playedBy: PlayedBy = 'here'): Dialogue {
  return {
    playedBy,
    live: false,
    turnDetection: { interrupts: 'client' },
    userSpeaking: false,
    awaiting: false,
    responseId: null,
    audioResponseId: null,
    playingId: null,
    cut: [],
    texts: new Map(),
    toolsRunning: new Set(),
    seq: 0,
  };
}

/** Takes one frame in: changes the dialogue, and tells what has to be done about it. */
export function hear(state: Dialogue, frame: SocketFrame): Action[] {
  if (frame.type === 'parley.event') return logged(state, (frame as { event: EventRecord }).event);
  const { item_id, delta, transcript, text } = fieldsOf(frame as RealtimeFrame);
  switch (frame.type) {
    case 'session.created':
    case 'session.updated':
      state.live = true;
      state.turnDetection = turnDetectionOf(frame as RealtimeFrame);
      return [];
    case 'input_audio_buffer.speech_started': {
      state.userSpeaking = true;
      state.awaiting = false;
      const interrupts = state.turnDetection?.interrupts ?? 'client';
      // A provider that stops by itself would refuse a second request to stop; where it plays as well, all is done.
      if (interrupts === 'never' || (interrupts === 'provider' && state.playedBy === 'there')) return [];
      return [{ do: 'interrupt', cancel: interrupts === 'client' }];
    }
    case 'input_audio_buffer.speech_stopped':
    case 'input_audio_buffer.committed':
      state.userSpeaking = false;
      state.awaiting = state.responseId === null;
      return [];
    case 'conversation.item.added':
    case 'conversation.item.created':
      return written(state, frame as RealtimeFrame);
    case 'conversation.item.input_audio_transcription.delta':
      return grown(state, 'user', item_id, delta);
    case 'conversation.item.input_audio_transcription.completed':
      return ended(state, 'user', item_id, transcript);
    case 'response.created':
      state.responseId = responseIdOf(frame as RealtimeFrame);
      state.awaiting = false;
      return [];
    case 'output_audio_buffer.started':
      state.playingId = responseIdOf(frame as RealtimeFrame);
      state.awaiting = false;
      return [];
    case 'output_audio_buffer.stopped':
    case 'output_audio_buffer.cleared':
      state.playingId = null;
      return [];
    case 'conversation.item.truncated': {
      // Where this side plays, it is the answer to our own truncation, which was told already.
      const playedMs = (frame as RealtimeFrame)['audio_end_ms'];
      if (state.playedBy === 'here' || typeof playedMs !== 'number') return [];
      return [{ do: 'interrupted', itemId: item_id, playedMs }];
    }
    case 'response.output_audio.delta':
      // A stray one, where the audio comes by another way.
      if (state.playedBy === 'there') return [];
      state.audioResponseId = responseIdOf(frame as RealtimeFrame);
      if (state.cut.includes(state.audioResponseId ?? '')) return [];
      return [{ do: 'play', itemId: item_id, audio: delta }];
    case 'response.output_audio_transcript.delta':
    case 'response.output_text.delta':
      return grown(state, 'agent', item_id, delta);
    case 'response.output_audio_transcript.done':
      return ended(state, 'agent', item_id, transcript);
    case 'response.output_text.done':
      return ended(state, 'agent', item_id, text);
    case 'response.done':
      state.responseId = null;
      // The model goes on once it has the outputs of its tools.
      state.awaiting = callsTools(frame as RealtimeFrame);
      return [];
    case 'error':
    case 'parley.error':
      return failed(frame as RealtimeFrame);
    default:
      // Frames that only tell, and frames of types that came after this code was written.
      return [];
  }
}

/** The answer that is being generated is not to be heard any more; null when none is. */
export function cutResponse(state: Dialogue): string | null {
  const id = state.responseId;
  if (id !== null) state.cut = [...state.cut, id].slice(-CUT_MAX);
  return id;
}

/** A new connection of the same call: what was in flight on the old one is over. */
export function reconnected(state: Dialogue): void {
  Object.assign(state, { live: false, userSpeaking: false, awaiting: false, responseId: null, playingId: null });
  state.toolsRunning.clear();
}

function logged(state: Dialogue, event: EventRecord): Action[] {
  if (event.seq <= state.seq) return [];
  state.seq = event.seq;
  const actions: Action[] = [{ do: 'log', event }];
  const update = toolUpdateOf(event);
  if (update) {
    if (update.status === 'called' || update.status === 'dispatched') state.toolsRunning.add(update.callId);
    else state.toolsRunning.delete(update.callId);
    actions.push({ do: 'tool', update });
  }
  if (event.type === 'call.ended' && event.error) {
    actions.push({ do: 'broken', reason: event.reason, error: event.error });
  }
  if (event.type === 'provider.failed') {
    actions.push({ do: 'error', code: event.error.code, message: event.error.message });
  }
  return actions;
}

function toolUpdateOf(event: EventRecord): ToolUpdate | null {
  switch (event.type) {
    case 'tool.called':
      return { callId: event.call_id, name: event.name, status: 'called', executionId: event.execution_id };
    case 'tool.rejected':
      return { callId: event.call_id, name: event.name, status: 'rejected', error: event.error };
    case 'tool.dispatched': {
      const { call_id, name, target, execution_id, input } = event;
      return { callId: call_id, name, status: 'dispatched', target, executionId: execution_id, input };
    }
    case 'tool.completed': {
      const { call_id, name, status, execution_id, output, error, duration_ms } = event;
      return { callId: call_id, name, status, executionId: execution_id, output, error, durationMs: duration_ms };
    }
    default:
      return null;
  }
}

function grown(state: Dialogue, track: 'user' | 'agent', itemId: string, delta: string): Action[] {
  const text = (state.texts.get(itemId)?.text ?? '') + delta;
  const update: TranscriptUpdate = { track, itemId, text, final: false };
  state.texts.set(itemId, update);
  if (state.texts.size > TEXTS_MAX) state.texts.delete(state.texts.keys().next().value as string);
  return [{ do: 'transcript', update }];
}

function ended(state: Dialogue, track: 'user' | 'agent', itemId: string, text: string): Action[] {
  state.texts.delete(itemId);
  return [{ do: 'transcript', update: { track, itemId, text, final: true } }];
}

/** What the user wrote comes back as an item. */
function written(state: Dialogue, frame: RealtimeFrame): Action[] {
  const item = frame['item'] as
    | { id?: string; role?: string; content?: { type?: string; text?: string }[] }
    | undefined;
  if (item?.role !== 'user' || typeof item.id !== 'string') return [];
  const text = (item.content ?? [])
    .filter((part) => part.type === 'input_text')
    .map((part) => part.text ?? '')
    .join('\n');
  return text === '' ? [] : ended(state, 'user', item.id, text);
}

function failed(frame: RealtimeFrame): Action[] {
  const error = frame['error'] as { code?: unknown; message?: unknown } | undefined;
  const code = typeof error?.code === 'string' ? error.code : 'unknown';
  // The provider was faster: it had ended the answer before our word came.
  if (code === 'response_cancel_not_active') return [];
  return [{ do: 'error', code, message: typeof error?.message === 'string' ? error.message : 'unknown error' }];
}

function responseIdOf(frame: RealtimeFrame): string | null {
  const response = frame['response'] as { id?: unknown } | undefined;
  const id = frame['response_id'] ?? response?.id;
  return typeof id === 'string' ? id : null;
}

function turnDetectionOf(frame: RealtimeFrame): Dialogue['turnDetection'] {
  const session = frame['session'] as { audio?: { input?: { turn_detection?: unknown } } } | undefined;
  const detection = session?.audio?.input?.turn_detection;
  if (detection === null) return null;
  const interrupts = (detection as { interrupt_response?: unknown } | undefined)?.interrupt_response;
  return { interrupts: interrupts === false ? 'never' : interrupts === true ? 'provider' : 'client' };
}

function callsTools(frame: RealtimeFrame): boolean {
  const response = frame['response'] as { status?: string; output?: { type?: string }[] } | undefined;
  return response?.status === 'completed' && (response.output ?? []).some((item) => item.type === 'function_call');
}

function fieldsOf(frame: RealtimeFrame): { item_id: string; delta: string; transcript: string; text: string } {
  const of = (name: string): string => (typeof frame[name] === 'string' ? frame[name] : '');
  return { item_id: of('item_id'), delta: of('delta'), transcript: of('transcript'), text: of('text') };
}
