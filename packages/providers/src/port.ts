// The port between a session and whoever runs its model: a factory, one connection a session, tagged commands in,
// tagged events out, and media frames past both on their own short path.
//
// P1  `events` delivers in the provider's order, and nothing after `closed`.
// P2  `closed` settles exactly once, whatever happened, and never rejects.
// P3  Every `respond` and `say` is followed by `response.started`, or by `provider.failed` with its command_id
//     (`respond`, or the say_id), or by `closed`. The failure of any other command carries its name as command_id
//     (`tool_output:call_…` with its call), that of a client's frame `client`, and one that names no frame `unknown`.
// P4  Media never waits for a listener of events, and is never parsed beyond its type and its length.

import type {
  ErrorObject,
  ModelCommand,
  ModelEvent,
  ProviderCapability,
  ResolvedTool,
  TurnDetection,
} from '@parley/core';
import type { FrameSocket } from '@parley/transport';

/** Everything that a model is told at the start of a session. */
export interface ModelSessionOptions {
  /** Of the declaration. `audio_turns` makes a provider that has both perform the session by turns. */
  transport?: string | undefined;
  model: string;
  voice: string;
  instructions?: string | undefined;
  language?: string | undefined;
  modalities: readonly ('audio' | 'text' | 'image')[];
  tools: readonly Pick<ResolvedTool, 'name' | 'description' | 'input_schema'>[];
  /** null is push-to-talk. With responder `handler` the model never answers by itself. */
  turn_detection: TurnDetection | null;
  responder: 'model' | 'handler';
  /** Stable, hashed id of the end user, for the provider's safety systems. */
  safety_id?: string | undefined;
  /** A handle of an earlier connection, whose conversation goes on; only where the provider has handles. */
  resume_handle?: string | undefined;
  /** The last item of that conversation, as this side names it: where the provider names none, the next one stands behind it. */
  resume_item_id?: string | undefined;
  /** Of a call: how long it may be without its sideband. */
  sideband_ms?: number | undefined;
  /** What only this provider knows, in its own words (for OpenAI fields of `session`): merged over the rest, `tools` after the functions. */
  settings?: Readonly<Record<string, unknown>> | undefined;
  /** Aborts the connecting, not the connection. */
  signal?: AbortSignal | undefined;
}

export interface ModelClosed {
  /** WebSocket close code, 1006 for a cut connection. */
  code: number;
  reason: string;
  /** Whether connecting again can help. */
  recoverable: boolean;
  error?: ErrorObject | undefined;
}

export interface MediaCounts {
  /** Sound that went to the provider and came from it. */
  user_audio_ms: number;
  reply_audio_ms: number;
  /** Frames that came from the provider, and frames of clients that went to it. */
  frames_in: number;
  frames_out: number;
}

/**
 * One session with a model.
 * The frames of `media` speak OpenAI Realtime GA event names whatever the provider speaks: that is what clients of
 * Parley speak. An adapter of a provider that speaks something else translates.
 */
export interface ModelConnection {
  readonly provider_session_id: string | undefined;
  /**
   * Performs a command. Throws nothing: a refusal is a `provider.failed` event. A tool call of another connection is
   * told by two `add_item`, its `function_call` and its `function_call_output`; where the provider takes no such items
   * the adapter tells it in words, and nobody is shown them as the user's.
   * @param event_id the id of its frame, for whoever reads refusals on `owner`; without it the adapter makes one.
   */
  send(command: ModelCommand, event_id?: string): void;
  /** The one listener of events. Set it in the same turn in which the connection was received. */
  onEvent(listener: (event: ModelEvent) => void): void;
  readonly media: ModelMedia;
  /** The newest handle with which another connection can take the conversation up; where the provider has handles. */
  readonly resumeHandle?: string | undefined;
  /** The one listener that is told that the provider is about to end the connection, in so many milliseconds. */
  onGoingAway?(listener: (ms: number) => void): void;
  /** All that the model says, for who has no clients and runs the tools itself. Absent where frames are only made for clients. */
  readonly owner?: ModelOwner;
  readonly closed: Promise<ModelClosed>;
  close(reason?: string): void;
}

