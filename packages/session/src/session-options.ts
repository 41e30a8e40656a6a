// A session as an author declares it, and as it goes over the wire.

import {
  checked,
  type ClientEventName,
  parseDeclaration,
  ParleyError,
  type SessionDeclaration,
  type TurnDetection,
} from '@parley/core';
import type { RealtimeSession } from './realtime-session.ts';

/** The provider ends a turn after silence. Times in milliseconds. */
export interface ServerVadOptions {
  type: 'server_vad';
  /** 0 to 1. Default 0.5. */
  threshold?: number;
  /** Default 300. */
  prefixPaddingMs?: number;
  /** Default 500. */
  silenceDurationMs?: number;
  createResponse?: boolean;
  interruptResponse?: boolean;
  idleTimeoutMs?: number;
}

/** The provider ends a turn when the sentence sounds complete. */
export interface SemanticVadOptions {
  type: 'semantic_vad';
  eagerness?: 'auto' | 'low' | 'medium' | 'high';
  createResponse?: boolean;
  interruptResponse?: boolean;
}

export type TurnDetectionOptions = ServerVadOptions | SemanticVadOptions;

/**
 * What a session is made of. Names are camelCase here and snake_case on the wire; the wire's own names pass too, so a
 * declaration that was read from a file can be handed in as it is.
 */
export interface SessionOptions {
  /** Required and explicit: `openai`, `simulator`, … */
  provider: string;
  /** Required and explicit: `websocket`, … */
  transport: string;
  model?: string;
  voice?: string;
  instructions?: string;
  language?: string;
  /** Default audio and text. */
  modalities?: readonly ('audio' | 'text' | 'image')[];
  /** Who answers a turn. Default: `handler` when a handler is given, else `model`. */
  responder?: 'model' | 'handler';
  /** What the live model may call: `agent.function`, or the bare name of a function of this agent. */
  tools?: string[];
  handoffs?: string[];
  guardrails?: string[];
  /** null is push-to-talk. Default: what the provider does. */
  turnDetection?: TurnDetectionOptions | null;
  clientEvents?: ClientEventName[];
  limits?: {
    maxDurationMs?: number;
    idleTimeoutMs?: number;
    maxConcurrent?: number;
    maxToolCallsInFlight?: number;
  };
  media?: 'native' | 'bridge';
  record?: boolean;
  tags?: string[];
  metadata?: Record<string, unknown>;
}

/** Answers the turns of one session. The session goes on until it returns; when it throws, the session is closed. */
export type SessionHandler = (session: RealtimeSession) => Promise<void> | void;

export interface SessionDefinition {
  readonly declaration: SessionDeclaration;
  readonly handler: SessionHandler | null;
}

/**
 * Checks a session when it is declared.
 * @throws ParleyError `invalid_argument`; `details.path` names the field as the wire has it.
 */
export function defineSession(name: string, options: SessionOptions, handler?: SessionHandler): SessionDefinition {
  const declared = wireNames(options, 'session');
  for (const field of ['turn_detection', 'limits']) {
    const value = declared[field];
    if (isRecord(value)) declared[field] = wireNames(value, field);
  }
  const declaration = parseDeclaration({ responder: handler ? 'handler' : 'model', ...declared, name });
  if (declaration.responder === 'handler' && !handler) {
    throw new ParleyError('invalid_argument', `session '${name}' has the responder 'handler' and no handler`, {
      details: { path: 'responder' },
    });
  }
  return { declaration, handler: handler ?? null };
}

/** Turn detection as the wire has it. */
export function turnDetectionOnWire(options: TurnDetectionOptions | null): TurnDetection | null {
  return options && checked('TurnDetection', wireNames(options, 'turn_detection'));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The same object with snake_case keys; a field of undefined is a field that is missing. */
function wireNames(value: object, what: string): Record<string, unknown> {
  const renamed = new Map<string, unknown>();
  for (const [key, field] of Object.entries(value)) {
    if (field === undefined) continue;
    const wire = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (renamed.has(wire)) throw new ParleyError('invalid_argument', `${what} has both '${key}' and '${wire}'`);
    renamed.set(wire, field);
  }
  return Object.fromEntries(renamed);
}
