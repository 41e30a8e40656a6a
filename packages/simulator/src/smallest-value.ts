import { isObject, type Wire } from './wire.ts';

// The smallest value that a JSON schema accepts, as far as tools use schemas: what a model fills in when it must call.

const DEPTH_MAX = 16;

export function smallestValue(schema: unknown, depth = 0): unknown {
  if (!isObject(schema) || depth > DEPTH_MAX) return {};
  if ('const' in schema) return schema['const'];
  if ('default' in schema) return schema['default'];
  if (Array.isArray(schema['enum'])) return schema['enum'][0] as unknown;
  const [choice] = [schema['anyOf'], schema['oneOf']].flatMap((list) =>
    Array.isArray(list) ? (list as unknown[]) : [],
  );
  if (choice !== undefined) return smallestValue(choice, depth + 1);
  const type: unknown = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type) {
    case 'string':
      return 'x'.repeat(Number(schema['minLength'] ?? 0));
    case 'integer':
    case 'number':
      return smallestNumber(schema, type);
    case 'boolean':
      return false;
    case 'null':
      return null;
    case 'array':
      return Array.from({ length: Number(schema['minItems'] ?? 0) }, () => smallestValue(schema['items'], depth + 1));
    default:
      return smallestObject(schema, depth);
  }
}

function smallestNumber(schema: Wire, type: 'integer' | 'number'): number {
  const above = Number(schema['exclusiveMinimum'] ?? Number.NaN);
  const least = Number(schema['minimum'] ?? (Number.isNaN(above) ? 0 : above + (type === 'integer' ? 1 : 0.5)));
  const most = Number(schema['maximum'] ?? Number.POSITIVE_INFINITY);
  const value = Math.min(least, most);
  return type === 'integer' ? Math.ceil(value) : value;
}

function smallestObject(schema: Wire, depth: number): Wire {
  const properties = isObject(schema['properties']) ? schema['properties'] : {};
  const required = Array.isArray(schema['required']) ? (schema['required'] as string[]) : [];
  return Object.fromEntries(required.map((key) => [key, smallestValue(properties[key], depth + 1)]));
}

/** Strings of a script become numbers or booleans where the tool's schema asks for them. */
export function fitToSchema(value: Wire, schema: unknown): Wire {
  const properties = isObject(schema) && isObject(schema['properties']) ? schema['properties'] : {};
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => {
      const property = properties[key];
      const type = isObject(property) ? property['type'] : undefined;
      if (typeof entry !== 'string') return [key, entry];
      if ((type === 'number' || type === 'integer') && entry.trim() !== '' && !Number.isNaN(Number(entry)))
        return [key, Number(entry)];
      if (type === 'boolean' && /^(?:true|false)$/u.test(entry)) return [key, entry === 'true'];
      return [key, entry];
    }),
  );
}
