// an agent, its sessions and its functions
export { Agent, type AgentHandle, type ServeOptions } from './agent.ts';
export type { AgentOptions } from './settings.ts';
export type { AgentStatus } from './worker.ts';
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
// what a function is given
export type { Call, CallOptions, Context } from './context.ts';
// logging
export { type Log, type LogLevel, stderrLog } from './log.ts';
// errors, from the contract
export { type ErrorCode, ParleyError } from '@parley/core';
