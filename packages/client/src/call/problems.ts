// What can go wrong with a call, by name. The code of a `ParleyError` says what kind of failure it is, these say which
// one, so that a page can tell its user what to do.

import { type ErrorCode, type ErrorOptions, ParleyError } from '@parley/core';

export const CALL_PROBLEMS = [
  /** The browser gives its microphone only to https pages and to localhost. */
  'insecure_page',
  /** The user, the browser or the page's policy refused the microphone. */
  'microphone_refused',
  /** No microphone, or not the one that was asked for. */
  'microphone_missing',
  /** Another program holds it, or the system would not open it. */
  'microphone_failed',
  /** It was unplugged in the middle of the call, and no other could be opened. */
  'microphone_lost',
  /** The browser plays nothing before the first click; the answers begin to be heard with it. */
  'playback_blocked',
  /** The loudspeaker could not be chosen. */
  'speaker_failed',
  /** The session is declared with the transport webrtc, and there is no WebRTC here. */
  'webrtc_missing',
  /** No way for the audio was found between here and there. */
  'ice_failed',
  /** A way was found, but the two ends did not agree on a secret. */
  'dtls_failed',
  /** The audio is connected, but the channel for events did not open. */
  'channel_failed',
  /** The control plane lost its own connection to the provider's call: no tool could run any more. */
  'sideband_lost',
  /** The connection broke and could not be made again. */
  'connection_lost',
  /** The session is over. */
  'session_ended',
  /** The session token is over: another has to be asked for. */
  'token_expired',
] as const;

export type CallProblem = (typeof CALL_PROBLEMS)[number];

/** Which problem of a call an error tells of; null when it is another error. */
export function callProblemOf(error: unknown): CallProblem | null {
  const named = error instanceof ParleyError ? error.details?.['problem'] : undefined;
  return CALL_PROBLEMS.find((problem) => problem === named) ?? null;
}

export function callError(
  problem: CallProblem,
  code: ErrorCode,
  message: string,
  options: ErrorOptions = {},
): ParleyError {
  return new ParleyError(code, message, { ...options, details: { problem, ...options.details } });
}

/** The same error, with the name of its problem. */
export function asProblem(problem: CallProblem, error: ParleyError): ParleyError {
  return new ParleyError(error.code, error.message, {
    ...error.toObject(),
    details: { problem, ...error.details },
    cause: error.cause,
  });
}
