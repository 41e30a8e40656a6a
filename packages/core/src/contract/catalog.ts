// The contract by file: what `schemas/v1` holds. Each file is one schema with its `$defs`.

import type { z } from 'zod';
import { AgentFrame, ServerFrame } from './agent-link.ts';
import { ProviderCapability } from './capabilities.ts';
import * as control from './control.ts';
import { FunctionDeclaration, SessionDeclaration, TurnDetection } from './declaration.ts';
import { SessionEvent } from './events.ts';
import { ErrorBodySchema } from './json.ts';
import { ModelCommand } from './model.ts';
import { ParleyFrame } from './parley-frame.ts';
import * as turns from './turn-agents.ts';

/** Every schema of the contract by its name. File names are the kebab-case of these. */
export const CONTRACT = {
  SessionDeclaration,
  FunctionDeclaration,
  TurnDetection,
  ProviderCapability,
  SessionEvent,
  ModelCommand,
  AgentFrame,
  ServerFrame,
  ParleyFrame,
  ErrorBody: ErrorBodySchema,
  StartRequest: control.StartRequest,
  StartResponse: control.StartResponse,
  SessionResource: control.SessionResource,
  SessionList: control.SessionList,
  EventList: control.EventList,
  SayRequest: control.SayRequest,
  SayResponse: control.SayResponse,
  InjectRequest: control.InjectRequest,
  UpdateRequest: control.UpdateRequest,
  CloseRequest: control.CloseRequest,
  OfferRequest: control.OfferRequest,
  OfferResponse: control.OfferResponse,
  CallResource: control.CallResource,
  ToolRequest: control.ToolRequest,
  TurnRequest: control.TurnRequest,
  TurnResponse: control.TurnResponse,
  ExecuteRequest: control.ExecuteRequest,
  ExecutionResource: control.ExecutionResource,
  CancelRequest: control.CancelRequest,
  NoteRequest: control.NoteRequest,
  BatchStatusRequest: control.BatchStatusRequest,
  BatchStatusResponse: control.BatchStatusResponse,
  WorkflowResource: control.WorkflowResource,
  AgentResource: control.AgentResource,
  AgentList: control.AgentList,
  KeyList: control.KeyList,
  CreateKeyRequest: control.CreateKeyRequest,
  CreateKeyResponse: control.CreateKeyResponse,
  HealthResponse: control.HealthResponse,
  AgentConfig: turns.AgentConfig,
  AgentTurnRequest: turns.AgentTurnRequest,
  AgentTurnEvent: turns.AgentTurnEvent,
  AgentTurnResult: turns.AgentTurnResult,
  AgentTurnFailure: turns.AgentTurnFailure,
} as const satisfies Record<string, z.ZodType>;

export type ContractName = keyof typeof CONTRACT;
export type ContractType<N extends ContractName> = z.infer<(typeof CONTRACT)[N]>;
