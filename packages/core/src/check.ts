// Checks a value against the contract, with the same words in every language. It reads the small subset of JSON Schema
// that `schemas/v1` is written in (see schemas/README.md) and stops at the first problem in a fixed order: the type,
// then required fields in the order of the schema, then present fields in that order, then unknown fields sorted by
// code point. Numbers are never echoed: languages print them differently.

import { toJSONSchema } from 'zod';
import { CONTRACT, type ContractName, type ContractType } from './contract/catalog.ts';
import { ParleyError } from './errors.ts';
import type { JsonSchema } from './json-schema.ts';

export interface Problem {
  /** Where: `tools[2]`, `turn_detection.threshold`, or the name of the whole when it is the root. */
  path: string;
  /** A sentence that starts with the path. */
  message: string;
}

type Check = (value: unknown, path: string) => Problem | null;

/** Longest excerpt of a wrong string that a message shows. */
const EXCERPT_CHARS = 64;

/** `'text'` in single quotes, cut; for anything else the name of its JSON type. */
export function describe(value: unknown): string {
  if (typeof value === 'string') {
    const chars = Array.from(value);
    return chars.length > EXCERPT_CHARS ? `'${chars.slice(0, EXCERPT_CHARS).join('')}…'` : `'${value}'`;
  }
  return jsonTypeOf(value);
}

function jsonTypeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  return typeof value === 'undefined' ? 'nothing' : typeof value;
}

/** Compiles a schema of the contract's subset. Throws on a keyword that is outside of it, by name. */
export function compileCheck(schema: JsonSchema): Check {
  return new Compiler((schema['$defs'] as Record<string, JsonSchema> | undefined) ?? {}).compile(schema);
}

const KNOWN_KEYWORDS = new Set(
  (
    '$schema $defs $ref $id id title description type properties required additionalProperties propertyNames items ' +
    'minItems maxItems enum const pattern minLength maxLength minimum maximum oneOf anyOf default'
  ).split(' '),
);

class Compiler {
  readonly #defs: Record<string, JsonSchema>;
  readonly #done = new Map<string, Check>();

  constructor(defs: Record<string, JsonSchema>) {
    this.#defs = defs;
  }

  compile(schema: JsonSchema): Check {
    for (const key of Object.keys(schema)) {
      if (!KNOWN_KEYWORDS.has(key)) throw new Error(`the contract may not use the JSON Schema keyword '${key}'`);
    }
    if (typeof schema['$ref'] === 'string') return this.#ref(schema['$ref']);
    if (Array.isArray(schema['oneOf'])) return this.#union(schema['oneOf'] as JsonSchema[]);
    if (Array.isArray(schema['anyOf'])) return this.#nullable(schema['anyOf'] as JsonSchema[]);
    const type = schema['type'];
    if (Array.isArray(type) && type.length === 2 && type.includes('null')) {
      return this.#nullable([{ ...schema, type: type.find((one) => one !== 'null') }, { type: 'null' }]);
    }
    if ('const' in schema) return oneOfValues([schema['const'] as string]);
    if (Array.isArray(schema['enum'])) return oneOfValues(schema['enum'] as string[]);
    switch (type) {
      case 'object':
        return this.#object(schema);
      case 'array':
        return this.#array(schema);
      case 'string':
        return string(schema);
      case 'integer':
      case 'number':
        return number(schema);
      case 'boolean':
        return (value, path) => (typeof value === 'boolean' ? null : wrongType(path, 'a boolean', value));
      case 'null':
        return (value, path) => (value === null ? null : wrongType(path, 'null', value));
      case undefined:
        return () => null;
      default:
        throw new Error(`the contract may not use the JSON Schema type '${String(type)}'`);
    }
  }

