// What an agent said about itself, checked once. A link that registers a mistake is refused with the field's name.

import {
  type AgentFrameOf,
  checkInputSchema,
  type FunctionDeclaration,
  ParleyError,
  parseDeclaration,
  parseFunction,
  type SessionDeclaration,
} from '@parley/core';

export interface Registration {
  agent: string;
  instance_id: string;
  sdk: { language: string; version: string };
  sessions: ReadonlyMap<string, SessionDeclaration>;
  functions: ReadonlyMap<string, FunctionDeclaration>;
  capacity: { executions?: number | undefined; sessions?: number | undefined };
  /** The declarations as text: the same text needs no second check and no second compiling of its schemas. */
  declared: string;
}

/**
 * @param before registrations of the same agent; one that declares the same lends its objects.
 * @throws ParleyError `invalid_argument`; `details.path` names the field.
 */
export function readRegistration(
  frame: AgentFrameOf<'agent.register'>,
  before: Iterable<Registration> = [],
): Registration {
  const declared = JSON.stringify([frame.sessions, frame.functions]);
  const { agent, instance_id, sdk } = frame;
  const own = { agent, instance_id, sdk, capacity: frame.capacity ?? {}, declared };
  for (const other of before) {
    if (other.declared === declared) return { ...own, sessions: other.sessions, functions: other.functions };
  }
  const sessions = new Map<string, SessionDeclaration>();
  for (const [i, raw] of frame.sessions.entries()) {
    const declaration = at(`sessions[${i}]`, () => parseDeclaration(raw));
    if (sessions.has(declaration.name)) throw twice('session', declaration.name, `sessions[${i}].name`);
    sessions.set(declaration.name, declaration);
  }
  const functions = new Map<string, FunctionDeclaration>();
  for (const [i, raw] of frame.functions.entries()) {
    const declaration = at(`functions[${i}]`, () => parseFunction(raw));
    const { name, input_schema } = declaration;
    if (functions.has(name)) throw twice('function', name, `functions[${i}].name`);
    if (input_schema) at(`functions[${i}].input_schema`, () => checkInputSchema(input_schema));
    functions.set(name, declaration);
  }
  for (const name of functions.keys()) {
    // `agent.name` is a target: it can only mean one of them.
    if (sessions.has(name)) throw new ParleyError('invalid_argument', `'${name}' is a session and a function`);
  }
  return { ...own, sessions, functions };
}

function at<T>(path: string, check: () => T): T {
  try {
    return check();
  } catch (cause) {
    const error = ParleyError.from(cause, 'internal');
    const inner = error.details?.['path'];
    const whole = typeof inner === 'string' && inner !== '' ? `${path}.${inner}` : path;
    throw new ParleyError(error.code, `${path}: ${error.message}`, {
      cause,
      details: { ...error.details, path: whole },
    });
  }
}

function twice(kind: string, name: string, path: string): ParleyError {
  return new ParleyError('invalid_argument', `${path}: ${kind} '${name}' is registered twice`, { details: { path } });
}
