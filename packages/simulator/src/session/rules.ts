import { isObject, type Wire } from '../wire.ts';
import { invalid, unknownParameter } from './wire-error.ts';

// What a value of the wire may be. A rule takes the value and where it stands, and throws the error event.

export type Rule = (value: unknown, param: string) => void;

export const string: Rule = (value, param) => {
  if (typeof value !== 'string') throw invalid(param, value, 'a string');
};

export const boolean: Rule = (value, param) => {
  if (typeof value !== 'boolean') throw invalid(param, value, 'a boolean');
};

export const anything: Rule = () => undefined;

export function orNull(rule: Rule): Rule {
  return (value, param) => {
    if (value !== null) rule(value, param);
  };
}

export function number(min: number, max: number): Rule {
  return (value, param) => {
    if (typeof value !== 'number' || !(value >= min && value <= max)) {
      throw invalid(param, value, `a number between ${min} and ${max}`);
    }
  };
}

export function integer(min: number, max: number): Rule {
  return (value, param) => {
    if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
      throw invalid(param, value, `an integer between ${min} and ${max}`);
    }
  };
}

export function oneOf(...values: readonly (string | number)[]): Rule {
  return (value, param) => {
    if (!values.includes(value as string))
      throw invalid(param, value, `one of ${values.map((v) => `'${v}'`).join(', ')}`);
  };
}

export function list(rule: Rule): Rule {
  return (value, param) => {
    if (!Array.isArray(value)) throw invalid(param, value, 'an array');
    for (const [index, entry] of value.entries()) rule(entry, `${param}[${index}]`);
  };
}

/** An object with these keys and no others. */
export function object(rules: Record<string, Rule>): Rule {
  return (value, param) => {
    if (!isObject(value)) throw invalid(param, value, 'an object');
    check(value, rules, param);
  };
}

/** Checks the keys that are present; a key without a rule is unknown. */
export function check(value: Wire, rules: Record<string, Rule>, at: string): void {
  for (const [key, entry] of Object.entries(value)) {
    const param = at === '' ? key : `${at}.${key}`;
    const rule = Object.hasOwn(rules, key) ? rules[key] : undefined;
    if (!rule) throw unknownParameter(param);
    rule(entry, param);
  }
}
