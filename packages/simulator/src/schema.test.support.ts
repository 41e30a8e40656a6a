import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { isObject, type Wire } from './wire.ts';

// Every event that the simulator sends in a test is checked against OpenAI's schema of it. The wire carries explicit
// nulls where the schema says that a value is absent; those are listed here, and no others pass.

/**
 * Where recorded traces of the service carry null against the schema. Keys stand for "anywhere below": the last part
 * of a path. Seen in traces: unset session fields, responses before their end, and user audio before transcription.
 */
const NULL_ON_THE_WIRE = [
  'response.status_details',
  'response.usage',
  'response.conversation_id',
  'session.include',
  'session.prompt',
  'session.audio.input.transcription',
  'session.audio.input.noise_reduction',
  'item.content.transcript',
  'response.output.content.transcript',
  'error.param',
];

interface SchemaFile {
  events: Record<string, string>;
  $defs: Record<string, Wire>;
}

const file = JSON.parse(
  readFileSync(new URL('../test-data/openai-realtime-server-events.json', import.meta.url), 'utf8'),
) as SchemaFile;
const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
ajv.addSchema({ $id: 'openai', $defs: file.$defs });
const compiled = new Map<string, ValidateFunction>();

function validator(name: string): ValidateFunction {
  let validate = compiled.get(name);
  if (!validate) compiled.set(name, (validate = ajv.compile({ $ref: `openai#/$defs/${name}` })));
  return validate;
}

function withoutAllowedNulls(value: unknown, path: string): unknown {
  if (Array.isArray(value)) return value.map((entry) => withoutAllowedNulls(entry, path));
  if (!isObject(value)) return value;
  const kept = Object.entries(value).flatMap(([key, entry]): [string, unknown][] => {
    const at = path === '' ? key : `${path}.${key}`;
    return entry === null && NULL_ON_THE_WIRE.includes(at) ? [] : [[key, withoutAllowedNulls(entry, at)]];
  });
  return Object.fromEntries(kept);
}

/** What is wrong with a server event; empty where it is right. */
export function faultsOfEvent(event: Wire): string[] {
  const name = file.events[String(event['type'])];
  if (!name) return [`unknown event type ${String(event['type'])}`];
  return faultsOf(name, event);
}

/** What is wrong with a value of the named schema. */
export function faultsOf(name: string, value: Wire): string[] {
  const validate = validator(name);
  if (validate(withoutAllowedNulls(value, ''))) return [];
  return (validate.errors ?? []).map((error) => `${String(value['type'])}${error.instancePath} ${error.message ?? ''}`);
}
