// The entry for a page without a bundler: everything that a call needs, in one file.

export { ParleyError } from '@parley/core';
export type { Call } from './call/call.ts';
export type { CallEnd, CallEvents, CallPath, CallState, CallStats } from './call/events.ts';
export { type CallProblem, callProblemOf } from './call/problems.ts';
export { type CallOptions, startCall } from './call/start.ts';
