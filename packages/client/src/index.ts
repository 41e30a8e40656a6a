// the control plane over HTTP
export { type Agents, DEFAULT_URL, ParleyClient, type ParleyClientOptions } from './client.ts';
export type { ExecuteOptions, ExecutionEvent, Executions, Workflows } from './executions.ts';
export type { EventPage, KeyedRequestOptions, RequestOptions, SessionFilter, Sessions } from './sessions.ts';
export type { TailOptions } from './tail.ts';
export { type TurnInput, type TurnOptions, type TurnPart, turnSound } from './turn.ts';
// errors, as every package of Parley throws them
export { ParleyError } from '@parley/core';
// the realtime socket
export {
  type ConnectOptions,
  connectSession,
  type RealtimeFrame,
  type SessionSocket,
  type SocketEnd,
  type SocketFrame,
} from './session-socket.ts';
// a live call
export type { AudioSink, CallAudio } from './call/audio.ts';
export { type BrowserAudioOptions, openBrowserAudio } from './call/browser-audio.ts';
export type { Call, CallEnd, CallEvents, CallState, CallStats } from './call/call.ts';
export type { ToolUpdate, TranscriptUpdate } from './call/dialogue.ts';
export { PacedSink, type PacedSinkOptions, type PaceOptions, paced, silence } from './call/paced.ts';
export { type CutItem, Playout } from './call/playout.ts';
export { type CallOptions, startCall } from './call/start.ts';
export { WORKLET_SOURCE } from './call/worklet.ts';
// audio
export { Resampler } from './call/resampler.ts';
export { decodePcm, encodePcm, levelOf, msOf, SAMPLE_RATE, samplesOf } from './pcm.ts';
