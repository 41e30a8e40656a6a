// What a call is doing, read from its dialogue and from whether an answer is being heard.

import type { Dialogue } from './dialogue.ts';
import type { CallState } from './events.ts';

/** Whether anything is said, answered or waited for. */
export function isBusy(dialogue: Dialogue, answerHeard: boolean): boolean {
  return answerHeard || dialogue.userSpeaking || isThinking(dialogue);
}

/** What to show; null before the provider answered, when there is nothing new to show. */
export function stateOf(dialogue: Dialogue, answerHeard: boolean): CallState | null {
  if (!dialogue.live) return null;
  if (dialogue.userSpeaking) return 'user_speaking';
  if (answerHeard) return 'speaking';
  return isThinking(dialogue) ? 'thinking' : 'listening';
}

function isThinking({ awaiting, responseId, toolsRunning }: Dialogue): boolean {
  return awaiting || responseId !== null || toolsRunning.size > 0;
}
