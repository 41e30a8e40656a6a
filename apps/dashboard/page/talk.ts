// The talk page: one call at a time, over whatever transport its session declares.

import { type Call, type CallState, ParleyClient, ParleyError, startCall } from '@parley/client';
import { bindControls, showControls, showDevices, showMicrophone, showQuality } from './controls.ts';
import { clearConversation, showCut, showSpeech, showTool, showTranscript } from './conversation.ts';
import { elements, showProblem } from './elements.ts';
import { isOfMicrophone, wordsOf } from './problems.ts';
import { offerTargets, showHint } from './targets.ts';
import { WorkflowView } from './workflow.ts';

const WORDS: Record<CallState, string> = {
  connecting: 'Connecting …',
  listening: 'Listening',
  user_speaking: 'You are speaking',
  thinking: 'Thinking …',
  speaking: 'Speaking. Talk to interrupt.',
  reconnecting: 'The connection was cut, coming back …',
  ended: 'The call has ended',
};
/** Speech is quiet in numbers: a meter of its square root moves as it sounds. */
const loudness = (level: number): number => Math.min(1, Math.sqrt(level) * 1.6);

let call: Call | null = null;
let starting = false;
let silence: AudioContext | undefined;

elements.call.addEventListener('click', () => void (call ? call.hangUp() : begin({ microphone: true })));
elements.withoutMicrophone.addEventListener('click', () => void begin({ microphone: false }));
elements.target.addEventListener('change', showHint);
elements.keyForm.addEventListener('submit', (event) => {
  event.preventDefault();
  void look();
});
bindControls({ call: () => call, report });
elements.write.addEventListener('submit', (event) => {
  event.preventDefault();
  const text = elements.text.value.trim();
  if (!call || text === '') return;
  try {
    call.sendText(text);
    elements.text.value = '';
  } catch (caught) {
    report(caught);
  }
});
await look();

function look(): Promise<void> {
  return offerTargets(client, () => call !== null || starting);
}

function client(key = elements.key.value): ParleyClient {
  return new ParleyClient({ url: location.origin, ...(key === '' ? {} : { key }) });
}

async function begin({ microphone }: { microphone: boolean }): Promise<void> {
  if (call || starting) return;
  starting = true;
  showProblem(null);
  clearConversation();
  showState('connecting');
  showControls(call, starting);
  let session: { session_id: string; client_token: string } | null = null;
  try {
    session = await client().sessions.start(elements.target.value);
    call = await startCall({
      url: location.origin,
      token: session.client_token,
      audio: true,
      browser: {
        workletUrl: new URL('/parley-worklet.js', location.origin).href,
        ...(microphone ? {} : { stream: nobody() }),
      },
    });
    follow(call, session.session_id, session.client_token);
  } catch (caught) {
    showState('ended');
    elements.state.textContent = 'Ready';
    const error = ParleyError.from(caught);
    showProblem(wordsOf(error), { offerWriting: microphone && isOfMicrophone(error) });
    // Nobody will join it any more. The next call need not wait for that.
    if (session) client(session.client_token).sessions.close(session.session_id, 'not_joined').catch(report);
    if (error.code === 'unauthenticated' || error.code === 'not_found') await look();
  } finally {
    starting = false;
    showControls(call, starting);
  }
}

function follow(live: Call, session_id: string, token: string): void {
  document.body.dataset['session'] = session_id;
  elements.session.textContent = `Session ${session_id}`;
  const parley = client(token);
  const workflow = new WorkflowView(() => parley.sessions.workflow(session_id), report);
  live.on('state', showState);
  live.on('frame', showSpeech);
  live.on('transcript', showTranscript);
  live.on('interruption', showCut);
  live.on('tool', (update) => {
    showTool(update);
    void workflow.redraw();
  });
  live.on('level', ({ mic, speaker }) => {
    elements.mic.value = loudness(mic);
    elements.speaker.value = loudness(speaker);
  });
  live.on('microphone', () => showMicrophone(live));
  live.on('devices', showDevices);
  live.on('quality', showQuality);
  live.on('error', (error) => showProblem(wordsOf(error)));
  live.devices().then(showDevices, report);
  void workflow.redraw();
  void live.ended.then(async ({ reason, error }) => {
    call = null;
    showControls(call, starting);
    elements.state.textContent = reason === 'hung_up' ? WORDS.ended : `${WORDS.ended}: ${reason.replaceAll('_', ' ')}`;
    if (error) showProblem(`The call was lost: ${wordsOf(error)}`);
    else await workflow.redraw();
  });
}

function showState(state: CallState): void {
  // What was wrong with the connection is over with it.
  if (document.body.dataset['state'] === 'reconnecting' && state !== 'ended') showProblem(null);
  elements.state.textContent = WORDS[state];
  document.body.dataset['state'] = state;
}

/** A microphone that hears nobody, for a call in writing whose answers are heard. */
function nobody(): MediaStream {
  silence ??= new AudioContext();
  return silence.createMediaStreamDestination().stream;
}

function report(caught: unknown): void {
  showProblem(wordsOf(ParleyError.from(caught)));
}