/** The whole conversation in OpenAI Realtime GA names: nothing is hidden, and whoever listens here takes the place of clients. */
export interface ModelOwner {
  /** The session as the provider confirmed it. */
  readonly session: Readonly<Record<string, unknown>>;
  /**
   * The one listener, called before the events that follow from a frame. `event` is the frame decoded, null where the
   * adapter had no need to: then it is sound, a delta, or something that it does not know.
   */
  onFrame(listener: (type: string | null, frame: Buffer, event: Record<string, unknown> | null) => void): void;
  /** Any client event, as it is. */
  send(event: Record<string, unknown> & { type: string }): void;
  /** Sound of the user in the format of the session. */
  sendAudio(audio: Buffer): void;
}

/** The short path. Frames are whole JSON texts in the buffers that they came in. */
export interface ModelMedia {
  /** The socket under it, for pausing and for its buffered bytes. */
  readonly socket: FrameSocket;
  /** A client's frame, checked by the caller against `client_events`. */
  send(frame: Buffer): void;
  /** Frames for the client, in order; those that a client must not see (tools, instructions) were left out. */
  onFrame(listener: (frame: Buffer, kind: 'audio' | 'other') => void): void;
  counts(): MediaCounts;
}

/** A call whose media flow between its client and the provider; the server has its control connection to it. */
export interface ModelCall {
  /** The provider's name for it. */
  call_id: string;
  answer_sdp: string;
  /** As any other, but for its media: no client is served from it. Commands wait while its sideband is away. */
  connection: ModelConnection;
  /** Resolves when the sideband is there; until then nothing is heard of the call. Rejects with a ParleyError. */
  attached: Promise<void>;
  /** The one listener of what the client did over its own connection, and what was taken back without harm. */
  onRejected(listener: (error: ErrorObject) => void): void;
  /** Ends the call and the connection. One that is over is ended. @throws ParleyError when the provider could not be told. */
  hangUp(reason?: string): Promise<void>;
}

export interface RealtimeModel {
  readonly provider: string;
  readonly capabilities: ProviderCapability;
  /**
   * Opens a connection and resolves when the provider accepted the session (after `session.updated`).
   * @throws ParleyError: `unauthenticated`, `permission_denied`, `resource_exhausted`, `unavailable`, `deadline_exceeded`,
   * `invalid_argument`, `failed_precondition` (the provider retired the protocol), `cancelled`; `details.boundary` is `parley -> provider`.
   */
  connect(options: ModelSessionOptions): Promise<ModelConnection>;
  /**
   * Creates a call of a client's SDP offer, where the provider terminates media, and attaches to it. Resolves with the
   * provider's answer. `connection.closed` settles when the call is over.
   * @throws ParleyError as `connect`.
   */
  call?(options: ModelSessionOptions, offer_sdp: string): Promise<ModelCall>;
}

/** Base URL and key of one provider, from the server's configuration. */
export interface ModelConfig {
  /** `https://…/v1` or `http://127.0.0.1:…/v1`; the WebSocket URL is made of it. */
  base_url: string;
  key?: string | undefined;
  /** More headers of the handshake, as some hosts of the same protocol want. */
  headers?: Readonly<Record<string, string>> | undefined;
  /** PEM of an authority to trust besides the system's. */
  ca?: string | undefined;
  connect_timeout_ms?: number | undefined;
  /** A provider that was silent this long is pinged, and given up after as long again. Default 20 s; 0 never pings. */
  ping_ms?: number | undefined;
  /** Model that writes down what the user says. */
  transcription_model?: string | undefined;
  /** `openai_live`: the Responses model that works with the tools. */
  delegation_model?: string | undefined;
}
