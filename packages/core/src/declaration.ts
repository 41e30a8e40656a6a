// Checks and completes what an agent registers. The texts here are part of the contract: every language says the same.

import { capabilityOf, knownProviders } from './contract/capabilities.ts';
import type {
  FunctionDeclaration,
  SessionDeclaration,
  SessionDeclarationInput,
  TurnDetection,
} from './contract/declaration.ts';
import type { ResolvedTool } from './contract/events.ts';
import { LIMITS, TARGET_PATTERN } from './contract/names.ts';
import { checked, describe } from './check.ts';
import { ParleyError } from './errors.ts';

/** What a client may send when a declaration does not say. */
const DEFAULT_CLIENT_EVENTS: SessionDeclaration['client_events'] = [
  'audio',
  'text',
  'commit',
  'clear',
  'respond',
  'cancel',
  'truncate',
  'retrieve',
];

const SERVER_VAD = {
  threshold: 0.5,
  prefix_padding_ms: 300,
  silence_duration_ms: 500,
  create_response: true,
  interrupt_response: true,
};
const SEMANTIC_VAD = { eagerness: 'auto' as const, create_response: true, interrupt_response: true };

function invalid(message: string, path: string, details: Record<string, unknown> = {}): ParleyError {
  return new ParleyError('invalid_argument', message, { details: { path, ...details } });
}

/**
 * Trims ASCII white space, lower-cases ASCII letters, and turns `-` into `_`: `" Audio-Turns"` is `audio_turns`.
 * Only ASCII: the languages disagree about the rest of Unicode's white space and case.
 */
export function normaliseName(value: string): string {
  return value
    .replace(/^[\t\n\v\f\r ]+|[\t\n\v\f\r ]+$/g, '')
    .replace(/[A-Z]/g, (letter) => letter.toLowerCase())
    .replaceAll('-', '_');
}

/** A provider and a transport, checked against the capability table. Throws ParleyError `invalid_argument`. */
export function checkPair(rawProvider: unknown, rawTransport: unknown): { provider: string; transport: string } {
  const provider = typeof rawProvider === 'string' ? normaliseName(rawProvider) : '';
  const transport = typeof rawTransport === 'string' ? normaliseName(rawTransport) : '';
  if (provider === '') throw invalid('Session provider is required; Parley does not infer providers.', 'provider');
  if (transport === '') throw invalid('Session transport is required; Parley does not infer transports.', 'transport');
  const row = capabilityOf(provider);
  if (!row) {
    const known = knownProviders();
    throw invalid(
      `Unknown session provider ${describe(rawProvider)}. Known providers: ${known.join(', ')}.`,
      'provider',
      { known },
    );
  }
  if (!Object.hasOwn(row.transports, transport)) {
    const supported = Object.keys(row.transports).sort();
    throw invalid(
      `Unsupported session transport ${describe(transport)} for provider '${provider}'. Supported transports: ${supported.join(', ') || 'none'}. ` +
        'Parley does not infer or switch providers; set provider and transport explicitly.',
      'transport',
      { provider, transport, supported },
    );
  }
  return { provider, transport };
}

/**
 * Checks a declaration and fills in its defaults.
 * Order: it is an object; provider and transport; the form of every field; then what the pair supports.
 *
 * @throws ParleyError `invalid_argument`; `details.path` names the field.
 * @example
 * parseDeclaration({ name: 'voice', provider: 'OpenAI', transport: 'WebSocket' }).provider // 'openai'
 */
export function parseDeclaration(raw: unknown): SessionDeclaration {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw invalid(`Session declaration must be an object, got ${describe(raw)}.`, '');
  }
  const own = (key: string) => (Object.hasOwn(raw, key) ? (raw as Record<string, unknown>)[key] : undefined);
  const { provider, transport } = checkPair(own('provider'), own('transport'));
  const input: SessionDeclarationInput = { ...checked('SessionDeclaration', raw), provider, transport };
  const capability = capabilityOf(provider)?.transports[transport];
  if (!capability) throw new ParleyError('internal', `no capability row for ${provider} over ${transport}`);

  const modalities = unique('modalities', input.modalities ?? ['audio', 'text']);
  for (const modality of modalities) {
    if (!capability.modalities.includes(modality)) {
      throw invalid(
        `Unsupported modality '${modality}' for provider '${provider}' over '${transport}'. Supported modalities: ${[...capability.modalities].sort().join(', ')}.`,
        'modalities',
      );
    }
  }
  const media = input.media ?? capability.via;
  if (!capability.media.includes(media)) {
    throw invalid(
      `Unsupported media '${media}' for provider '${provider}' over '${transport}'. Supported media: ${[...capability.media].sort().join(', ')}.`,
      'media',
    );
  }
  const declaration: SessionDeclaration = {
    ...input,
    modalities,
    responder: input.responder ?? 'model',
    tools: uniqueTools(input.tools ?? []),
    handoffs: unique('handoffs', input.handoffs ?? []),
    guardrails: unique('guardrails', input.guardrails ?? []),
    client_events: unique('client_events', input.client_events ?? DEFAULT_CLIENT_EVENTS),
    limits: input.limits ?? {},
    media,
    record: input.record ?? false,
    tags: unique('tags', input.tags ?? []),
    metadata: boundedMetadata(input.metadata ?? {}),
  };
  const detection = turnDetection(input.turn_detection, modalities, capability, provider, transport);
  if (detection === undefined) delete declaration.turn_detection;
  else declaration.turn_detection = detection;
  return declaration;
}

