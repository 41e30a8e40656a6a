import { ParleyError } from '@parley/core';
import { LineCounter, parseDocument } from 'yaml';
import { isObject, type Wire } from './wire.ts';

// What the simulated model says and which tools it calls: rules on what it heard, the first match wins.

/** A call of one tool. In strings, `$1` is the first group of the rule's pattern; `$0` is all that matched. */
export interface ScriptCall {
  name: string;
  arguments?: Record<string, unknown>;
}

/** One rule of a script. A rule has `say`, `call` or both (spoken first, then called). */
export interface ScriptRule {
  /** Regular expression on the last user turn, without regard to case. */
  heard: string;
  /** What to say; `$1` and `{{heard}}` are filled in. */
  say?: string;
  /** One tool, or several in parallel. */
  call?: ScriptCall | ScriptCall[];
  /** What to say once every output has come: `{{output.path}}`, or `{{outputs.0.path}}` for parallel calls. */
  then?: string;
  /** What to say instead of `then` where an output holds `error`; `{{error}}` is its message. */
  onError?: string;
}

/** The behaviour of the simulated model. */
export interface Script {
  /** Spoken where the model is asked to answer an empty conversation; null: a short hello. */
  greeting?: string | null;
  /** Spoken when the idle timeout asks the model to prompt the user again. */
  idle?: string;
  rules?: ScriptRule[];
  /** Spoken where no rule matches. */
  otherwise?: string;
  /**
   * `echo` is a load mode: each `input_audio_buffer.append` is answered at once by a `response.output_audio.delta` of
   * the same audio, without voice activity detection, items or transcripts.
   */
  mode?: 'talk' | 'echo';
}

/** Repeats what it heard. */
export const DEFAULT_SCRIPT: Script = { rules: [], otherwise: 'You said: {{heard}}' };

const RULES_MAX = 1_000;
const TOP_KEYS = ['greeting', 'idle', 'rules', 'otherwise', 'mode'];
const RULE_KEYS = ['heard', 'say', 'call', 'then', 'on_error', 'onError'];

/**
 * Reads a script written in YAML or JSON. Throws `invalid_argument` that names the line and the field.
 *
 * @example
 * const script = parseScript(`
 * rules:
 *   - heard: "order (\\\\d+)"
 *     call: { name: lookup_order, arguments: { order: "$1" } }
 *     then: "Order $1 ships on {{output.ship_day}}."
 * otherwise: "You said: {{heard}}"
 * `);
 */
export function parseScript(text: string): Script {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const [broken] = document.errors;
  if (broken)
    throw new ParleyError('invalid_argument', `script, line ${lines.linePos(broken.pos[0]).line}: ${broken.message}`);
  const fail = (path: (string | number)[], message: string): never => {
    // A field that is missing has no place: the line is that of what should hold it.
    let line = 1;
    for (let length = path.length; length >= 0; length--) {
      const node = document.getIn(path.slice(0, length), true) as { range?: [number, number, number] } | undefined;
      if (!node?.range) continue;
      line = lines.linePos(node.range[0]).line;
      break;
    }
    throw new ParleyError('invalid_argument', `script, line ${line}, ${path.join('.') || 'top'}: ${message}`);
  };
  return new Reader(fail).script(document.toJS() as unknown);
}

type Path = (string | number)[];

class Reader {
  readonly #fail: (path: Path, message: string) => never;

  constructor(fail: (path: Path, message: string) => never) {
    this.#fail = fail;
  }

  script(value: unknown): Script {
    if (value === null) return DEFAULT_SCRIPT;
    const source = this.#object(value, [], TOP_KEYS);
    const script: Script = { rules: [] };
    if (source['greeting'] != null) script.greeting = this.#text(source['greeting'], ['greeting']);
    if (source['idle'] != null) script.idle = this.#text(source['idle'], ['idle']);
    script.otherwise =
      source['otherwise'] == null
        ? (DEFAULT_SCRIPT.otherwise as string)
        : this.#text(source['otherwise'], ['otherwise']);
    const mode = source['mode'] ?? 'talk';
    if (mode !== 'talk' && mode !== 'echo')
      this.#fail(['mode'], `expected 'talk' or 'echo', got ${JSON.stringify(mode)}`);
    script.mode = mode as 'talk' | 'echo';
    const rules = source['rules'] ?? [];
    if (!Array.isArray(rules)) return this.#fail(['rules'], 'expected a list of rules');
    if (rules.length > RULES_MAX) this.#fail(['rules'], `expected at most ${RULES_MAX} rules, got ${rules.length}`);
    script.rules = rules.map((rule, index) => this.#rule(rule, ['rules', index]));
    return script;
  }

  #rule(value: unknown, path: Path): ScriptRule {
    const source = this.#object(value, path, RULE_KEYS);
    const rule: ScriptRule = { heard: this.#text(source['heard'], [...path, 'heard']) };
    try {
      new RegExp(rule.heard, 'iu');
    } catch (error) {
      this.#fail([...path, 'heard'], error instanceof Error ? error.message : 'not a regular expression');
    }
    if (source['say'] != null) rule.say = this.#text(source['say'], [...path, 'say']);
    // oxlint-disable-next-line unicorn/no-thenable -- the script's own word, and a string: nothing can await it
    if (source['then'] != null) rule.then = this.#text(source['then'], [...path, 'then']);
    const onError = source['on_error'] ?? source['onError'];
    if (onError != null) rule.onError = this.#text(onError, [...path, 'on_error']);
    const call = source['call'];
    if (Array.isArray(call)) rule.call = call.map((one, index) => this.#call(one, [...path, 'call', index]));
    else if (call != null) rule.call = this.#call(call, [...path, 'call']);
    if (rule.say === undefined && rule.call === undefined) this.#fail(path, 'expected `say` or `call`');
    return rule;
  }

  #call(value: unknown, path: Path): ScriptCall {
    const source = this.#object(value, path, ['name', 'arguments']);
    const call: ScriptCall = { name: this.#text(source['name'], [...path, 'name']) };
    const given = source['arguments'];
    if (given != null) {
      if (!isObject(given)) return this.#fail([...path, 'arguments'], 'expected an object');
      call.arguments = given;
    }
    return call;
  }

  #object(value: unknown, path: Path, keys: string[]): Wire {
    if (!isObject(value)) return this.#fail(path, `expected an object with ${keys.join(', ')}`);
    for (const key of Object.keys(value)) {
      if (!keys.includes(key)) this.#fail([...path, key], `unknown field; expected one of ${keys.join(', ')}`);
    }
    return value;
  }

  #text(value: unknown, path: Path): string {
    if (typeof value === 'string') return value;
    return this.#fail(path, `expected a string, got ${value === undefined ? 'nothing' : JSON.stringify(value)}`);
  }
}
