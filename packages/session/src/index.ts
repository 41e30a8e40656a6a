// an agent, its sessions and its functions
export { Agent, type AgentHandle, type ServeOptions } from './agent.ts';
export type { AgentOptions } from './settings.ts';
export type { AgentStatus } from './agent-parts.ts';
export type {
  SemanticVadOptions,
  ServerVadOptions,
  SessionHandler,
  SessionOptions,
  TurnDetectionOptions,
} from './session-options.ts';
export type { FunctionBody, FunctionOptions, FunctionRef, ThreadedFunctionOptions } from './functions.ts';
export type { Parsed, Unparsed } from './schema.ts';
// the same as decorators
export { agent, reasoner, session, skill } from './decorators.ts';
// what a handler is given
export type { RealtimeSession, SessionChange, Spoken } from './realtime-session.ts';
export { Turn } from './turns.ts';
// calls that an agent joins by itself
export type { AgentCall, CallEnd, JoinedCall } from './call.ts';
// one agent for each call
export { AgentLauncher, type LauncherStatus } from './launcher/launcher.ts';
export type { AgentLauncherOptions, AgentRequest, Isolation, LaunchContext } from './launcher/options.ts';
export type { LaunchedSession, LaunchedSessionResource, LaunchStatus } from './launcher/launched-session.ts';
export type { CallMetricsReport, LatencyReport } from './launcher/call-metrics.ts';
export type { StartRequest } from './launcher/start-request.ts';
export type { Notice } from './launcher/vigil.ts';
// three ways to run it: a terminal, HTTP, a command line
export { Runner, type RunnerOptions, type RunnerServe } from './runner/runner.ts';
export type { RunOptions } from './runner/run-options.ts';
export type { PermissionHook, RunnerServeOptions } from './runner/serve-options.ts';
// what a function is given
export type { Call, CallOptions, Context } from './context.ts';
// logging
export { type Log, type LogLevel, stderrLog } from './log.ts';
// errors, from the contract
export { type ErrorCode, ParleyError } from '@parley/core';
