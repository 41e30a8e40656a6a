// The completions that were asked for, as tests and dashboards see them.

/** One request for an answer. */
export interface SimulatorTurn {
  readonly id: string;
  /** Whose manners it was answered with, by the path that it came over. */
  readonly host: 'openai' | 'openrouter';
  readonly model: string;
  /** The roles of the messages, in order. */
  readonly roles: readonly string[];
  /** What was heard in the last message of the user; '' for a voice without a code. */
  readonly heard: string;
  /** What was said, as far as it was said. */
  readonly spoken: string;
  /** Tools that were called. */
  readonly called: readonly string[];
  /** `aborted`: the client hung up, and nothing more was generated. */
  readonly status: 'generating' | 'completed' | 'aborted' | 'failed';
  /** Milliseconds of sound that were sent. */
  readonly audio_ms: number;
}

export type Turn = { -readonly [K in keyof SimulatorTurn]: SimulatorTurn[K] };

const TURNS_MAX = 256;

export class TurnLog {
  readonly turns: Turn[] = [];

  begin(turn: Pick<Turn, 'id' | 'host' | 'model' | 'roles'>): Turn {
    const entry: Turn = { ...turn, heard: '', spoken: '', called: [], status: 'generating', audio_ms: 0 };
    this.turns.push(entry);
    if (this.turns.length > TURNS_MAX) this.turns.shift();
    return entry;
  }
}
