// The conversations that were held in a directory: Codex keeps them in a home of its own for each directory, and the id of the last
// one stands beside it.

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { ParleyError } from '@parley/client';

export class Conversations {
  readonly #directory: string;
  readonly #folder: string;

  constructor(directory: string) {
    const state = process.env['XDG_STATE_HOME'] || join(homedir(), '.local', 'state');
    const name = createHash('sha256').update(directory).digest('hex').slice(0, 16);
    this.#directory = directory;
    this.#folder = join(state, 'parley', 'turns', name);
  }

  /** The CODEX_HOME of this directory. */
  get home(): string {
    return join(this.#folder, 'codex');
  }

  /** @throws ParleyError `not_found`. */
  last(): string {
    try {
      return (JSON.parse(readFileSync(this.#file, 'utf8')) as { conversation_id: string }).conversation_id;
    } catch (cause) {
      throw new ParleyError('not_found', `no conversation was held in ${this.#directory}: run without --resume first`, {
        cause,
      });
    }
  }

  remember(conversation_id: string): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const next = `${this.#file}.${process.pid}`;
    writeFileSync(next, `${JSON.stringify({ directory: this.#directory, conversation_id })}\n`, { mode: 0o600 });
    renameSync(next, this.#file);
  }

  get #file(): string {
    return join(this.#folder, 'last.json');
  }
}
