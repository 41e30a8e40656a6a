// The place of a session where its model is: connected once, when somebody is there.

import { type ModelCommand, type ModelEvent, ParleyError, type SessionResource, type SessionState } from '@parley/core';
import type { MediaCounts, ModelConnection, ModelMedia, ModelSessionOptions, RealtimeModel } from '@parley/providers';
import type { Logger } from '../telemetry/logger.ts';
import type { SessionLog } from './log.ts';
import { safetyId } from './resource.ts';

export interface ProviderPortOptions {
  session: SessionResource;
  model: RealtimeModel;
  logger: Logger;
  record: (event: Parameters<SessionLog['append']>[0]) => void;
  /** The model is there; its media begin to flow in this turn. */
  connected: (media: ModelMedia, provider_session_id: string | undefined) => Promise<unknown>;
  event: (event: ModelEvent) => void;
}

const NOTHING: MediaCounts = { user_audio_ms: 0, reply_audio_ms: 0, frames_in: 0, frames_out: 0 };

export class ProviderPort {
  readonly #options: ProviderPortOptions;
  readonly #abort = new AbortController();
  #connection: ModelConnection | null = null;
  /** Of connections before this one. */
  #before: MediaCounts = NOTHING;

  constructor(options: ProviderPortOptions) {
    this.#options = options;
  }

  counts(): MediaCounts {
    return sum(this.#before, this.#connection?.media.counts() ?? NOTHING);
  }

  send(command: ModelCommand): void {
    this.#connection?.send(command);
  }

  /** Also ends a connecting that is under way. */
  close(reason: string): void {
    this.#abort.abort();
    this.#connection?.close(reason);
  }

  /** What the model is told. @throws ParleyError `internal` before the session was created. */
  options({ declaration, tools, enabled_tools }: SessionState, signal: AbortSignal): ModelSessionOptions {
    if (!declaration) throw new ParleyError('internal', 'the session was not created yet');
    const { session } = this.#options;
    return {
      transport: session.transport,
      model: session.model,
      voice: declaration.voice ?? session.voice,
      instructions: declaration.instructions,
      language: declaration.language,
      modalities: declaration.modalities,
      tools: tools.filter((tool) => enabled_tools.includes(tool.name)),
      turn_detection: declaration.turn_detection ?? null,
      responder: declaration.responder,
      safety_id: safetyId(session),
      signal: AbortSignal.any([signal, this.#abort.signal]),
    };
  }

  /** From now on this is the session's connection. */
  adopt(connection: ModelConnection): void {
    this.#before = this.counts();
    this.#connection = connection;
    connection.onEvent((event) => {
      if (this.#connection === connection) this.#options.event(event);
    });
  }

  async connect(state: SessionState): Promise<void> {
    const { model, record, connected } = this.#options;
    const { signal } = this.#abort;
    try {
      const connection = await model.connect(this.options(state, signal));
      this.adopt(connection);
      void connection.closed.then((closed) => record({ type: 'provider.disconnected', ...closed }));
      if (signal.aborted) connection.close('session_closed');
      else await connected(connection.media, connection.provider_session_id);
    } catch (caught) {
      if (!signal.aborted) this.#refused(ParleyError.from(caught, 'unavailable'));
    }
  }

  #refused(error: ParleyError): void {
    const { session, logger, record } = this.#options;
    logger.warn({ session_id: session.session_id, code: error.code }, 'no connection to the provider');
    const { message: reason, retryable: recoverable } = error;
    record({ type: 'provider.disconnected', code: 1006, reason, recoverable, error: error.toObject() });
  }
}

function sum(a: MediaCounts, b: MediaCounts): MediaCounts {
  return {
    user_audio_ms: a.user_audio_ms + b.user_audio_ms,
    reply_audio_ms: a.reply_audio_ms + b.reply_audio_ms,
    frames_in: a.frames_in + b.frames_in,
    frames_out: a.frames_out + b.frames_out,
  };
}
