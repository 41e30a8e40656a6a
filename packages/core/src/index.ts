// ids
export { ID_PREFIXES, type IdKind, isId, newId, randomSuffix } from './ids.ts';
// errors
export {
  closeCodeOf,
  ERROR_CODE_NAMES,
  ERROR_CODES,
  type ErrorBody,
  type ErrorCode,
  type ErrorObject,
  type ErrorOptions,
  errorCodeOfClose,
  isErrorCode,
  ParleyError,
} from './errors.ts';
// the contract
export * from './contract/agent-link.ts';
export {
  CAPABILITIES,
  capabilityOf,
  knownProviders,
  type ProviderCapability,
  type TransportCapability,
} from './contract/capabilities.ts';
export { CONTRACT, type ContractName, type ContractType } from './contract/catalog.ts';
export {
  CLIENT_EVENT_OF_FRAME,
  CLIENT_SUBPROTOCOL,
  PARLEY_EVENTS_SUBPROTOCOL,
  TOKEN_SUBPROTOCOL_PREFIX,
} from './contract/client-socket.ts';
export type * from './contract/control.ts';
export {
  CLIENT_EVENT_NAMES,
  type ClientEventName,
  type FunctionDeclaration,
  type SemanticVad,
  type ServerVad,
  type SessionDeclaration,
  type SessionDeclarationInput,
  type SessionLimits,
  type TurnDetection,
} from './contract/declaration.ts';
export {
  EVENT_TYPES,
  type EventOf,
  type EventRecord,
  type ExecutionStatus,
  type ResolvedTool,
  type SessionEvent,
  type SessionEventType,
  type Usage,
} from './contract/events.ts';
export type { ModelCommand, ModelCommandOf, ModelEvent } from './contract/model.ts';
export {
  FUNCTION_NAME_PATTERN,
  LIMITS,
  NAME_PATTERN,
  TARGET_PATTERN,
  TIMES,
  TOOL_REF_PATTERN,
} from './contract/names.ts';
export { ParleyFrame } from './contract/parley-frame.ts';
export { type AgentTurnFailureReason, APPROVALS, SANDBOXES, TURN_FAILURES } from './contract/turn-agents.ts';
// checks
export { checked, compileCheck, contractSchema, describe, type Problem, problemOf } from './check.ts';
export {
  checkPair,
  exposedToolName,
  normaliseName,
  parseDeclaration,
  parseFunction,
  parseTarget,
  resolveTools,
} from './declaration.ts';
export { type JsonSchema, type SchemaLike, toJsonSchema } from './json-schema.ts';
export { checkInputSchema, inputProblem } from './tool-input.ts';
export { compileType, type Parsed, type Type, type Unparsed } from './type.ts';
// the session
export type { Effect, PerformedEffect, Timer } from './session/effects.ts';
export { type Folded, fold, replay } from './session/fold.ts';
export { heardText } from './session/ending.ts';
export { initialState, type Phase, type SessionState } from './session/state.ts';
export { type Step, step } from './session/step.ts';
// the workflow
export { foldWorkflow, isTerminal } from './workflow.ts';
