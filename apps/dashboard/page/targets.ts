// What can be called: the sessions that connected agents declared.

import { type ParleyClient, ParleyError } from '@parley/client';
import { elements, showProblem } from './elements.ts';

const LOOK_AGAIN_MS = 2000;
const HINT = {
  simulator:
    'Start a call and speak, or write: “Where is order 42?” The simulator is no model: it hears words only in writing ' +
    'and in coded sound. Free speech is not recognised; it plays that back to you.',
  model: 'Start a call and speak, or write.',
};

/** What is declared of each target. */
const offered = new Map<string, { provider: string; transport: string }>();
/** Transports that a page can hold a call over. */
const SPOKEN = ['webrtc', 'websocket'];
let waiting: ReturnType<typeof setTimeout> | undefined;

/** Fills the list, and goes on looking while nothing is offered. `busy` says whether a call is on. */
export async function offerTargets(client: () => ParleyClient, busy: () => boolean): Promise<void> {
  clearTimeout(waiting);
  try {
    const agents = await client().agents.list();
    elements.keyForm.hidden = true;
    offered.clear();
    for (const { agent, sessions } of agents.filter(({ status }) => status === 'connected')) {
      for (const { name, provider, transport } of sessions) {
        if (SPOKEN.includes(transport)) offered.set(`${agent}.${name}`, { provider, transport });
      }
    }
    if (busy()) return;
    list();
    showProblem(null);
    elements.state.textContent = offered.size === 0 ? 'Waiting for an agent to connect …' : 'Ready';
    if (offered.size === 0) waiting = setTimeout(() => void offerTargets(client, busy), LOOK_AGAIN_MS);
  } catch (caught) {
    refused(ParleyError.from(caught));
    if (elements.keyForm.hidden) waiting = setTimeout(() => void offerTargets(client, busy), LOOK_AGAIN_MS);
  }
}

export function showHint(): void {
  const provider = offered.get(elements.target.value)?.provider;
  elements.hint.textContent = provider === undefined ? '' : provider === 'simulator' ? HINT.simulator : HINT.model;
}

function list(): void {
  const before = elements.target.value || (new URLSearchParams(location.search).get('target') ?? 'support.voice');
  const targets = [...offered.keys()].toSorted();
  elements.target.replaceChildren(
    ...targets.map((target) => new Option(`${target} · ${offered.get(target)?.transport}`, target)),
  );
  if (offered.has(before)) elements.target.value = before;
  elements.target.disabled = targets.length === 0;
  elements.call.disabled = targets.length === 0;
  showHint();
}

function refused(error: ParleyError): void {
  const asks = error.code === 'unauthenticated' || error.code === 'permission_denied';
  const tried = elements.key.value !== '';
  elements.keyForm.hidden = !asks;
  elements.state.textContent = asks ? 'This server asks for a key' : 'No connection';
  elements.call.disabled = true;
  elements.target.disabled = true;
  showProblem(asks && !tried ? null : asks ? `The key was refused: ${error.message}` : error.message);
  if (asks) elements.key.focus();
}
