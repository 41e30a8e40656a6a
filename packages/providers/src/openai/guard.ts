// What a session is, as the server told the provider, against what the provider says that it is. Over a call's own data
// channel a client can change anything; each change is told to every control connection by `session.updated`.
//
// P1  What the server asked for is never taken for somebody else's change, whatever the provider makes of it.
// P2  Instructions and the names of tools are never learned from the provider.

import { isObject, listIn, objectIn, textIn, type Wire } from './wire.ts';

/**
 * What a provider says of a session besides what it was told, and `tracing`: clients turn it on with their first frame,
 * it says nothing to the model, and once it is on the provider lets nobody turn it off.
 */
const VOLATILE = new Set(['id', 'object', 'type', 'expires_at', 'client_secret', 'tracing']);

export type Verdict = { kind: 'ours' } | { kind: 'restored' } | { kind: 'tampered'; fields: string[] };

const OURS: Verdict = { kind: 'ours' };

export class SessionGuard {
  #wanted: Wire;
  /** The session as the provider confirmed it, by path: what nobody else may change. */
  #known: Map<string, unknown> | null = null;
  /** Requests of ours that were not confirmed yet, and the paths that they may change. */
  #pending = 0;
  readonly #touched = new Set<string>();
  /** What was wanted before each request that may still be refused. */
  readonly #before = new Map<string, Wire>();
  #tampered: string[] = [];

  /** @param wanted the session that was asked for. */
  constructor(wanted: Wire) {
    this.#wanted = wanted;
  }

  /** A `session.update` with this patch is about to go out. */
  asked(event_id: string, patch: Wire): void {
    this.#before.set(event_id, this.#wanted);
    this.#wanted = merged(this.#wanted, patch);
    this.#pending += 1;
    for (const path of flat(patch).keys()) this.#touched.add(path);
  }

  /** It was refused: the session is what it was. */
  refused(event_id: string): void {
    const before = this.#before.get(event_id);
    if (!before) return;
    this.#wanted = before;
    this.#before.delete(event_id);
    this.#pending = Math.max(0, this.#pending - 1);
  }

  /** The control connection is another one: what was asked on the old one is not confirmed on it. */
  forget(): void {
    this.#pending = 0;
    this.#before.clear();
  }

  /** What a new control connection says of the session before it was asked for anything. */
  saw(session: Wire): Verdict {
    const fields = this.#known === null ? [] : this.#differing(session, new Set());
    return fields.length > 0 ? this.#changed(fields) : OURS;
  }

  /** A `session.update` that says everything again. */
  restoring(event_id: string): Wire {
    this.#before.set(event_id, this.#wanted);
    const { audio, ...rest } = this.#wanted;
    const input = objectIn(isObject(audio) ? audio : {}, 'input');
    const session: Wire = { ...rest, audio: { input } };
    // A voice cannot be changed once it was heard, so it is named only when somebody did.
    if (this.#tampered.includes('audio.output.voice')) set(session, 'audio.output.voice', this.#wantedVoice());
    for (const path of this.#tampered) {
      if (read(this.#wanted, path) === undefined) set(session, path, this.#known?.get(path) ?? null);
    }
    this.#pending += 1;
    return session;
  }

  /** What the provider says that the session is now. */
  confirmed(session: Wire): Verdict {
    const asked = this.#pending > 0;
    this.#pending = Math.max(0, this.#pending - 1);
    if (this.#pending > 0) return OURS;
    const fields = this.#differing(session, asked ? this.#touched : new Set());
    if (asked) {
      this.#touched.clear();
      this.#before.clear();
    }
    if (fields.length > 0) return this.#changed(fields);
    this.#known = flat(session);
    if (this.#tampered.length === 0) return OURS;
    this.#tampered = [];
    return { kind: 'restored' };
  }

  #differing(session: Wire, allowed: ReadonlySet<string>): string[] {
    const fields = this.#strict(session);
    const known = this.#known;
    if (!known) return fields;
    const now = flat(session);
    for (const path of new Set([...known.keys(), ...now.keys()])) {
      if (fields.includes(path) || allowed.has(path)) continue;
      if (canonical(now.get(path)) !== canonical(known.get(path))) fields.push(path);
    }
    return fields;
  }

  #changed(fields: string[]): Verdict {
    this.#tampered = [...new Set([...this.#tampered, ...fields])];
    return { kind: 'tampered', fields };
  }

  #strict(session: Wire): string[] {
    const fields: string[] = [];
    if ((textIn(session, 'instructions') ?? '') !== (textIn(this.#wanted, 'instructions') ?? ''))
      fields.push('instructions');
    if (namesOf(session) !== namesOf(this.#wanted)) fields.push('tools');
    return fields;
  }

  #wantedVoice(): unknown {
    return read(this.#wanted, 'audio.output.voice') ?? null;
  }
}

function namesOf(session: Wire): string {
  return JSON.stringify(listIn(session, 'tools').map((tool) => textIn(tool, 'name') ?? textIn(tool, 'server_label')));
}

/** A patch over a session: only what it names changes. */
function merged(session: Wire, patch: Wire): Wire {
  const before = objectIn(session, 'audio');
  const audio = objectIn(patch, 'audio');
  return {
    ...session,
    ...patch,
    audio: {
      input: { ...objectIn(before, 'input'), ...objectIn(audio, 'input') },
      output: { ...objectIn(before, 'output'), ...objectIn(audio, 'output') },
    },
  };
}

/** A session by path: `instructions`, `audio.input.turn_detection`. Null is as good as nothing. */
function flat(session: Wire): Map<string, unknown> {
  const paths = new Map<string, unknown>();
  const put = (path: string, value: unknown): void => {
    if (value !== null && value !== undefined) paths.set(path, value);
  };
  for (const [name, value] of Object.entries(session)) {
    if (VOLATILE.has(name)) continue;
    if (name !== 'audio') put(name, value);
    else if (isObject(value)) {
      for (const side of ['input', 'output']) {
        for (const [field, inner] of Object.entries(objectIn(value, side))) put(`audio.${side}.${field}`, inner);
      }
    }
  }
  return paths;
}

function read(session: Wire, path: string): unknown {
  return flat(session).get(path);
}

function set(session: Wire, path: string, value: unknown): void {
  const [top, side, field] = path.split('.');
  if (top === undefined) return;
  if (side === undefined || field === undefined) {
    session[top] = value;
    return;
  }
  const audio = objectIn(session, 'audio');
  session['audio'] = { ...audio, [side]: { ...objectIn(audio, side), [field]: value } };
}

/** JSON with its keys in one order. */
function canonical(value: unknown): string | undefined {
  return JSON.stringify(value, (_key, inner: unknown) =>
    isObject(inner) ? Object.fromEntries(Object.entries(inner).sort(([a], [b]) => (a < b ? -1 : 1))) : inner,
  );
}