  #ref(ref: string): Check {
    const name = ref.replace('#/$defs/', '');
    const schema = this.#defs[name];
    if (!schema) throw new Error(`the contract refers to '${ref}', which it does not define`);
    const known = this.#done.get(name);
    if (known) return known;
    let real: Check | undefined;
    const late: Check = (value, path) => (real as Check)(value, path);
    this.#done.set(name, late);
    real = this.compile(schema);
    this.#done.set(name, real);
    return real;
  }

  #union(branches: JsonSchema[]): Check {
    const byType = new Map<string, Check>();
    for (const branch of branches) {
      const resolved = branch['$ref']
        ? (this.#defs[(branch['$ref'] as string).replace('#/$defs/', '')] as JsonSchema)
        : branch;
      const tag = (resolved['properties'] as Record<string, JsonSchema> | undefined)?.['type']?.['const'];
      if (typeof tag !== 'string') throw new Error("a union of the contract must be told apart by 'type'");
      byType.set(tag, this.compile(branch));
    }
    const names = [...byType.keys()].sort().join(', ');
    return (value, path) => {
      if (!isObject(value)) return wrongType(path, 'an object', value);
      const tag = Object.hasOwn(value, 'type') ? value['type'] : undefined;
      const at = path === '' ? 'type' : `${path}.type`;
      if (tag === undefined) return problem(at, 'is required');
      const check = typeof tag === 'string' ? byType.get(tag) : undefined;
      return check ? check(value, path) : problem(at, `must be one of ${names}; got ${describe(tag)}`);
    };
  }

  #nullable(branches: JsonSchema[]): Check {
    const rest = branches.filter((branch) => branch['type'] !== 'null');
    if (rest.length !== 1 || rest.length === branches.length)
      throw new Error('anyOf in the contract may only mean: or null');
    const check = this.compile(rest[0] as JsonSchema);
    return (value, path) => (value === null ? null : check(value, path));
  }

  #array(schema: JsonSchema): Check {
    const item = this.compile((schema['items'] as JsonSchema | undefined) ?? {});
    const min = (schema['minItems'] as number | undefined) ?? 0;
    const max = (schema['maxItems'] as number | undefined) ?? Number.POSITIVE_INFINITY;
    return (value, path) => {
      if (!Array.isArray(value)) return wrongType(path, 'an array', value);
      if (value.length < min) return problem(path, `must have at least ${min} ${min === 1 ? 'entry' : 'entries'}`);
      if (value.length > max) return problem(path, `must have at most ${max} ${max === 1 ? 'entry' : 'entries'}`);
      for (let i = 0; i < value.length; i++) {
        const found = item(value[i], `${path}[${i}]`);
        if (found) return found;
      }
      return null;
    };
  }

  #object(schema: JsonSchema): Check {
    const properties = Object.entries((schema['properties'] as Record<string, JsonSchema> | undefined) ?? {}).map(
      ([name, property]) => [name, this.compile(property)] as const,
    );
    const known = new Set(properties.map(([name]) => name));
    const required = (schema['required'] as string[] | undefined) ?? [];
    const closed = schema['additionalProperties'] === false;
    const rest = isObject(schema['additionalProperties']) ? this.compile(schema['additionalProperties']) : null;
    return (value, path) => {
      if (!isObject(value)) return wrongType(path, 'an object', value);
      const at = path === '' ? '' : `${path}.`;
      for (const name of required) {
        if (!Object.hasOwn(value, name) || value[name] === undefined) return problem(at + name, 'is required');
      }
      for (const [name, check] of properties) {
        if (!Object.hasOwn(value, name) || value[name] === undefined) continue;
        const found = check(value[name], at + name);
        if (found) return found;
      }
      if (!closed && !rest) return null;
      for (const name of Object.keys(value).sort(byCodePoint)) {
        if (known.has(name)) continue;
        if (closed) {
          return problem(at + name, `is not a known field. Known fields: ${[...known].sort().join(', ') || 'none'}`);
        }
        const found = rest?.(value[name], at + name);
        if (found) return found;
      }
      return null;
    };
  }
}

