// A compose file as our templates write them: the part of the specification that they use, checked, and its variables
// filled in. What it does not know it refuses by name.
import { parse } from 'yaml';

export interface Service {
  /** The folder that it is built from, or null where it is an `image`. */
  readonly build: string | null;
  /** What stands in the place of that folder's Dockerfile. */
  readonly dockerfile: string | null;
  readonly image: string | null;
  readonly command: readonly string[] | null;
  readonly environment: Readonly<Record<string, string>>;
  /** [port at 127.0.0.1, port in the container]. */
  readonly ports: readonly (readonly [number, number])[];
  readonly healthcheck: readonly string[] | null;
  readonly dependsOn: readonly string[];
  readonly stopGraceMs: number;
}

type Shape = Record<string, unknown>;

const KNOWN = 'build image command environment env_file ports healthcheck depends_on stop_grace_period'.split(' ');
/** What an engine gives where the file says nothing. */
const STOP_GRACE_MS = 10_000;

/** @param env of the shell, or of the file `.env` beside it. @throws Error naming what is not as it should be. */
export function readCompose(text: string, env: Readonly<Record<string, string>>): Map<string, Service> {
  const file = parse(text) as Shape;
  known('the file', file, ['services']);
  const services = Object.entries(object('services', file['services']));
  const read = new Map(services.map(([name, service]) => [name, serviceOf(name, object(name, service), env)]));
  for (const [name, { dependsOn }] of read) {
    const missing = dependsOn.find((other) => !read.has(other));
    if (missing !== undefined) throw new Error(`${name} depends on ${missing}, which is no service`);
  }
  return read;
}

function serviceOf(name: string, shape: Shape, env: Readonly<Record<string, string>>): Service {
  known(name, shape, KNOWN);
  const { image = null, command = null } = shape as Partial<Record<string, string | string[]>>;
  const { build, dockerfile } = buildOf(name, shape['build'] ?? null);
  if ((build === null) === (image === null)) throw new Error(`${name} must have either build or image`);
  for (const file of list(`${name}.env_file`, shape['env_file'] ?? []))
    known(`${name}.env_file`, file, ['path', 'required']);
  const check = shape['healthcheck'] as { test?: unknown } | undefined;
  if (check) known(`${name}.healthcheck`, check as Shape, ['test', 'interval', 'timeout', 'start_period', 'retries']);
  const [kind, ...test] = check ? strings(`${name}.healthcheck.test`, check.test) : ['CMD'];
  if (kind !== 'CMD') throw new Error(`${name}.healthcheck.test must begin with CMD, got ${kind}`);
  const needs = shape['depends_on'] ?? [];
  return {
    build,
    dockerfile,
    image: image as string | null,
    command: command === null ? null : strings(`${name}.command`, command).map((part) => filled(name, part, env)),
    environment: environmentOf(name, object(`${name}.environment`, shape['environment'] ?? {}), env),
    ports: strings(`${name}.ports`, shape['ports'] ?? []).map((port) => portOf(name, port)),
    healthcheck: check ? test.map((part) => filled(name, part, env)) : null,
    dependsOn: Array.isArray(needs) ? strings(`${name}.depends_on`, needs) : Object.keys(object('depends_on', needs)),
    stopGraceMs:
      shape['stop_grace_period'] === undefined ? STOP_GRACE_MS : milliseconds(name, shape['stop_grace_period']),
  };
}

function environmentOf(name: string, shape: Shape, env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(shape).map(([key, value]) => {
      const what = `${name}.environment.${key}`;
      if (typeof value !== 'string') throw new Error(`${what} must be a string, got ${typeof value}`);
      return [key, filled(what, value, env)];
    }),
  );
}

function buildOf(name: string, build: unknown): Pick<Service, 'build' | 'dockerfile'> {
  if (build === null || typeof build === 'string') return { build, dockerfile: null };
  const shape = object(`${name}.build`, build);
  known(`${name}.build`, shape, ['context', 'dockerfile_inline']);
  const { context, dockerfile_inline } = shape;
  if (typeof context === 'string' && typeof dockerfile_inline === 'string') {
    return { build: context, dockerfile: dockerfile_inline };
  }
  throw new Error(`${name}.build must have a context and a dockerfile_inline`);
}

/** `${NAME}`; `${NAME:-what else}` where NAME is not set or empty; `$$` for a dollar. */
function filled(what: string, text: string, env: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\$\$|\$\{(\w+)(?::-([^}]*))?\}/g, (all, variable?: string, otherwise?: string) => {
    if (all === '$$' || variable === undefined) return '$';
    const found = env[variable] || otherwise;
    if (found === undefined) throw new Error(`${what}: ${variable} is not set`);
    return found;
  });
}

/** Only of this machine: what is published without an address is open to every other one. */
function portOf(name: string, text: string): readonly [number, number] {
  const [, outside, inside] = /^127\.0\.0\.1:(\d+):(\d+)$/.exec(text) ?? [];
  if (outside === undefined) throw new Error(`${name}.ports must be 127.0.0.1:outside:inside, got ${text}`);
  return [Number(outside), Number(inside)];
}

function milliseconds(name: string, value: unknown): number {
  const [, seconds] = /^(\d+)s$/.exec(String(value)) ?? [];
  if (seconds === undefined) throw new Error(`${name}.stop_grace_period must be in seconds, got ${String(value)}`);
  return Number(seconds) * 1_000;
}

function known(what: string, shape: Shape, names: readonly string[]): void {
  const other = Object.keys(shape).find((name) => !names.includes(name));
  if (other !== undefined) throw new Error(`${what}: ${other} is not known here`);
}

function object(what: string, value: unknown): Shape {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Shape;
  throw new Error(`${what} must be an object`);
}

function list(what: string, value: unknown): Shape[] {
  if (Array.isArray(value)) return value as Shape[];
  throw new Error(`${what} must be a list`);
}

function strings(what: string, value: unknown): string[] {
  if (Array.isArray(value) && value.every((one) => typeof one === 'string')) return value;
  throw new Error(`${what} must be a list of strings`);
}
