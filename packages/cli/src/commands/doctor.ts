// parley doctor

import { ParleyError } from '@parley/client';
import { CODEX_VERSION } from '@parley/codex';
import { type AgentResource, capabilityOf } from '@parley/core';
import { PROVIDER_ENVIRONMENT, providersFromEnv } from '@parley/providers';
import type { Command } from 'commander';
import { type Context, contextOf } from '../context.ts';
import { describeFailure, exitCodeOf } from '../failure.ts';
import { foundPlayer, foundProgram, foundRecorder } from '@parley/session/machine-audio';
import { table, write, writeJson } from '../output.ts';
import { foundCodex } from '../turn/backend.ts';

interface Check {
  name: string;
  /** `note` never makes a machine unusable. */
  result: 'ok' | 'failed' | 'note';
  says: string;
}

const NODE_MIN = [22, 18] as const;

export function doctor(program: Command): void {
  program
    .command('doctor')
    .description('look whether this machine and its control plane are usable; exit code 0 only if they are')
    .action(async (_options: unknown, command: Command) => {
      const context = contextOf(command);
      const checks = [nodeCheck(), ...(await serverChecks(context)), ...machineNotes()];
      const usable = checks.every((check) => check.result !== 'failed');
      if (context.json) await writeJson({ usable, checks });
      else await write(table(checks.map(({ name, result, says }) => [SIGNS[result], name, says])));
      if (!usable && !process.exitCode) process.exitCode = 1;
    });
}

const SIGNS = { ok: 'ok', failed: 'FAILED', note: 'note' } as const;

function nodeCheck(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const good = major > NODE_MIN[0] || (major === NODE_MIN[0] && minor >= NODE_MIN[1]);
  const says = `${process.versions.node}${good ? '' : `; ${NODE_MIN.join('.')} or newer is needed`}`;
  return { name: 'node', result: good ? 'ok' : 'failed', says };
}

async function serverChecks({ client, url }: Context): Promise<Check[]> {
  try {
    const health = await client.health();
    const server: Check = {
      name: 'server',
      result: health.status === 'ok' ? 'ok' : 'failed',
      says: `${new URL(url).origin}, version ${health.version}, ${health.status}`,
    };
    return [server, ...(await agentChecks(client)), ...(await providerChecks(client))];
  } catch (thrown) {
    process.exitCode = exitCodeOf(thrown);
    return [{ name: 'server', result: 'failed', says: oneLine(thrown, url) }, ...environmentChecks()];
  }
}

/** Without a control plane to ask: what one that is started here would lack. */
function environmentChecks(): Check[] {
  try {
    return missingKeys(Object.keys(providersFromEnv(process.env)));
  } catch (thrown) {
    return [{ name: 'providers', result: 'failed', says: oneLine(thrown, '') }];
  }
}

async function agentChecks(client: Context['client']): Promise<Check[]> {
  try {
    const agents = await client.agents.list();
    const connected = agents.filter((agent) => agent.status === 'connected').map((agent) => agent.agent);
    const says = connected.length > 0 ? connected.join(', ') : 'none is connected; run an agent with agent.serve()';
    const check: Check = { name: 'agents', result: connected.length > 0 ? 'ok' : 'failed', says };
    return [check, ...retirementNotes(agents, Date.now())];
  } catch (thrown) {
    process.exitCode = exitCodeOf(thrown);
    return [{ name: 'agents', result: 'failed', says: oneLine(thrown, '') }];
  }
}

/** Models that declared sessions name, or get by default, and that their provider takes away. */
export function retirementNotes(agents: readonly Pick<AgentResource, 'agent' | 'sessions'>[], now: number): Check[] {
  const notes: Check[] = [];
  for (const { agent, sessions } of agents) {
    for (const { name, provider, model } of sessions) {
      const capability = capabilityOf(provider);
      const used = model ?? capability?.default_model;
      const retiring = capability?.retiring_models.find((one) => one.model === used);
      if (!retiring) continue;
      const gone = Date.parse(retiring.retires_on) < now;
      const says = `${agent}.${name} uses ${retiring.model}, which ${gone ? 'was retired' : 'retires'} on ${retiring.retires_on}; ${capability?.default_model} is current`;
      notes.push({ name: 'model', result: gone ? 'failed' : 'note', says });
    }
  }
  return notes;
}

async function providerChecks(client: Context['client']): Promise<Check[]> {
  try {
    const providers = (await client.status()).checks?.['providers'];
    const names = Array.isArray(providers) ? providers.map(String) : [];
    const says =
      names.length > 0 ? names.join(', ') : 'none is set up; set a key, or run parley serve --with-simulator';
    const check: Check = { name: 'providers', result: names.length > 0 ? 'ok' : 'failed', says };
    return [check, ...missingKeys(names)];
  } catch (thrown) {
    process.exitCode = exitCodeOf(thrown);
    return [{ name: 'providers', result: 'failed', says: oneLine(thrown, '') }];
  }
}

/** What the control plane's environment lacks for each provider that it does not serve. */
function missingKeys(served: readonly string[]): Check[] {
  return PROVIDER_ENVIRONMENT.filter(({ provider }) => !served.includes(provider)).map((one) => {
    const needs = [
      ...(one.key_optional ? [] : [`${one.key} (or ${one.key}_FILE)`]),
      ...(one.default_base_url === undefined ? [one.base_url] : []),
    ];
    return { name: one.provider, result: 'note', says: `not set up: the control plane needs ${needs.join(' and ')}` };
  });
}

function machineNotes(): Check[] {
  const chromium = process.env['PARLEY_CHROMIUM'] ?? foundProgram('chromium') ?? foundProgram('google-chrome');
  const rows: [name: string, found: string | null | undefined, missing: string][] = [
    ['chromium', chromium, 'not found; tests in a browser are skipped'],
    ['espeak-ng', foundProgram('espeak-ng'), 'not found; the simulator speaks in coded tones'],
    [
      'microphone',
      foundRecorder()?.program,
      'no arecord, parec, rec or ffmpeg; talk takes --text, --audio or typed lines',
    ],
    ['codex', foundCodex(), `not installed; parley turn needs: npm install @openai/codex@${CODEX_VERSION}`],
    ['loudspeaker', foundPlayer()?.program, 'no aplay, pacat, play or ffplay; answers are shown in writing'],
  ];
  return rows.map(([name, found, missing]) => ({ name, result: 'note', says: found ?? missing }));
}

function oneLine(thrown: unknown, url: string): string {
  const text = thrown instanceof ParleyError ? describeFailure(thrown, url) : String(thrown);
  return text
    .replace(/^parley: /, '')
    .trim()
    .replace(/\s*\n\s*/g, ' ');
}
