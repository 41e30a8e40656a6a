// the control plane over HTTP
export { type Agents, DEFAULT_URL, ParleyClient, type ParleyClientOptions } from './client.ts';
export type { ExecuteOptions, ExecutionEvent, Executions, Workflows } from './executions.ts';
export type { EventPage, KeyedRequestOptions, RequestOptions, SessionFilter, Sessions } from './sessions.ts';
export type { TailOptions } from './tail.ts';
export { type TurnInput, type TurnOptions, type TurnPart, turnSound } from './turn.ts';
// errors, as every package of Parley throws them
export { ParleyError } from '@parley/core';
// the realtime connection
export { FrameLine, type RealtimeFrame, type SocketEnd, type SocketFrame } from './frame-line.ts';
export { type ConnectOptions, connectSession, type SessionSocket } from './session-socket.ts';
// a live call
export type { AudioSink, CallAudio } from './call/audio.ts';
export { type BrowserAudioOptions, openBrowserAudio } from './call/browser-audio.ts';
export type { Call } from './call/call.ts';
export type { AudioDevice, AudioDevices, DeviceChoice } from './call/devices.ts';
export type { ToolUpdate, TranscriptUpdate } from './call/dialogue.ts';
export type { CallEnd, CallEvents, CallPath, CallState, CallStats } from './call/events.ts';
export type { CallTarget } from './call/joining.ts';
export type { MicrophoneOptions } from './call/microphone.ts';
export { PacedSink, type PacedSinkOptions, type PaceOptions, paced, silence } from './call/paced.ts';
export type { PeerOptions } from './call/peer-line.ts';
export { type CutItem, Playout } from './call/playout.ts';
export { CALL_PROBLEMS, type CallProblem, callProblemOf } from './call/problems.ts';
export type { CallQuality } from './call/quality.ts';
export { type CallOptions, startCall } from './call/start.ts';
export { WORKLET_SOURCE } from './call/worklet.ts';
// audio
export { Resampler } from './call/resampler.ts';
export { decodePcm, encodePcm, levelOf, msOf, SAMPLE_RATE, samplesOf } from './pcm.ts';
