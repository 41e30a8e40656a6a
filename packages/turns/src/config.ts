// What a caller says about an agent before its first turn.

import { statSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { APPROVALS, problemOf, SANDBOXES } from '@parley/core';
import { turnError } from './failures.ts';

/** What an agent may do by itself. The words are those of Codex; other adapters map them. */
export type Sandbox = (typeof SANDBOXES)[number];

/**
 * Who is asked before the agent does what its sandbox does not allow. `never`: nobody, it is refused. `on-request`: the
 * host, when the agent asks. `untrusted`: the host, before everything that is not known to be harmless. `auto-review`: a
 * model.
 */
export type Approval = (typeof APPROVALS)[number];

export type ReasoningEffort = 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'ultra';

/**
 * One agent: what is fixed for its whole conversation. What belongs to one turn is in `TurnOptions`, what belongs to
 * the backend that many agents share in the options of its factory.
 *
 * @example
 * const config: AgentConfig = { workingDirectory: '/srv/site', sandbox: 'workspace-write', reasoningEffort: 'low' };
 */
export interface AgentConfig {
  /** An absolute path of a directory that exists. */
  readonly workingDirectory: string;
  /** Default: what the backend takes. */
  readonly model?: string | undefined;
  /** Who runs the model, by the name that the backend knows. Default: what the backend takes. */
  readonly provider?: string | undefined;
  readonly reasoningEffort?: ReasoningEffort | undefined;
  /** Default `never`. */
  readonly approval?: Approval | undefined;
  /** Default `read-only`. */
  readonly sandbox?: Sandbox | undefined;
  /** Instead of the instructions that the backend begins every conversation with. */
  readonly baseInstructions?: string | undefined;
  /** After those instructions. */
  readonly developerInstructions?: string | undefined;
  /** Per MCP server of the backend the tools that this agent may use; a server that is not named is off. Default: all. */
  readonly tools?: Readonly<Record<string, readonly string[]>> | undefined;
}

/** A config that was checked, with the defaults filled in. Frozen. */
export type CheckedAgentConfig = AgentConfig & Required<Pick<AgentConfig, 'workingDirectory' | 'approval' | 'sandbox'>>;

/** Wire name of each field: `schemas/v1/agent-config.schema.json` is what a config is held against. */
const WIRE: Readonly<Record<keyof AgentConfig, string>> = {
  workingDirectory: 'working_directory',
  model: 'model',
  provider: 'provider',
  reasoningEffort: 'reasoning_effort',
  approval: 'approval',
  sandbox: 'sandbox',
  baseInstructions: 'base_instructions',
  developerInstructions: 'developer_instructions',
  tools: 'tools',
};

/**
 * Checks a config: closed fields, known words, and a working directory that is really there. Backends accept a directory
 * that is missing and fail later, at the first tool.
 * @throws ParleyError `invalid_argument`, `details.reason` `invalid_argument`, naming the field.
 */
export function checkAgentConfig(config: AgentConfig): CheckedAgentConfig {
  const said = Object.entries(config).filter(([, value]) => value !== undefined);
  const wire = Object.fromEntries(said.map(([field, value]) => [wireName(field), value]));
  const problem = problemOf('AgentConfig', wire);
  if (problem) {
    throw turnError('invalid_argument', `the agent's config is not valid: ${camelCase(problem.message)}`, {
      details: { path: camelCase(problem.path) },
    });
  }
  checkDirectory(config.workingDirectory);
  const tools = config.tools && frozenTools(config.tools);
  return Object.freeze({
    approval: 'never',
    sandbox: 'read-only',
    ...Object.fromEntries(said),
    ...(tools && { tools }),
    workingDirectory: config.workingDirectory,
  } as const) as CheckedAgentConfig;
}

function checkDirectory(path: string): void {
  const fail = (why: string): never => {
    throw turnError('invalid_argument', `workingDirectory must be an absolute path of a directory: ${path} ${why}`, {
      details: { path: 'workingDirectory' },
    });
  };
  if (!isAbsolute(path)) fail('is relative');
  const found = statSync(path, { throwIfNoEntry: false });
  if (!found) fail('does not exist');
  else if (!found.isDirectory()) fail('is no directory');
}

function frozenTools(tools: Readonly<Record<string, readonly string[]>>): AgentConfig['tools'] {
  return Object.freeze(
    Object.fromEntries(Object.entries(tools).map(([server, names]) => [server, Object.freeze([...names])])),
  );
}

// A field that nobody knows keeps its name, so that the check can say it.
function wireName(field: string): string {
  return Object.hasOwn(WIRE, field) ? WIRE[field as keyof AgentConfig] : field;
}

function camelCase(text: string): string {
  return Object.entries(WIRE).reduce((all, [field, wire]) => all.replaceAll(wire, field), text);
}