function turnDetection(
  wanted: TurnDetection | null | undefined,
  modalities: readonly string[],
  capability: { turn_detection: string[]; push_to_talk: boolean },
  provider: string,
  transport: string,
): TurnDetection | null | undefined {
  const pair = `provider '${provider}' over '${transport}'`;
  if (wanted === null) {
    if (!capability.push_to_talk)
      throw invalid(`turn_detection null (push-to-talk) is unsupported for ${pair}.`, 'turn_detection');
    return null;
  }
  if (wanted === undefined) {
    if (!modalities.includes('audio') || !capability.turn_detection.includes('server_vad')) return undefined;
    return { type: 'server_vad', ...SERVER_VAD };
  }
  if (!capability.turn_detection.includes(wanted.type)) {
    const supported = [...capability.turn_detection].sort().join(', ') || 'none';
    throw invalid(
      `Unsupported turn_detection '${wanted.type}' for ${pair}. Supported turn detection: ${supported}.`,
      'turn_detection.type',
    );
  }
  return wanted.type === 'server_vad' ? { ...SERVER_VAD, ...wanted } : { ...SEMANTIC_VAD, ...wanted };
}

function boundedMetadata(metadata: Record<string, unknown>): Record<string, unknown> {
  const max = LIMITS.metadata_keys_max;
  if (Object.keys(metadata).length > max) throw invalid(`metadata must have at most ${max} keys.`, 'metadata');
  return metadata;
}

function unique<T extends string>(field: string, values: readonly T[]): T[] {
  const seen = new Set<string>();
  for (const value of values) {
    if (seen.has(value)) throw invalid(`${field} must not name ${describe(value)} twice.`, field);
    seen.add(value);
  }
  return [...values];
}

/** The name that a tool has for the model: `resolve` of `support.resolve`. */
export function exposedToolName(reference: string): string {
  return reference.slice(reference.indexOf('.') + 1);
}

function uniqueTools(tools: readonly string[]): string[] {
  const byName = new Map<string, string>();
  for (const tool of tools) {
    const name = exposedToolName(tool);
    const other = byName.get(name);
    if (other !== undefined) throw invalid(`Tool name '${name}' is exposed twice: '${other}' and '${tool}'.`, 'tools');
    byName.set(name, tool);
  }
  return [...tools];
}

/** Checks the declaration of a function. Throws ParleyError `invalid_argument`. */
export function parseFunction(raw: unknown): FunctionDeclaration {
  return checked('FunctionDeclaration', raw);
}

const TARGET = new RegExp(TARGET_PATTERN);

/** `agent.name` as its two parts. Throws ParleyError `invalid_argument`. */
export function parseTarget(target: string): { agent: string; name: string } {
  if (!TARGET.test(target)) throw invalid(`target must be agent.name, got ${describe(target)}`, 'target');
  const dot = target.indexOf('.');
  return { agent: target.slice(0, dot), name: target.slice(dot + 1) };
}

/**
 * The tools of a session as the model sees them.
 * @param lookup finds a function of an agent, or undefined.
 * @throws ParleyError `failed_precondition` naming a tool whose function is not registered.
 */
export function resolveTools(
  agent: string,
  tools: readonly string[],
  lookup: (agent: string, name: string) => FunctionDeclaration | undefined,
): ResolvedTool[] {
  return tools.map((reference) => {
    const target = reference.includes('.') ? reference : `${agent}.${reference}`;
    const { agent: owner, name } = parseTarget(target);
    const found = lookup(owner, name);
    if (!found) {
      throw new ParleyError(
        'failed_precondition',
        `tool '${reference}' names ${target}, which no connected agent offers`,
        {
          retryable: true,
          details: { tool: reference, target },
        },
      );
    }
    const tool: ResolvedTool = { name, target, kind: found.kind };
    if (found.description !== undefined) tool.description = found.description;
    if (found.input_schema !== undefined) tool.input_schema = found.input_schema;
    if (found.timeout_ms !== undefined) tool.timeout_ms = found.timeout_ms;
    if (found.on_interrupt !== undefined) tool.on_interrupt = found.on_interrupt;
    return tool;
  });
}
