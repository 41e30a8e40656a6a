import { newId } from '@parley/core';
import type { Calls } from '../call/calls.ts';
import { newConfig, patchConfig, type SessionConfig } from '../session/config.ts';
import { invalid, missing, WireError } from '../session/wire-error.ts';
import { isObject } from '../wire.ts';
import type { Access } from './handshake.ts';

// `POST /v1/realtime/calls`: an offer, and what the session shall be.

export interface CallRequest {
  contentType: string;
  body: Buffer;
  /** `model` of the query, where it is there. */
  model: string | null;
  /** Of the key, where it is a client secret. */
  secret: SessionConfig | null;
}

/** The offer and the session of a request; throws the error of a body that is neither of the two shapes. */
export async function readCall(
  { contentType, body, model, secret }: CallRequest,
  access: Access,
  expiresAt: number,
): Promise<{ offer: string; config: SessionConfig }> {
  const { offer, session } = await readParts(contentType, body);
  if (offer.trim() === '') throw missing('sdp');
  const asked = isObject(session) && typeof session['model'] === 'string' ? session['model'] : null;
  const name = secret?.model ?? asked ?? model ?? access.defaultModel;
  if (access.deniedModels.includes(name) || (access.models && !access.models.includes(name))) {
    throw new WireError('model_not_found', `The model \`${name}\` does not exist or you do not have access to it.`);
  }
  const type =
    secret?.type ?? (isObject(session) && session['type'] === 'transcription' ? 'transcription' : 'realtime');
  const fresh = newConfig(type, newId('session'), name, expiresAt);
  const config = secret ? { ...structuredClone(secret), id: fresh.id, expires_at: expiresAt } : fresh;
  if (session === undefined) return { offer, config };
  if (!isObject(session)) throw invalid('session', session, 'an object');
  return { offer, config: patchConfig(config, session, false) };
}

async function readParts(contentType: string, body: Buffer): Promise<{ offer: string; session: unknown }> {
  if (/^application\/sdp\b/iu.test(contentType)) return { offer: body.toString(), session: undefined };
  if (!/^multipart\/form-data\b/iu.test(contentType)) {
    throw new WireError(
      null,
      `Unsupported content type '${contentType}'. Expected application/sdp or multipart/form-data.`,
    );
  }
  const form = await new Response(new Uint8Array(body), { headers: { 'content-type': contentType } })
    .formData()
    .catch(() => {
      throw new WireError(null, 'We could not parse the multipart body of your request.');
    });
  const offer = await textOf(form.get('sdp'));
  const session = await textOf(form.get('session'));
  if (offer === null) throw missing('sdp');
  if (session === null) return { offer, session: undefined };
  try {
    return { offer, session: JSON.parse(session) as unknown };
  } catch {
    throw new WireError('invalid_json', "We could not parse the JSON of 'session'.", 'session');
  }
}

/** A part with a file name comes as a file, one without as a string. */
async function textOf(part: string | Blob | null): Promise<string | null> {
  return part === null || typeof part === 'string' ? part : part.text();
}

/** What an answered call says in HTTP. */
export async function createCall(
  request: CallRequest,
  access: Access,
  calls: Calls,
  expiresAt: number,
): Promise<{ answer: string; location: string }> {
  const { offer, config } = await readCall(request, access, expiresAt);
  const { call, answer } = await calls.create(offer, config);
  return { answer, location: `/v1/realtime/calls/${call.id}` };
}
