// schemas/v1/catalog.json and capabilities.json: the contract's tables, for languages that cannot read TypeScript.

import {
  AGENT_SUBPROTOCOL,
  AgentFrame,
  CAPABILITIES,
  CLIENT_EVENT_NAMES,
  CLIENT_EVENT_OF_FRAME,
  CLIENT_SUBPROTOCOL,
  CONTRACT,
  closeCodeOf,
  compileCheck,
  contractSchema,
  ERROR_CODE_NAMES,
  ERROR_CODES,
  EVENT_TYPES,
  FUNCTION_NAME_PATTERN,
  HANDLER_EVENT_TYPES,
  ID_PREFIXES,
  LIMITS,
  NAME_PATTERN,
  PARLEY_EVENTS_SUBPROTOCOL,
  ParleyFrame,
  parseDeclaration,
  ServerFrame,
  TARGET_PATTERN,
  TIMES,
  TOKEN_SUBPROTOCOL_PREFIX,
  TOOL_REF_PATTERN,
} from '@parley/core';
import { fileName } from './schemas.ts';

/** Everything of the contract that is a table and not a schema. */
export function catalog(): Record<string, unknown> {
  // Defaults are read off a checked declaration, so that they cannot differ from what is really filled in.
  const plain = { name: 'defaults', provider: 'simulator', transport: 'websocket' };
  const { name: _, provider: __, transport: ___, media: ____, ...declaration } = parseDeclaration(plain);
  const semantic = parseDeclaration({ ...plain, turn_detection: { type: 'semantic_vad' } }).turn_detection;
  return {
    schemas: Object.fromEntries(Object.keys(CONTRACT).map((name) => [name, `${fileName(name)}.schema.json`])),
    error_codes: Object.fromEntries(
      ERROR_CODE_NAMES.map((code) => [
        code,
        { ...ERROR_CODES[code], close_retryable: closeCodeOf(code, true), close_fatal: closeCodeOf(code, false) },
      ]),
    ),
    id_prefixes: ID_PREFIXES,
    patterns: {
      name: NAME_PATTERN,
      function_name: FUNCTION_NAME_PATTERN,
      tool_ref: TOOL_REF_PATTERN,
      target: TARGET_PATTERN,
    },
    limits: LIMITS,
    times: TIMES,
    subprotocols: {
      agent: AGENT_SUBPROTOCOL,
      client: CLIENT_SUBPROTOCOL,
      parley_events: PARLEY_EVENTS_SUBPROTOCOL,
      token_prefix: TOKEN_SUBPROTOCOL_PREFIX,
    },
    event_types: EVENT_TYPES,
    handler_event_types: HANDLER_EVENT_TYPES,
    agent_frame_types: typesOf(AgentFrame),
    server_frame_types: typesOf(ServerFrame),
    parley_frame_types: typesOf(ParleyFrame),
    client_event_names: CLIENT_EVENT_NAMES,
    client_event_of_frame: CLIENT_EVENT_OF_FRAME,
    declaration_defaults: declaration,
    turn_detection_defaults: { server_vad: declaration.turn_detection, semantic_vad: semantic },
  };
}

/** The capability table; each row is held against its own schema first. */
export function capabilities(): Record<string, unknown> {
  const check = compileCheck(contractSchema('ProviderCapability'));
  for (const row of CAPABILITIES) {
    const problem = check(row, '');
    if (problem) throw new Error(`the capability row of '${row.provider}' does not fit its schema: ${problem.message}`);
  }
  return { providers: CAPABILITIES };
}

function typesOf(union: { options: readonly { shape: { type: { value: string } } }[] }): string[] {
  return union.options.map((option) => option.shape.type.value);
}