function string(schema: JsonSchema): Check {
  const source = schema['pattern'] as string | undefined;
  const pattern = source === undefined ? null : new RegExp(source, 'u');
  const min = (schema['minLength'] as number | undefined) ?? 0;
  const max = (schema['maxLength'] as number | undefined) ?? Number.POSITIVE_INFINITY;
  return (value, path) => {
    if (typeof value !== 'string') return wrongType(path, 'a string', value);
    // Lengths are in code points, as JSON Schema has them; only near the bound is it worth counting.
    if (value.length < 2 * min && Array.from(value).length < min)
      return problem(path, min === 1 ? 'must not be empty' : `must have at least ${min} characters`);
    if (value.length > max && Array.from(value).length > max)
      return problem(path, `must have at most ${max} characters`);
    if (pattern && !pattern.test(value)) return problem(path, `must match ${source}; got ${describe(value)}`);
    return null;
  };
}

function number(schema: JsonSchema): Check {
  const integer = schema['type'] === 'integer';
  const min = (schema['minimum'] as number | undefined) ?? Number.NEGATIVE_INFINITY;
  const max = (schema['maximum'] as number | undefined) ?? Number.POSITIVE_INFINITY;
  const wanted = integer ? 'an integer' : 'a number';
  return (value, path) => {
    if (typeof value !== 'number' || !Number.isFinite(value)) return wrongType(path, wanted, value);
    if (integer && !Number.isInteger(value)) return problem(path, 'must be an integer');
    if (value < min) return problem(path, `must be at least ${min}`);
    if (value > max) return problem(path, `must be at most ${max}`);
    return null;
  };
}

function oneOfValues(values: string[]): Check {
  const accepted = new Set<unknown>(values);
  const names = [...values].sort().join(', ');
  return (value, path) => {
    if (accepted.has(value)) return null;
    const list = values.length === 1 ? `'${values[0]}'` : `one of ${names}`;
    return problem(path, `must be ${list}; got ${describe(value)}`);
  };
}

function wrongType(path: string, wanted: string, value: unknown): Problem {
  return problem(path, `must be ${wanted}, got ${jsonTypeOf(value)}`);
}

function problem(path: string, words: string): Problem {
  return { path, message: `${path === '' ? 'the value' : path} ${words}` };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

// JavaScript sorts by UTF-16 unit; the other languages by code point.
function byCodePoint(a: string, b: string): number {
  const left = Array.from(a);
  const right = Array.from(b);
  for (let i = 0; i < left.length && i < right.length; i++) {
    const difference = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0);
    if (difference !== 0) return difference;
  }
  return left.length - right.length;
}

const compiled = new Map<ContractName, Check>();
const emitted = new Map<ContractName, JsonSchema>();

/** The JSON Schema of a named part of the contract, with its `$defs`. */
export function contractSchema(name: ContractName): JsonSchema {
  let schema = emitted.get(name);
  if (!schema) emitted.set(name, (schema = toJSONSchema(CONTRACT[name], { io: 'input' }) as JsonSchema));
  return schema;
}

/** The first problem of `value` as a `name` of the contract, or null. Paths start below `root` when one is given. */
export function problemOf(name: ContractName, value: unknown, root = ''): Problem | null {
  let check = compiled.get(name);
  if (!check) compiled.set(name, (check = compileCheck(contractSchema(name))));
  return check(value, root);
}

/**
 * Returns `value` as a checked part of the contract.
 *
 * @throws ParleyError `invalid_argument` with `details.path`.
 * @example
 * const request = checked('StartRequest', JSON.parse(body));
 */
export function checked<N extends ContractName>(name: N, value: unknown): ContractType<N> {
  const problem = problemOf(name, value);
  if (problem) throw new ParleyError('invalid_argument', problem.message, { details: { path: problem.path } });
  return value as ContractType<N>;
}
