// Patterns and bounds that more than one part of the contract uses. Nothing here needs zod: a page that is given these
// numbers must not carry a schema library.

/** Agents and sessions. */
export const NAME_PATTERN = '^[a-z][a-z0-9_-]{0,63}$';
/** Functions: what every provider accepts as the name of a tool. */
export const FUNCTION_NAME_PATTERN = '^[A-Za-z_][A-Za-z0-9_-]{0,63}$';
/** An entry of `tools`: `agent.function`, or the bare name of a function of the same agent. */
export const TOOL_REF_PATTERN = '^(?:[a-z][a-z0-9_-]{0,63}\\.)?[A-Za-z_][A-Za-z0-9_-]{0,63}$';
/** `agent.session` or `agent.function`. */
export const TARGET_PATTERN = '^[a-z][a-z0-9_-]{0,63}\\.[A-Za-z_][A-Za-z0-9_-]{0,63}$';

/** Sizes that every implementation keeps. They stand in `catalog.json`. */
export const LIMITS = {
  /** One frame on a client socket or an agent link. */
  frame_bytes_max: 16 * 1024 * 1024,
  /** One HTTP body. */
  body_bytes_max: 4 * 1024 * 1024,
  /** Input or output of one execution, as JSON. */
  payload_bytes_max: 1024 * 1024,
  tools_max: 128,
  /** Of one agent; with their schemas they have to fit into one frame. */
  functions_max: 65_536,
  sessions_max: 65_536,
  instructions_chars_max: 65_536,
  say_chars_max: 16_384,
  tags_max: 64,
  metadata_keys_max: 64,
  /** Texts that wait to be spoken, and injected ones that wait for the provider, in one session. */
  says_waiting_max: 64,
  texts_waiting_max: 64,
  /** Answered call ids that a session remembers, to know a repeated one. */
  answered_calls_max: 256,
  /** Where a declaration does not say. */
  tool_calls_in_flight: 16,
  /** An SDP offer. Browsers make some 10 KiB. */
  offer_bytes_max: 65_536,
  /** Changes of a session by its client that are put right; one more ends it. */
  tamperings_max: 3,
  /** Sound of one turn that is sent in one request, and of the answer to it. */
  turn_audio_ms_max: 120_000,
  turn_reply_ms_max: 180_000,
  /** The body of that request: such a sound at 24 kHz as base64 in JSON. */
  turn_body_bytes_max: 8 * 1024 * 1024,
} as const;

/** Times that every implementation keeps. They stand in `catalog.json`. */
export const TIMES = {
  agent_heartbeat_ms: 10_000,
  /** An agent link that was silent this long is gone. */
  agent_lease_ms: 30_000,
  /** After a cut link, how long its executions wait for the same agent instance to come back. */
  agent_resume_ms: 20_000,
  /** Only a connection that lived this long resets the backoff. */
  backoff_reset_ms: 5_000,
  backoff_min_ms: 250,
  backoff_max_ms: 30_000,
  execution_timeout_ms: 90_000,
  /** A provider that was asked for an answer must begin it within this time. */
  response_creating_ms: 30_000,
  /** A turn that is sent in one request is answered within this time, when the request does not say less. */
  turn_ms: 120_000,
  /** A call whose client was cut off waits this long for it. */
  client_resume_ms: 30_000,
  /** How long an offer may wait for its answer. */
  offer_ms: 15_000,
  /** How long ICE and DTLS may take, and after them the client to open its data channel. */
  media_connect_ms: 15_000,
  channel_open_ms: 10_000,
  /** How long a cut sideband is dialled again before its call is given up. */
  sideband_ms: 15_000,
  /** How long after its reckoned end an answer may still be played before it counts as heard. */
  playback_report_ms: 5_000,
  drain_ms: 30_000,
  /** A session without a client or a turn for this long is closed. */
  session_idle_ms: 5 * 60_000,
  session_max_ms: 60 * 60_000,
  session_token_ms: 60 * 60_000,
} as const;
