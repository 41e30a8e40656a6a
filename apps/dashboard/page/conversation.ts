// Both transcripts as they grow, and the tool calls as they happen.

import type { SocketFrame, ToolUpdate, TranscriptUpdate } from '@parley/client';
import { elements } from './elements.ts';

/** Lines on the page; older ones go. */
const LINES_MAX = 500;
/** Characters of a tool's input or output that are shown. */
const SHOWN_MAX = 2000;

/** When the call began: a tool call tells how long after that it came. */
let began_ms = 0;

export function clearConversation(): void {
  began_ms = performance.now();
  elements.conversation.replaceChildren();
  elements.tools.replaceChildren();
}

/** A line for the user stands as soon as the user speaks, so that the answer comes below it. */
export function showSpeech(frame: SocketFrame): void {
  if (frame.type === 'input_audio_buffer.speech_started' && typeof frame['item_id'] === 'string') {
    showTranscript({ track: 'user', itemId: frame['item_id'], text: '', final: false });
  } else if (
    frame.type === 'conversation.item.input_audio_transcription.failed' &&
    typeof frame['item_id'] === 'string'
  ) {
    showTranscript({ track: 'user', itemId: frame['item_id'], text: '', final: true });
  }
}

export function showTranscript({ track, itemId, text, final }: TranscriptUpdate): void {
  const following = isAtEnd();
  const line = lineOf(elements.conversation, itemId);
  const words = text !== '' ? text : final ? '(speech without words)' : '…';
  const kind = final ? (text === '' ? ' wordless' : '') : ' partial';
  line.className = `${track}${kind}`;
  const note = line.querySelector('small');
  line.replaceChildren(words, ...(note ? [note] : []));
  if (following) elements.scroll.scrollTop = elements.scroll.scrollHeight;
}

/** The answer as it was generated stays; how much of it was heard is told below it. */
export function showCut({ itemId, playedMs }: { itemId: string; playedMs: number }): void {
  const line = lineOf(elements.conversation, itemId);
  const note = document.createElement('small');
  note.textContent = `interrupted after ${(playedMs / 1000).toFixed(1)} s`;
  line.querySelector('small')?.remove();
  line.append(note);
}

export function showTool({ callId, name, status, input, output, error, durationMs }: ToolUpdate): void {
  const line = lineOf(elements.tools, callId);
  line.dataset['at'] ??= clock(performance.now() - began_ms);
  line.className =
    status === 'succeeded' ? 'succeeded' : status === 'called' || status === 'dispatched' ? 'running' : 'failed';
  const known = line.querySelector('.input')?.textContent ?? '';
  const title = document.createElement('strong');
  title.textContent = name;
  const time = document.createElement('small');
  time.textContent = ` ${status === 'dispatched' ? 'running' : status}${durationMs === undefined ? '' : ` · ${Math.round(durationMs)} ms`}`;
  const given = code('input', input === undefined ? known : shown(input));
  const answer = error ? error.message : output === undefined ? '' : `→ ${shown(output)}`;
  const at = document.createElement('time');
  at.textContent = line.dataset['at'];
  line.replaceChildren(at, title, time, given, code('output', answer));
}

/** `1:04` into the call. */
function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)} …` : text;
}

function code(name: string, text: string): HTMLElement {
  const element = document.createElement('code');
  element.className = name;
  element.textContent = text;
  return element;
}

/** Whoever scrolled up to read stays there. */
function isAtEnd(): boolean {
  const { scrollTop, scrollHeight, clientHeight } = elements.scroll;
  return scrollHeight - scrollTop - clientHeight < 40;
}

function lineOf(list: HTMLOListElement, id: string): HTMLLIElement {
  const found = [...list.children].findLast((child) => (child as HTMLElement).dataset['id'] === id);
  if (found) return found as HTMLLIElement;
  const line = document.createElement('li');
  line.dataset['id'] = id;
  list.append(line);
  if (list.children.length > LINES_MAX) list.firstElementChild?.remove();
  return line;
}
