// What npm start is told.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { capabilityOf, normaliseName, ParleyError } from '@parley/core';
import { DEFAULT_PORT } from '@parley/server';
import { COUNTERPARTS } from './counterparts.ts';
import { AGENT_LANGUAGES, type AgentLanguage } from './languages.ts';

export const TRANSPORTS = ['audio_turns', 'webrtc', 'websocket'] as const;
export type Transport = (typeof TRANSPORTS)[number];

export const HELP = `npm start [-- OPTIONS]
  --once           make one call, then stop everything
  --json           with --once: the last line of stdout is the call as JSON
  --agent LANGUAGE the example agent in ${AGENT_LANGUAGES.join(', ')} (default typescript)
  --transport NAME how the call is made: ${TRANSPORTS.join(', ')} (default websocket)
  --provider NAME  the provider of the call, played by the simulator in its own protocol: ${Object.keys(COUNTERPARTS).join(', ')}
                   (default simulator)
  --audio FILE     say this WAV instead of the built-in question
  --port NUMBER    of the control plane (default ${DEFAULT_PORT}; with --once any free one)
  --data DIR       for the database and the answers (default .parley)
  --help           this text
`;

export interface Options {
  once: boolean;
  json: boolean;
  agent: AgentLanguage;
  transport: Transport;
  provider: string;
  /** An absolute path, and the name by which it was given. */
  audio: { file: string; given: string } | null;
  port: number;
  data: string;
}

/** Null when help was asked for. @throws ParleyError `invalid_argument` */
export function optionsOf(args: string[]): Options | null {
  const values = parsed(args);
  if (values.help) return null;
  const { once = false, json = false, agent, transport, provider, audio, port, data } = values;
  if (json && !once) throw new ParleyError('invalid_argument', '--json goes with --once');
  // npm runs us in the workspace; files are named from where the person stands.
  const here = process.env['INIT_CWD'] ?? process.cwd();
  return {
    once,
    json,
    agent: agent === undefined ? 'typescript' : languageOf(agent),
    transport: transport === undefined ? 'websocket' : transportOf(transport),
    provider: providerOf(provider ?? 'simulator', transport ?? 'websocket'),
    audio: audio === undefined ? null : { file: resolve(here, audio), given: audio },
    port: port === undefined ? (once ? 0 : DEFAULT_PORT) : portOf(port),
    data: data === undefined ? resolve('.parley') : resolve(here, data),
  };
}

function parsed(args: string[]) {
  try {
    return parseArgs({
      args,
      options: {
        once: { type: 'boolean' },
        json: { type: 'boolean' },
        agent: { type: 'string' },
        transport: { type: 'string' },
        provider: { type: 'string' },
        audio: { type: 'string' },
        port: { type: 'string' },
        data: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (error) {
    throw new ParleyError('invalid_argument', `${(error as Error).message}\n\n${HELP.trimEnd()}`);
  }
}

function languageOf(text: string): AgentLanguage {
  const language = AGENT_LANGUAGES.find((one) => one === text);
  if (language) return language;
  throw new ParleyError('invalid_argument', `--agent must be one of ${AGENT_LANGUAGES.join(', ')}; got '${text}'`);
}

function transportOf(text: string): Transport {
  const transport = TRANSPORTS.find((one) => one === normaliseName(text));
  if (transport) return transport;
  throw new ParleyError('invalid_argument', `--transport must be one of ${TRANSPORTS.join(', ')}; got '${text}'`);
}

/** A provider that the simulator plays, and that has the transport. */
function providerOf(text: string, transport: string): string {
  const name = normaliseName(text);
  const transports = Object.keys(capabilityOf(name)?.transports ?? {});
  if (!Object.hasOwn(COUNTERPARTS, name)) {
    throw new ParleyError(
      'invalid_argument',
      `--provider must be one of ${Object.keys(COUNTERPARTS).join(', ')}; got '${text}'`,
    );
  }
  if (!transports.includes(normaliseName(transport))) {
    throw new ParleyError(
      'invalid_argument',
      `${name} has the transports ${transports.join(', ')}; got '${transport}'`,
    );
  }
  return name;
}

function portOf(text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new ParleyError('invalid_argument', `--port must be a number from 0 to 65535, got '${text}'`);
}
