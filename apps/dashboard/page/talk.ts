// The talk page: one call at a time, over the WebSocket transport.

import { type Call, type CallState, ParleyClient, ParleyError, startCall } from '@parley/client';
import { clearConversation, showCut, showTool, showTranscript } from './conversation.ts';
import { elements, showProblem } from './elements.ts';
import { drawWorkflow } from './workflow.ts';

const WORDS: Record<CallState, string> = {
  connecting: 'Connecting …',
  listening: 'Listening',
  user_speaking: 'You are speaking',
  thinking: 'Thinking …',
  speaking: 'Speaking. Talk to interrupt.',
  reconnecting: 'The connection was cut, coming back …',
  ended: 'The call has ended',
};

let call: Call | null = null;

await offerTargets();
elements.call.addEventListener('click', () => void (call ? call.hangUp() : begin()).catch(report));
elements.key.addEventListener('change', () => void offerTargets());
elements.mute.addEventListener('click', () => {
  if (!call) return;
  call.mute(!call.muted);
  elements.mute.setAttribute('aria-pressed', String(call.muted));
  elements.mute.textContent = call.muted ? 'Unmute' : 'Mute';
});
elements.write.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = elements.text.value.trim();
  if (!call || text === '') return;
  call.sendText(text);
  elements.text.value = '';
});

function client(): ParleyClient {
  const key = elements.key.value;
  return new ParleyClient({ url: location.origin, ...(key === '' ? {} : { key }) });
}

/** Fills the list with what connected agents offer. */
async function offerTargets(): Promise<void> {
  try {
    const agents = await client().agents.list();
    const offered = agents
      .filter(({ status }) => status === 'connected')
      .flatMap(({ agent, sessions }) =>
        sessions.filter(({ transport }) => transport === 'websocket').map(({ name }) => `${agent}.${name}`),
      );
    elements.target.replaceChildren(...offered.map((target) => new Option(target, target)));
    const wanted = new URLSearchParams(location.search).get('target') ?? 'support.voice';
    if (offered.includes(wanted)) elements.target.value = wanted;
    elements.call.disabled = offered.length === 0;
    elements.state.textContent = offered.length === 0 ? 'No agent is connected. Start one and reload.' : 'Ready';
    showProblem(null);
  } catch (caught) {
    const error = ParleyError.from(caught);
    elements.keyField.hidden = error.code !== 'unauthenticated';
    elements.state.textContent = error.code === 'unauthenticated' ? 'This server asks for a key' : '';
    if (error.code !== 'unauthenticated') report(error);
  }
}

async function begin(): Promise<void> {
  showProblem(null);
  clearConversation();
  drawWorkflow(null);
  elements.call.disabled = true;
  try {
    const { session_id, client_token } = await client().sessions.start(elements.target.value);
    elements.state.textContent = WORDS.connecting;
    call = await startCall({
      url: location.origin,
      token: client_token,
      sessionId: session_id,
      audio: true,
      browser: { workletUrl: new URL('/parley-worklet.js', location.origin).href },
    });
    follow(call, session_id, client_token);
  } finally {
    elements.call.disabled = false;
  }
}

function follow(live: Call, session_id: string, token: string): void {
  document.body.dataset['session'] = session_id;
  elements.call.textContent = 'Hang up';
  elements.mute.hidden = false;
  elements.write.hidden = false;
  const parley = new ParleyClient({ url: location.origin, key: token });
  const redraw = (): void => {
    parley.sessions.workflow(session_id).then(drawWorkflow, report);
  };
  live.on('state', (state) => {
    elements.state.textContent = WORDS[state];
    document.body.dataset['state'] = state;
  });
  live.on('transcript', showTranscript);
  live.on('interruption', ({ itemId }) => showCut(itemId));
  live.on('tool', (update) => {
    showTool(update);
    redraw();
  });
  live.on('level', ({ mic, speaker }) => {
    elements.mic.style.transform = `scaleX(${Math.min(1, mic * 3)})`;
    elements.speaker.style.transform = `scaleX(${Math.min(1, speaker * 3)})`;
  });
  live.on('error', (error) => showProblem(error.message));
  redraw();
  void live.ended.then(({ error }) => {
    call = null;
    elements.call.textContent = 'Start call';
    elements.mute.hidden = true;
    elements.write.hidden = true;
    if (error) report(error);
    redraw();
  });
}

function report(caught: unknown): void {
  const error = ParleyError.from(caught);
  showProblem(error.message);
}
