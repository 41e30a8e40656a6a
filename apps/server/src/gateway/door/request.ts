// What a client of OpenAI says that its session should be, and what of it is heeded.
//
// P1  What the declaration says stays: provider, model, voice, instructions, tools, turn detection, formats.
// P2  What it leaves open (instructions, voice) may be said by whoever holds a key, when it makes a secret or a call.
//     A client's `session.update` says nothing: a page may hold the client.

import { capabilityOf, LIMITS, newId, ParleyError, type SessionDeclaration, type StartRequest } from '@parley/core';

type Json = Record<string, unknown>;

const PCM24 = { type: 'audio/pcm', rate: 24_000 };
const MODEL_CHARS_MAX = 200;

/** The session object of a request's body, checked as far as it is heeded. */
export function sessionOf(value: unknown): Json {
  if (!isObject(value)) throw refused('session', 'session must be an object');
  const { type } = value;
  if (type !== undefined && type !== 'realtime') {
    throw refused('session.type', `session.type must be 'realtime', got ${quoted(type)}: Parley serves no other kind`);
  }
  return value;
}

/** The target that `model` names. */
export function targetOf(model: unknown, path: string): string {
  if (typeof model === 'string' && model !== '' && model.length <= MODEL_CHARS_MAX) return model;
  throw new ParleyError('invalid_argument', `${path} must be a session target, agent.session`, {
    details: { path, openai_code: model === undefined ? 'missing_model' : 'invalid_value' },
  });
}

/** How a session of a declaration is started by somebody who asks for `session`. */
export function startOf(declared: SessionDeclaration, session: Json, user: string | undefined): StartRequest {
  const instructions = session['instructions'];
  const voice = part(part(session, 'audio'), 'output')['voice'];
  return {
    ...(declared.instructions === undefined && typeof instructions === 'string' && instructions !== ''
      ? { instructions: bounded(instructions, 'session.instructions', LIMITS.instructions_chars_max) }
      : {}),
    ...(declared.voice === undefined && typeof voice === 'string' && voice !== ''
      ? { voice: bounded(voice, 'session.audio.output.voice', 128) }
      : {}),
    metadata: { door: 'openai', ...(user === undefined ? {} : { user_id: user }) },
  };
}

/** A session that was not opened yet, as OpenAI shows one. Instructions are shown only to who said them. */
export function shownSession(target: string, declared: SessionDeclaration, request: StartRequest): Json {
  const audio = declared.modalities.includes('audio');
  return {
    type: 'realtime',
    object: 'realtime.session',
    id: newId('session'),
    model: target,
    output_modalities: [audio ? 'audio' : 'text'],
    instructions: request.instructions ?? '',
    tools: [],
    tool_choice: 'auto',
    max_output_tokens: 'inf',
    truncation: 'auto',
    tracing: null,
    prompt: null,
    include: null,
    expires_at: 0,
    audio: {
      input: {
        format: PCM24,
        transcription: null,
        noise_reduction: null,
        turn_detection: audio ? (declared.turn_detection ?? null) : null,
      },
      output: {
        format: PCM24,
        voice: request.voice ?? declared.voice ?? capabilityOf(declared.provider)?.default_voice ?? '',
        speed: 1,
      },
    },
  };
}

function part(value: Json, name: string): Json {
  const inner = value[name];
  return isObject(inner) ? inner : {};
}

function bounded(text: string, path: string, chars_max: number): string {
  if (text.length > chars_max) throw refused(path, `${path} may have at most ${chars_max} characters`);
  return text;
}

function refused(path: string, message: string): ParleyError {
  return new ParleyError('invalid_argument', message, { details: { path } });
}

function quoted(value: unknown): string {
  return (JSON.stringify(value) ?? 'nothing').slice(0, 64);
}

export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
