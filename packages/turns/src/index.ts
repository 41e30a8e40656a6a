// the port
export {
  type AgentConfig,
  type Approval,
  checkAgentConfig,
  type CheckedAgentConfig,
  type ReasoningEffort,
  type Sandbox,
} from './config.ts';
export type {
  AgentRunner,
  AgentSessionFactory,
  AgentTurnEvent,
  AgentTurnResult,
  AgentTurnUsage,
  BackendState,
  HostFunction,
  RunnerOptions,
  TurnOptions,
} from './runner.ts';
// errors
export {
  type AgentTurnFailureReason,
  invalidOutputOf,
  turnError,
  type TurnErrorOptions,
  turnFailureOf,
} from './failures.ts';
// for callers
export { type NoteOptions, type NoteTaker, inExecution } from './notes.ts';
export { type GaveUp, type ResumeOptions, type ResumeResult, type RetryPolicy, runTurnWithResume } from './resume.ts';
// for adapters
export { type Interruption, interruptionOf, untilAborted } from './interruption.ts';
export {
  abortedError,
  checkHostFunctions,
  PROMPT_CHARS_MAX,
  TURN_TIMEOUT_SECONDS,
  type TurnRequest,
  turnRequest,
} from './request.ts';
export { checkOutputSchema, parseStructured } from './structured.ts';
