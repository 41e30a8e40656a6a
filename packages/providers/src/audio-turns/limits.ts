// What one session holds at most, and how long it waits.

export interface TurnsLimits {
  /** Of one turn of the user; speech that goes on is taken as a turn there. */
  turn_ms_max: number;
  /** Of the history that every request tells again; the oldest goes first. */
  history_items_max: number;
  history_chars_max: number;
  /** Sound of turns that could not be written down. */
  history_audio_bytes_max: number;
  /** Transcripts that are waited for at a time. */
  transcripts_max: number;
  transcript_ms_max: number;
  /** A provider that says nothing for so long has lost the request. */
  silence_ms: number;
  /** From the request to the end of the answer. */
  answer_ms_max: number;
  /** Answers beside the conversation. */
  out_of_band_max: number;
  /** Bytes that wait for the reader before the provider is not read any more. */
  unread_bytes_max: number;
}

export const TURNS_LIMITS: TurnsLimits = {
  turn_ms_max: 120_000,
  history_items_max: 400,
  history_chars_max: 120_000,
  history_audio_bytes_max: 8 * 1024 * 1024,
  transcripts_max: 4,
  transcript_ms_max: 30_000,
  silence_ms: 30_000,
  answer_ms_max: 180_000,
  out_of_band_max: 4,
  unread_bytes_max: 1024 * 1024,
};
