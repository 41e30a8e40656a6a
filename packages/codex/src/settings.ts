// Options, checked before anything is started.

import { turnError } from '@parley/turns';
import type { CodexOptions, CodexSettings, McpServer } from './options.ts';

const DEFAULTS = {
  experimentalApi: true,
  backgroundCommands: 'end',
  startTimeoutMs: 30_000,
  cleanUpMs: 5000,
  stopMs: 2000,
  runnersMax: 256,
  eventsMax: 1000,
  metadataCharsMax: 16_384,
  lineBytesMax: 64 * 1024 * 1024,
  providers: [],
  mcpServers: {},
} as const satisfies Partial<CodexOptions>;

/** Names that stand in a dotted key of Codex's config. */
const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** @throws ParleyError `invalid_argument`, naming the option. */
export function settle(options: CodexOptions): CodexSettings {
  const said = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const settings = { ...DEFAULTS, ...said } as CodexSettings;
  for (const name of [
    'startTimeoutMs',
    'cleanUpMs',
    'stopMs',
    'runnersMax',
    'eventsMax',
    'metadataCharsMax',
    'lineBytesMax',
  ] as const) {
    const value = settings[name];
    if (!(Number.isSafeInteger(value) && value > 0)) refuse(`${name} must be an integer above 0, got ${value}`);
  }
  const ids = new Set<string>();
  for (const { id, baseUrl } of settings.providers) {
    if (!NAME.test(id)) refuse(`the id of a provider must match ${NAME.source}, got '${id}'`);
    if (ids.has(id)) refuse(`there are two providers '${id}'`);
    ids.add(id);
    const url = URL.parse(baseUrl);
    if (url && (url.username !== '' || url.password !== '')) {
      // It stands on the command line of Codex.
      refuse(`baseUrl of provider '${id}' must not hold a user or a password; give the key as key, or in headers`);
    }
    if (!/^https?:$/.test(url?.protocol ?? '')) {
      refuse(`baseUrl of provider '${id}' must be an http or https URL, got '${baseUrl}'`);
    }
  }
  for (const [name, server] of Object.entries(settings.mcpServers)) checkServer(name, server);
  for (const name of [...Object.keys(settings.toolEnv ?? {}), ...Object.keys(settings.env ?? {})]) {
    if (!ENV_NAME.test(name)) refuse(`'${name}' is no name of an environment variable`);
  }
  return Object.freeze(settings);
}

function checkServer(name: string, { command, url }: McpServer): void {
  if (!NAME.test(name)) refuse(`the name of an MCP server must match ${NAME.source}, got '${name}'`);
  if ((command === undefined) === (url === undefined)) refuse(`MCP server '${name}' must have a command or a url`);
}

function refuse(message: string): never {
  throw turnError('invalid_argument', message);
}
