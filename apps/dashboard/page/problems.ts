// What went wrong, in words for whoever sits before the page.

import { type CallProblem, callProblemOf, type ParleyError } from '@parley/client';

/** Where there is something to do about it; the error's own words do for the rest. */
const WORDS: Partial<Record<CallProblem, string>> = {
  microphone_refused: 'The microphone was refused. Allow it beside the address and start again, or write.',
  microphone_missing: 'No microphone was found. Connect one and start again, or write.',
  microphone_failed: 'The microphone could not be opened; another program may hold it. Start again, or write.',
  microphone_lost: 'The microphone is gone. Choose another one above, or write.',
  insecure_page: 'Browsers give the microphone only to https pages and to localhost. Open this page there, or write.',
  playback_blocked: 'The browser keeps this page silent until you click on it.',
  webrtc_missing: 'This session is carried by WebRTC, which this browser does not have. Choose one over websocket.',
  ice_failed:
    'No way for the audio was found. A firewall may be in between: the server can be given a TURN server ' +
    '(PARLEY_ICE_SERVERS), or choose a session over websocket.',
  channel_failed: 'The audio is connected, but the channel for events did not open. Start again.',
  sideband_lost:
    'The server lost its own connection to the call (the sideband), so no tool could run any more. Start again.',
  token_expired: 'The time of this session is over. Start again.',
};

export function wordsOf(error: ParleyError): string {
  const problem = callProblemOf(error);
  return (problem && WORDS[problem]) || error.message;
}

/** Whether a call without a microphone would do. */
export function isOfMicrophone(error: ParleyError): boolean {
  const problem = callProblemOf(error);
  return problem !== null && (problem.startsWith('microphone') || problem === 'insecure_page');
}
