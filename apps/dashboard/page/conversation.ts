// Both transcripts as they grow, and the tool calls as they happen.

import type { ToolUpdate, TranscriptUpdate } from '@parley/client';
import { elements } from './elements.ts';

const NOTHING_RECOGNISED = '(speech without words)';

/** Lines on the page; older ones go. */
const LINES_MAX = 500;

export function clearConversation(): void {
  elements.conversation.replaceChildren();
  elements.tools.replaceChildren();
}

export function showTranscript({ track, itemId, text, final }: TranscriptUpdate): void {
  const line = lineOf(elements.conversation, itemId);
  line.className = `${track}${final ? '' : ' partial'}`;
  line.textContent = text === '' ? (final ? NOTHING_RECOGNISED : '…') : text;
  line.scrollIntoView({ block: 'nearest' });
}

export function showCut(itemId: string): void {
  lineOf(elements.conversation, itemId).classList.add('cut');
}

export function showTool({ callId, name, status, input, output, error, durationMs }: ToolUpdate): void {
  const line = lineOf(elements.tools, callId);
  line.className =
    status === 'succeeded' ? 'succeeded' : status === 'called' || status === 'dispatched' ? 'running' : 'failed';
  const title = document.createElement('strong');
  title.textContent = name;
  const details = document.createElement('code');
  const result = error?.message ?? (output === undefined ? status : JSON.stringify(output));
  details.textContent = [
    input === undefined ? '' : JSON.stringify(input),
    '→',
    result,
    durationMs === undefined ? '' : `${durationMs} ms`,
  ].join(' ');
  line.replaceChildren(title, ' ', details);
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
